/* Where a number comes from: its draws, runs, seeds, settings and files, and how to make it again. */
(() => {
  const { data, all, html, view, set, onChange, state } = ScarcePage;
  const dialog = document.getElementById("source");
  const content = dialog.querySelector(".content");
  let opener = null;

  const number = (value) => (value === undefined ? "n/a" : value.toFixed(3).replace("-", "−"));
  const signed = (value) => (value === undefined ? "n/a" : (value > 0 ? "+" : "") + number(value));
  const table = (caption, heads, rows) => {
    const frame = html("div", { className: "scroll", tabIndex: 0 });
    frame.setAttribute("role", "region");
    frame.setAttribute("aria-label", caption);
    const made = html("table", {}, frame);
    html("caption", { textContent: caption }, made);
    const head = made.createTHead().insertRow();
    for (const text of heads) html("th", { scope: "col", textContent: text }, head);
    const body = made.createTBody();
    for (const [first, ...others] of rows) {
      const row = body.insertRow();
      html("th", { scope: "row", textContent: first }, row);
      for (const text of others) row.insertCell().textContent = text;
    }
    return frame;
  };
  const code = (title, lines) => {
    const box = html("div", {});
    html("h3", { textContent: title }, box);
    const block = html("pre", { textContent: lines.join("\n"), tabIndex: 0 }, box);
    block.setAttribute("aria-label", title);
    return box;
  };
  // Links work where the page lies in the folder that `run` wrote, not in a copy of it.
  const isInFolder = location.pathname.endsWith("/report/index.html");
  const filesOf = (keys) => {
    const box = html("div", {});
    html("h3", { textContent: "Scores of every test case, in the results folder" }, box);
    const list = html("ul", { className: "files" }, box);
    for (const key of keys) {
      const item = html("li", {}, list);
      const linked = (path, text) => (isInFolder
        ? html("a", { href: `../cells/${key}/${path}`, textContent: text }, item)
        : html("span", { textContent: text }, item));
      linked("scores/last.csv", `cells/${key}/scores/last.csv`);
      if (!isInFolder) continue;
      for (const name of ["log.txt", "history.json", ""]) {
        item.append(", ");
        linked(name, name || "folder");
      }
    }
    return box;
  };
  const quoted = (method, variant) => (variant === "default" ? method : `"${method} (${variant})"`);
  const settingText = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));
  const settingsOf = (runs) => {
    const used = [...new Set(runs.map((run) => run[5]))].filter((one) => one !== null);
    return used.map((position) => {
      const pairs = Object.entries(data.settings[position] ?? {});
      const rows = pairs.map(([key, value]) => [key, settingText(value)]);
      const title = used.length > 1 ? `Settings ${position + 1}` : "Settings";
      const details = html("details", { open: used.length === 1 && pairs.length < 12 });
      html("summary", { textContent: `${title} (${pairs.length})` }, details);
      details.append(table(title, ["Setting", "Value"], rows));
      return details;
    });
  };
  const commands = (now, method, variant, labelled) => {
    const { name, size } = data.suite;
    const only = { task: now.task, dataset: now.dataset, method, variant, labelled };
    const filters = Object.entries(only).map(([key, value]) => `${key}=${value}`).join(",");
    const sized = size ? ` --size ${size}` : "";
    return [
      `python run_bench.py run suites/${name}.yaml${sized} --only ${filters}`,
      `python run_bench.py verify runs/${name}`,
    ];
  };
  const fill = (now, id, metric) => {
    const row = now.problem.rows[id];
    const { labelled, method, variant } = row;
    const { runs, means, gains, repeats, folds } = now.problem.sources;
    const noun = repeats.includes(id) ? "repeat" : "draw";
    const own = runs[id] ?? [];
    const title = data.titles[metric];
    const [, text] = row.scores[metric] ?? [null, ""];
    const name = `${row.name}, ${labelled} labelled ${now.problem.units}`;
    document.getElementById("source-title").textContent = `${title} ${text}`.trim() + `: ${name}`;
    const meanOf = new Map(means[metric]?.[id] ?? []);
    const gainOf = new Map(gains[metric]?.[id] ?? []);
    const machines = own.map((run) => data.machines[run[6]] ?? ["", ""]);
    const devices = [...new Set(machines.map(([device]) => device))].filter((one) => one !== "");
    const places = ["Device", "Host"].filter((_, at) => machines.some((one) => one[at] !== ""));
    const placeOf = (machine) => (
      machine.filter((_, at) => machines.some((one) => one[at] !== "")).map((one) => one || "n/a"));
    const draws = own.map(([key, draw, seed, steps, status], at) => {
      const fold = folds > 1 ? `, fold ${(draw - 1) % folds + 1}` : "";
      const label = `${Math.floor((draw - 1) / folds) + 1}${fold}`;
      const shown = [label, number(meanOf.get(draw)), signed(gainOf.get(draw))];
      return [...shown, steps ?? "n/a", seed || "n/a", status, key, ...placeOf(machines[at])];
    });
    const first = noun === "draw" ? "Draw" : "Repeat";
    const heads = [first, title, "Gain", "Steps", "Seed", "State", "Key", ...places];
    const parts = [html("p", { textContent: sentence(row, metric, title, noun) })];
    const each = folds > 1 ? `one for each fold of a ${noun}` : `one for each ${noun}`;
    if (draws.length) parts.push(table(`Runs behind this number, ${each}`, heads, draws));
    else parts.push(html("p", { textContent: "This leaderboard names no run behind this row." }));
    if (devices.length > 1) {
      parts.push(html("p", { textContent: `These runs mix kinds of device: ${devices.join(" and ")}.` }));
    }
    if (own.length) {
      parts.push(filesOf(own.map((run) => run[0])));
      const asked = commands(now, method, variant, labelled);
      parts.push(code("Make it again, check it, and see how it comes about", asked.concat(
        `python run_bench.py explain runs/${data.suite.name} ${quoted(method, variant)} ${labelled} ${metric}`)));
    }
    content.replaceChildren(...parts, ...settingsOf(own));
  };
  const sentence = (row, metric, title, noun) => {
    const given = row.gains[metric];
    const mean = `The mean ${title} over test cases, patients and ${noun}s.`;
    if (!given) return mean;
    const [, text, interval, verdict] = given;
    const told = interval ? `${text}, 95% CI ${interval.slice(1, -1).replace(", ", " to ")}` : text;
    return `${mean} Gain over the reference with the same labels: ${told}; ${verdict}.`;
  };

  const show = () => {
    const now = view();
    const [id, metric] = state().source.split("~");
    const isKnown = now && now.problem.rows[id] && data.titles[metric];
    if (!isKnown) {
      if (dialog.open) dialog.close();
      return;
    }
    fill(now, id, metric);
    if (!dialog.open) dialog.showModal();
    document.getElementById("source-title").focus();
  };
  const close = () => {
    if (state().source) set({ source: "" });
    if (opener && opener.isConnected) opener.focus();
    opener = null;
  };
  onChange(["source"], show);
  dialog.addEventListener("close", close);
  document.addEventListener("click", (event) => {
    if (event.target.closest("#source [data-close]") || event.target === dialog) dialog.close();
    const cell = event.target.closest("tr[data-row] td[data-value]");
    if (!cell) return;
    const line = cell.closest("tr");
    opener = line.querySelector("button.number") ?? null;
    const now = view();
    const metric = data.titles[cell.dataset.metric] ? cell.dataset.metric : now.metric;
    set({ source: `${line.dataset.row}~${metric}` });
  });
})();
