/* Test cases: a scatter, strips, and one case in a window of its own. */
(() => {
  const { data, all, html, set, onChange, state } = ScarcePage;

  // Scatter of test cases

  const SVG = "http://www.w3.org/2000/svg";
  const svg = (name, attributes, parent, text) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    if (parent) parent.append(element);
    return element;
  };
  const number = (value) => (value === null || value === undefined ? "n/a" : value.toFixed(3));
  const boxes = all(".scatter");
  const axisOf = (box, key) => {
    const prefix = `${box.dataset.key}|`;
    const select = box.querySelector(`select[data-axis="${key}"]`);
    const wanted = state()[key].startsWith(prefix) ? state()[key].slice(prefix.length) : null;
    const option = [...select.options].find((one) => one.value === wanted);
    select.value = option ? wanted : select.dataset.first;
    return data.places[box.dataset.key].series[select.selectedIndex];
  };
  const SIDE = 320, LEFT = 46, TOP = 12;
  const drawDot = (drawing, key, words, shape) => {
    const looks = { class: pictures.has(key) ? "dot pictured" : "dot" };
    const button = { role: "button", tabindex: -1, "aria-label": words };
    const dot = svg("circle", { ...shape, ...looks, ...button }, drawing);
    dot.dataset.case = key;
    svg("title", {}, dot, words);
  };
  const scatter = (box) => {
    const place = data.places[box.dataset.key];
    const [across, up] = [axisOf(box, "across"), axisOf(box, "up")];
    const axes = `${across.name} on the x axis, ${up.name} on the y axis`;
    const viewBox = `0 0 ${LEFT + SIDE + 14} ${TOP + SIDE + 44}`;
    const drawing = svg("svg", { viewBox, role: "group" });
    drawing.setAttribute("aria-label", `${place.metric} of each test case, ${axes}`);
    const x = (value) => LEFT + SIDE * value;
    const y = (value) => TOP + SIDE * (1 - value);
    svg("path", { class: "axis", d: `M${x(0)} ${y(1)}V${y(0)}H${x(1)}` }, drawing);
    svg("path", { class: "same", d: `M${x(0)} ${y(0)}L${x(1)} ${y(1)}` }, drawing);
    for (const tick of [0, 0.25, 0.5, 0.75, 1]) {
      svg("text", { x: x(tick), y: y(0) + 16, "text-anchor": "middle" }, drawing, String(tick));
      svg("text", { x: x(0) - 6, y: y(tick) + 4, "text-anchor": "end" }, drawing, String(tick));
    }
    svg("text", { x: x(0.5), y: y(0) + 36, "text-anchor": "middle" }, drawing, across.name);
    const turned = `rotate(-90 10 ${y(0.5)})`;
    const upright = { x: 10, y: y(0.5), "text-anchor": "middle", transform: turned };
    svg("text", upright, drawing, up.name);
    const points = place.cases.map((name, index) => [name, across.values[index], up.values[index]]);
    const known = points.filter((point) => point[1] !== null && point[2] !== null);
    for (const [name, one, other] of known) {
      const words = `${name}: x ${number(one)}, y ${number(other)}`;
      const key = `${box.dataset.key}/${name}`;
      drawDot(drawing, key, words, { cx: x(one), cy: y(other), r: 5 });
    }
    const first = drawing.querySelector(".dot");
    if (first) first.setAttribute("tabindex", 0);
    box.querySelector(".plot").replaceChildren(drawing);
  };
  // All methods at the budget of the x axis, one under the other: quartiles, a point for each case
  const NAMES = 130, ROW = 24;
  const quantile = (sorted, share) => {
    const at = share * (sorted.length - 1);
    const low = Math.floor(at);
    return sorted[low] + (at - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
  };
  const strips = (box) => {
    const place = data.places[box.dataset.key];
    const budget = axisOf(box, "across").labelled;
    const rows = place.series.filter((one) => one.labelled === budget);
    const height = TOP + ROW * rows.length;
    const viewBox = `0 0 ${NAMES + SIDE + 14} ${height + 24}`;
    const drawing = svg("svg", { viewBox, role: "group" });
    const label = `${place.metric} of every test case, ${budget} labelled, one line per method`;
    drawing.setAttribute("aria-label", label);
    const x = (value) => NAMES + SIDE * value;
    for (const tick of [0, 0.25, 0.5, 0.75, 1]) {
      svg("path", { class: "same", d: `M${x(tick)} ${TOP}V${height}` }, drawing);
      svg("text", { x: x(tick), y: height + 16, "text-anchor": "middle" }, drawing, String(tick));
    }
    rows.forEach((one, line) => {
      const middle = TOP + ROW * (line + 0.5);
      const short = one.method.length > 20 ? `${one.method.slice(0, 19)}…` : one.method;
      svg("text", { x: NAMES - 8, y: middle + 4, "text-anchor": "end" }, drawing, short);
      const points = place.cases.map((name, index) => [name, one.values[index], index]);
      const known = points.filter((point) => point[1] !== null);
      if (!known.length) return;
      const sorted = known.map((point) => point[1]).sort((a, b) => a - b);
      const [low, half, high] = [0.25, 0.5, 0.75].map((share) => x(quantile(sorted, share)));
      const outline = `M${low} ${middle - 8}H${high}V${middle + 8}H${low}Z`;
      svg("path", { class: "box", d: outline }, drawing);
      for (const [name, value, index] of known) {
        const words = `${name}: ${one.method} ${number(value)}`;
        const aside = ((index * 7) % 13) - 6; // fixed offsets, so that equal values show
        const key = `${box.dataset.key}/${name}`;
        drawDot(drawing, key, words, { cx: x(value), cy: middle + aside, r: 3 });
      }
      svg("path", { class: "half", d: `M${half} ${middle - 10}V${middle + 10}` }, drawing);
    });
    const first = drawing.querySelector(".dot");
    if (first) first.setAttribute("tabindex", 0);
    box.parentElement.querySelector(".strips").replaceChildren(drawing);
  };
  const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  // One stop of the Tab key for all points; arrows walk from the left to the right.
  const walk = (event) => {
    const dot = event.target.closest(".dot");
    if (!dot) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      set({ case: dot.dataset.case });
    } else if (STEPS[event.key]) {
      event.preventDefault();
      const place = (one) => Number(one.getAttribute("cx"));
      const dots = all(".dot", dot.closest("svg")).sort((a, b) => place(a) - place(b));
      const next = dots[(dots.indexOf(dot) + STEPS[event.key] + dots.length) % dots.length];
      dot.setAttribute("tabindex", -1);
      next.setAttribute("tabindex", 0);
      next.focus();
    }
  };

  // One case in a window of its own: its numbers, and its pictures where it has some

  const dialog = document.getElementById("case");
  const pictures = new Map(all("figure[data-case]").map((figure) => [figure.dataset.case, figure]));
  const placeOf = (key) => Object.keys(data.places).find((place) => key.startsWith(`${place}/`));
  const openCase = () => {
    const key = state().case;
    const place = placeOf(key);
    if (place === undefined && !pictures.has(key)) return dialog.close();
    const name = place === undefined ? key : key.slice(place.length + 1);
    const known = place === undefined ? null : data.places[place];
    document.getElementById("case-title").textContent = `Test case ${name}`;
    const figure = pictures.get(key);
    dialog.querySelector(".layers").hidden = !(figure && figure.querySelector(".layer"));
    dialog.querySelector(".pictures").replaceChildren(...(figure ? copied(figure) : []));
    dialog.querySelector(".numbers").replaceChildren(...(known ? numbers(known, name) : []));
    if (!dialog.open) dialog.showModal();
    return undefined;
  };
  const copied = (figure) => all(":scope > figcaption p, .tiles", figure).map((part) => {
    const copy = part.cloneNode(true);
    for (const named of all("[id]", copy)) named.removeAttribute("id"); // a page has each id once
    return copy;
  });
  const numbers = (place, name) => {
    const index = place.cases.indexOf(name);
    if (index < 0) {
      return [html("p", { textContent: `${place.metric} is not defined for this case.` })];
    }
    const table = document.createElement("table");
    html("caption", { textContent: `${place.metric} of this case, mean over draws` }, table);
    const head = table.createTHead().insertRow();
    for (const title of ["Method", place.metric]) {
      html("th", { scope: "col", textContent: title }, head);
    }
    const body = table.createTBody();
    for (const one of place.series) {
      const row = body.insertRow();
      html("th", { scope: "row", textContent: one.name }, row);
      row.insertCell().textContent = number(one.values[index]);
    }
    return [table];
  };
  const neighbour = (step) => {
    const place = placeOf(state().case);
    const names = place === undefined ? [] : data.places[place].cases;
    const listed = names.map((name) => `${place}/${name}`);
    const keys = pictures.has(state().case) ? [...pictures.keys()] : listed;
    const next = (keys.indexOf(state().case) + step + keys.length) % keys.length;
    if (keys.length) set({ case: keys[next] });
  };
  const turn = (event) => {
    if (event.target.closest("input, select")) return;
    if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    event.preventDefault();
    neighbour(event.key === "ArrowLeft" ? -1 : 1);
  };


  onChange(["across", "up"], () => boxes.forEach(scatter));
  onChange(["across"], () => boxes.forEach(strips));
  onChange(["case"], () => (state().case ? openCase() : dialog.close()));
  for (const select of all("select[data-axis]")) {
    const key = select.closest(".scatter").dataset.key;
    select.addEventListener("change", () => {
      set({ [select.dataset.axis]: `${key}|${select.value}` });
    });
  }
  for (const box of boxes) box.parentElement.addEventListener("keydown", walk);
  let opener = null;
  dialog.addEventListener("close", () => {
    if (state().case) set({ case: "" });
    if (opener && opener.isConnected) opener.focus();
    opener = null;
  });
  dialog.addEventListener("keydown", turn);
  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-open], .dot[data-case], #case [data-step], #case [data-close]");
    if (!target) return;
    if (target.matches("[data-step]")) neighbour(Number(target.dataset.step));
    else if (target.matches("[data-close]")) dialog.close();
    else {
      opener = target;
      set({ case: target.dataset.open ?? target.dataset.case });
    }
  });
})();
