/* What the controls choose: the answer, the figures, and the rows and numbers of the tables. */
(() => {
  const { data, all, view, set, onChange, state } = ScarcePage;
  const root = document.documentElement;
  const VIEW = ["task", "dataset", "labelled", "settings", "metric"];
  const sections = all("section.problem");
  const part = (section, name) => section.querySelector(`[data-part="${name}"]`);

  // The first screen

  const answer = (section, now) => {
    const name = `${now.labelled}/${now.settings}/${now.metric}`;
    const [lead, detail, remarks] = now.problem.answers[name];
    const box = part(section, "answer");
    box.querySelector("strong").textContent = lead;
    box.querySelector("p").lastChild.replaceWith(detail);
    box.querySelector(".remarks").textContent = remarks;
    const note = now.problem.planning[now.labelled];
    const planning = part(section, "planning");
    if (!planning) return;
    const isHeadline = now.metric === Object.keys(now.problem.metrics)[0];
    planning.hidden = !note || !isHeadline;
    planning.querySelector("span").textContent = note ?? "";
  };

  // Numbers of the main table

  const score = (cell, row, metric) => {
    const none = [null, "n/a", false, "", false];
    const [value, text, tied, flag, best] = row.scores[metric] ?? none;
    const button = cell.querySelector("button");
    cell.dataset.metric = metric;
    cell.title = flag || row.reasons[metric] || "";
    if (value === null) delete cell.dataset.value;
    else cell.dataset.value = value;
    cell.toggleAttribute("data-best", best);
    if (!button) {
      cell.textContent = text;
      return;
    }
    button.textContent = text;
    for (const one of all(".tie, .why", cell)) one.remove();
    if (tied) {
      const mark = { className: "tie", textContent: "†", title: "Not separated from the best." };
      button.after(" ", ScarcePage.html("span", mark));
    }
    if (flag) {
      const told = ScarcePage.html("span", { className: "why", textContent: flag }, cell);
      told.dataset.copySkip = "";
    }
  };
  const bar = (word, ends) => {
    const drawn = ScarcePage.html("span", { className: "bar", ariaHidden: "true" });
    drawn.dataset.word = word;
    ["start", "end", "at", "zero"].forEach((name, index) => {
      drawn.style.setProperty(`--${name}`, `${ends[index]}%`);
    });
    ScarcePage.html("i", {}, drawn);
    return drawn;
  };
  const gain = (line, row, metric) => {
    const cell = line.querySelector('[data-slot="gain"]');
    const word = line.querySelector('[data-slot="word"]');
    const given = row.gains[metric];
    const words = ScarcePage.html("span", { className: "words" });
    cell.replaceChildren();
    for (const key of ["value", "lo", "hi"]) delete cell.dataset[key];
    if (given) {
      const [value, text, interval, verdict, lo, hi, ...ends] = given;
      Object.assign(cell.dataset, { value, ...(lo === null ? {} : { lo, hi }) });
      ScarcePage.html("b", { textContent: text }, words);
      words.append(" ", ScarcePage.html("span", { className: "interval", textContent: interval }));
      cell.append(bar(verdict, ends));
      const title = data.verdicts[verdict];
      const told = ScarcePage.html("span", { className: "verdict", textContent: verdict, title });
      told.dataset.word = verdict;
      word.replaceChildren(told);
      word.dataset.value = verdict;
    } else {
      words.textContent = "–";
      words.classList.add("quiet");
      const told = line.hasAttribute("data-reference") ? "reference" : "–";
      word.replaceChildren(ScarcePage.html("span", { className: "quiet", textContent: told }));
      delete word.dataset.value;
    }
    cell.append(words);
  };
  const heads = (section, now) => {
    const beside = now.problem.beside[now.metric];
    const slots = { score: now.metric, "beside-1": beside[0], "beside-2": beside[1] };
    for (const [slot, metric] of Object.entries(slots)) {
      const head = section.querySelector(`th[data-column="${slot}"]`);
      if (!head || !metric) continue;
      const [title, better] = now.problem.metrics[metric];
      head.querySelector("button").textContent = title;
      head.dataset.better = better;
    }
    return slots;
  };
  const drawnMetrics = new Map();
  const numbers = (section, now) => {
    if ((drawnMetrics.get(section) ?? Object.keys(now.problem.metrics)[0]) === now.metric) return;
    drawnMetrics.set(section, now.metric);
    const slots = heads(section, now);
    for (const line of all("table.results tr[data-row]", section)) {
      const row = now.problem.rows[line.dataset.row];
      for (const [slot, metric] of Object.entries(slots)) {
        const cell = line.querySelector(`[data-slot="${slot}"]`);
        if (cell && metric) score(cell, row, metric);
      }
      if (line.querySelector('[data-slot="gain"]')) gain(line, row, now.metric);
    }
  };

  // Rows: of the view, and of those the family and the name that are asked for

  const filter = () => {
    const now = view();
    if (!now) return;
    const text = state().q.trim().toLowerCase();
    const family = state().family;
    for (const block of all("[data-problem]:not([data-filter])")) {
      block.hidden = block.dataset.problem !== now.key;
    }
    for (const block of all("tbody[data-labelled], .at-budget")) {
      block.hidden = Number(block.dataset.labelled) !== now.labelled;
    }
    for (const block of all("[data-of-metric]")) {
      block.hidden = block.dataset.ofMetric !== now.metric;
    }
    let found = 0, shown = 0;
    for (const row of all("tr[data-filter]")) {
      const own = row.dataset;
      const isTwin = own.repeated !== undefined && now.settings === "all";
      const isIn = (now.settings === "all" || own.settings === now.settings) && !isTwin;
      const atBudget = own.labelled === undefined || Number(own.labelled) === now.labelled;
      const isAsked = (!family || own.family === family) && own.name.toLowerCase().includes(text);
      row.hidden = !(isIn && atBudget && isAsked);
      if (!row.matches(".results tr") || row.closest("section.problem").hidden) continue;
      found += isIn && atBudget;
      shown += !row.hidden;
    }
    const told = shown === found ? "" : `${shown} of ${found} methods shown. The answer, the ` +
      "verdicts and the ranks stay those of the whole leaderboard.";
    for (const line of all('[data-part="told"]')) line.textContent = told;
  };

  // Sorting: the reference first; equal values and rows without a number keep their order

  const tables = all("table.results");
  const orders = new Map(tables.flatMap((table) => [...table.tBodies].map((body) => {
    return [body, [...body.rows]];
  })));
  const valueOf = (row, place) => {
    const cell = row.cells[place];
    const text = cell && cell.colSpan === 1 ? cell.dataset.value : undefined;
    if (text === undefined || text === "") return null;
    return Number.isNaN(Number(text)) ? text.toLowerCase() : Number(text);
  };
  const compare = (a, b, sign) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return a < b ? -sign : a > b ? sign : 0;
  };
  const sort = () => {
    for (const table of tables) {
      const cells = [...table.tHead.rows[0].cells];
      const better = cells[1].dataset.better;
      const standard = `score ${better === "higher" ? "descending" : "ascending"}`;
      const [key, direction] = (state().sort || standard).split(" ");
      const sign = direction === "descending" ? -1 : 1;
      const place = cells.findIndex((head) => head.dataset.column === key);
      for (const head of cells) {
        const isSorted = state().sort && head.dataset.column === key;
        head.setAttribute("aria-sort", isSorted ? direction : "none");
      }
      for (const body of table.tBodies) {
        const keyed = orders.get(body).map((row, index) => {
          const first = row.dataset.row === undefined ? 0 : row.hasAttribute("data-reference") ? 1 : 2;
          return [first, place < 0 ? null : valueOf(row, place), index, row];
        });
        keyed.sort((a, b) => a[0] - b[0] || compare(a[1], b[1], sign) || a[2] - b[2]);
        body.append(...keyed.map((entry) => entry[3]));
      }
    }
  };
  const nextSort = (head) => {
    const first = head.dataset.better === "higher" ? "descending" : "ascending";
    const second = first === "ascending" ? "descending" : "ascending";
    const [key, direction] = state().sort.split(" ");
    if (key !== head.dataset.column) return `${head.dataset.column} ${first}`;
    return direction === first ? `${key} ${second}` : "";
  };

  // Looks

  const looks = () => {
    root.dataset.theme = state().theme || "system";
    root.dataset.layers = state().layers.split(",").join(" ");
    const share = Number(state().opacity);
    root.style.setProperty("--layer", String(share >= 0 && share <= 100 ? share / 100 : 1));
  };
  const columns = () => {
    for (const section of sections) {
      const sets = all(".sets [data-set]", section);
      const chosen = sets.find((one) => one.dataset.set === state().columns);
      section.querySelector(".frame.key").hidden = Boolean(chosen);
      for (const one of sets) one.hidden = one !== chosen;
      const details = section.querySelector(".sets");
      if (details) details.open = Boolean(chosen);
    }
  };
  const caption = (section, now) => {
    const table = section.querySelector("table.results");
    const [title] = now.problem.metrics[now.metric];
    const settings = now.settings === "all" ? "default and tuned" : now.settings;
    const name = section.querySelector("h2").textContent;
    table.dataset.caption = `${name}: ${title} with ${now.labelled} labelled ${now.problem.units}, ` +
      `${settings} settings. Gain over the reference with the same labels; 95% interval, adjusted ` +
      "for all gains at the budget.";
    table.dataset.label = `${now.dataset}-${now.labelled}-${now.settings}-${now.metric}`;
  };
  const draw = () => {
    const now = view();
    if (!now) return;
    for (const section of sections) {
      if (section.hidden) continue;
      answer(section, now);
      numbers(section, now);
      caption(section, now);
    }
    const { labelled, settings, metric, task, dataset } = now;
    ScarceFigures.setView({ labelled, settings, metric, task, dataset });
  };
  onChange([...VIEW, "family", "q"], filter);
  onChange(VIEW, draw);
  onChange([...VIEW, "sort"], sort);
  onChange(["theme", "layers", "opacity"], looks);
  onChange(["columns"], columns);
  document.addEventListener("click", (event) => {
    const head = event.target.closest(".results thead button");
    if (head) set({ sort: nextSort(head.closest("th")) });
  });
})();
