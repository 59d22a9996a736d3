"use strict";
/* The page works without these scripts, which choose what is shown and open windows.
   All state is in the hash of the address; a part of the page registers what it draws from it. */
const ScarcePage = (() => {
  const data = JSON.parse(document.getElementById("board-data").textContent);
  const DEFAULTS = {
    task: "", dataset: "", labelled: "", settings: "", metric: "",
    family: "", q: "", sort: "", columns: "", theme: "",
    case: "", source: "", layers: "reference,prediction", opacity: "100",
    across: "", up: "", at: "",
  };
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const html = (name, properties, parent) => {
    const element = Object.assign(document.createElement(name), properties);
    if (parent) parent.append(element);
    return element;
  };

  // State and address

  const decoded = (text) => {
    try {
      return decodeURIComponent(text);
    } catch {
      return ""; // such as "50%"
    }
  };
  // Links to older pages name a share of the labels and a variant.
  const renamed = (given) => {
    const { fraction, variant, ...rest } = given;
    if (variant === "default" || variant === "tuned") rest.settings ??= variant;
    if (fraction !== undefined && rest.labelled === undefined) {
      const budgets = Object.values(data.problems).flatMap((problem) => problem.budgets);
      const match = budgets.find((budget) => Math.abs(budget[1] - Number(fraction)) < 1e-5);
      if (match) rest.labelled = String(match[0]);
    }
    return rest;
  };
  const read = () => {
    const text = location.hash.slice(1);
    if (text && !text.includes("=")) return { ...DEFAULTS, at: decoded(text) };
    const given = renamed(Object.fromEntries(new URLSearchParams(text)));
    const entries = Object.entries(DEFAULTS).map(([key, value]) => [key, given[key] ?? value]);
    return Object.fromEntries(entries);
  };
  const write = () => {
    const changed = Object.entries(state).filter(([key, value]) => value !== DEFAULTS[key]);
    const hash = new URLSearchParams(changed).toString();
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
  };
  let state = read();
  let shown = {};
  const views = [];
  const onChange = (keys, draw) => views.push([keys, draw]);
  const set = (changes) => {
    state = { ...state, ...changes };
    write();
    show();
  };
  // Each part is drawn again only when something that it reads has changed.
  const show = () => {
    const changed = new Set(Object.keys(state).filter((key) => state[key] !== shown[key]));
    shown = { ...state };
    for (const [keys, draw] of views) if (keys.some((key) => changed.has(key))) draw();
  };

  // The view: what the state asks for, where the data have it, and the first choice otherwise

  const problemKey = () => {
    const keys = Object.keys(data.problems);
    const fits = (key) => {
      const { task, dataset } = data.problems[key];
      return [[task, state.task], [dataset, state.dataset]].filter(([own, wanted]) => {
        return !wanted || own === wanted;
      }).length;
    };
    return keys.reduce((best, key) => (fits(key) > fits(best) ? key : best), keys[0]);
  };
  const view = () => {
    const key = problemKey();
    const problem = data.problems[key];
    if (!problem) return null;
    const chosen = (options, wanted) => (options.includes(wanted) ? wanted : options[0]);
    return {
      key, problem, task: problem.task, dataset: problem.dataset,
      labelled: Number(chosen(problem.budgets.map((one) => String(one[0])), state.labelled)),
      settings: chosen(problem.settings, state.settings),
      metric: chosen(Object.keys(problem.metrics), state.metric),
    };
  };

  // Controls: every input with data-state mirrors one key

  const controls = () => {
    const now = view();
    for (const input of all("[data-state]")) {
      const key = input.dataset.state;
      const isOfView = ["task", "dataset", "labelled", "settings", "metric"].includes(key);
      const value = isOfView && now ? String(now[key]) : state[key];
      if (input.type === "radio") input.checked = input.value === value;
      else if (input.type === "checkbox") input.checked = value.split(",").includes(input.value);
      else if (input.value !== value) input.value = value;
    }
  };
  const listen = (input) => {
    const key = input.dataset.state;
    const changes = ["search", "range"].includes(input.type) ? "input" : "change";
    input.addEventListener(changes, () => {
      if (input.type !== "checkbox") return set({ [key]: input.value });
      const boxes = all(`[data-state="${key}"]`, input.closest("fieldset"));
      return set({ [key]: boxes.filter((box) => box.checked).map((box) => box.value).join(",") });
    });
  };

  // Links inside the page: the address keeps the state, of which `at` is one part

  const go = () => {
    const target = state.at && document.getElementById(state.at);
    if (!target) return;
    for (let one = target; one; one = one.parentElement) {
      if (one.tagName === "DETAILS") one.open = true;
    }
    target.scrollIntoView();
    const focused = target.tagName === "DETAILS" ? target.querySelector("summary") : target;
    if (focused.tabIndex < 0) focused.tabIndex = -1;
    focused.focus({ preventScroll: true });
  };
  const follow = (event) => {
    const link = event.target.closest('a[href^="#"]');
    if (!link || link.closest("svg")) return;
    event.preventDefault();
    state.at = shown.at = "";
    set({ at: link.getAttribute("href").slice(1) });
  };

  const start = () => {
    document.documentElement.dataset.js = "";
    for (const button of all("button[disabled]")) button.disabled = false;
    all("[data-state]").forEach(listen);
    document.addEventListener("click", follow);
    window.addEventListener("hashchange", () => {
      state = read();
      show();
    });
    onChange(Object.keys(DEFAULTS), controls);
    onChange(["at"], go);
    show();
  };
  return { data, all, html, view, set, onChange, start, state: () => state };
})();
