/* Test cases: a scatter, strips, and one case in a window of its own. */
(() => {
  const { data, all, html, set, onChange, state } = ScarcePage;

  const number = (value) => (value === null || value === undefined ? "n/a" : value.toFixed(3));
  const boxes = all(".by-case[data-key]");

  // The two methods of the scatter, by name in the address and by number in the figure

  const axes = () => {
    for (const box of boxes) {
      const figure = box.querySelector('figure[data-figure="cases"]');
      for (const select of all("select[data-signal]", figure)) {
        const wanted = state()[select.dataset.signal];
        const prefix = `${box.dataset.key}|`;
        const option = [...select.options].find((one) => prefix + one.text === wanted);
        if (!option || option.selected) continue;
        option.selected = true;
        ScarceFigures.setSignals(figure, { [select.dataset.signal]: Number(select.value) });
      }
    }
  };

  // One case in a window of its own: its numbers, and its pictures where it has some

  let opener = null;
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


  onChange(["across", "up"], axes);
  onChange(["case"], () => (state().case ? openCase() : dialog.close()));
  for (const box of boxes) {
    const { key } = box.dataset;
    box.addEventListener("change", (event) => {
      const select = event.target;
      const { signal } = select.dataset;
      if (signal) set({ [signal]: `${key}|${select.selectedOptions[0].text}` });
      else if (select.value) {
        opener = select;
        set({ case: `${key}/${select.value}` });
      }
    });
    box.addEventListener("figure-pick", (event) => {
      const name = event.detail.case;
      if (data.places[key]?.cases.includes(name)) set({ case: `${key}/${name}` });
    });
    const list = box.querySelector("[data-case-list]");
    for (const name of data.places[key]?.cases ?? []) html("option", { textContent: name }, list);
  }
  dialog.addEventListener("close", () => {
    if (state().case) set({ case: "" });
    if (opener && opener.isConnected) opener.focus();
    opener = null;
  });
  dialog.addEventListener("keydown", turn);
  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-open], #case [data-step], #case [data-close]");
    if (!target) return;
    if (target.matches("[data-step]")) neighbour(Number(target.dataset.step));
    else if (target.matches("[data-close]")) dialog.close();
    else {
      opener = target;
      set({ case: target.dataset.open });
    }
  });
})();
