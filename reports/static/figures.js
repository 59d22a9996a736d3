"use strict";
/* Draws the figures of the page from their specifications, each when it comes near the screen, and
   keeps them at the chosen view. The page is complete without it: a drawing of the first view
   stands in each figure. */
window.ScarceFigures = (() => {
  // As in reports/figures/figure.py.
  const WIDE = 900;
  const NARROW_BELOW = 620;
  const WIDEST_PANEL = 400;
  const PNG_SCALE = 3;
  const NEAR = "600px";
  const RESIZE_DELAY = 150;
  const VIEW = ["labelled", "settings", "metric"];

  const chosen = {}; // signals of all figures
  const own = new WeakMap(); // figure -> signals of this one
  const drawn = new Map(); // figure -> {view, room}
  const specs = new WeakMap(); // figure -> its specification
  const met = new Set(); // figures that came near the screen
  let library = null;

  // ---- The library: an inert script that runs only when a figure is needed

  function loadLibrary() {
    library ??= new Promise((resolve, reject) => {
      const inert = document.getElementById("figure-library");
      if (!inert) {
        reject(new Error("the page carries no drawing library"));
        return;
      }
      const script = document.createElement("script");
      script.textContent = inert.textContent;
      document.head.append(script);
      if (window.vegaEmbed) resolve(window.vegaEmbed);
      else reject(new Error("the drawing library does not run"));
    });
    return library;
  }

  async function embed(target, spec, renderer) {
    const vegaEmbed = await loadLibrary();
    const options = {
      actions: false,
      ast: true, // no "eval": the page's policy forbids it
      defaultStyle: false,
      logLevel: 1,
      renderer,
      tooltip: showTip,
    };
    const result = await vegaEmbed(target, spec, options);
    return result.view;
  }

  // ---- Specifications

  function readSpec(figure) {
    if (!specs.has(figure)) {
      const text = figure.querySelector("script[type='application/json']").textContent;
      specs.set(figure, JSON.parse(text));
    }
    return specs.get(figure);
  }

  /* For drawing: the library marks the values that it is given. */
  function copySpec(figure) {
    return structuredClone(readSpec(figure));
  }

  /* The same as fit_to() in reports/figures/figure.py. */
  function fitTo(spec, room) {
    const meta = spec.usermeta ?? {};
    const fitted = { ...spec, ...(room < NARROW_BELOW ? meta.narrow : {}) };
    if (!meta.panel) {
      const used = Math.min(room, meta.widest ?? room);
      fitted.width = used - fitted.padding.left - fitted.padding.right;
      return fitted;
    }
    const most = Math.max(1, Math.floor(room / meta.panel));
    const lines = Math.ceil(meta.panels / most);
    fitted.columns = Math.ceil(meta.panels / lines); // lines are filled evenly
    const width = Math.min(Math.floor(room / fitted.columns) - meta.margin, WIDEST_PANEL);
    fitted.spec = { ...fitted.spec, width };
    return fitted;
  }

  function setParams(spec, figure) {
    const signals = { ...chosen, ...own.get(figure) };
    const params = (spec.params ?? []).map((param) =>
      param.name in signals ? { ...param, value: signals[param.name] } : param,
    );
    return { ...spec, params };
  }

  /* Colours of the light look, as they stand in files that leave the page. */
  function withLightColours(spec) {
    const probe = document.createElement("span");
    probe.style.colorScheme = "light";
    probe.hidden = true;
    document.body.append(probe);
    const text = JSON.stringify(spec).replace(/var\(--[\w-]+\)/g, (name) => {
      probe.style.color = name;
      return getComputedStyle(probe).color;
    });
    probe.remove();
    return { ...JSON.parse(text), background: "white" };
  }

  // ---- Drawing

  async function draw(figure) {
    met.add(figure);
    figure.toggleAttribute("data-empty", !hasNumbers(figure));
    const place = figure.querySelector(".drawing");
    const room = Math.floor(place.clientWidth);
    const before = drawn.get(figure);
    if (!room || before?.room === room) return;
    const entry = { room, view: null };
    drawn.set(figure, entry);
    const target = document.createElement("div");
    target.ariaHidden = "true"; // the drawing around it has a name; its parts have none
    const spec = setParams(fitTo(copySpec(figure), room), figure);
    const view = await embed(target, spec, "svg");
    if (drawn.get(figure) !== entry) {
      view.finalize(); // another width was asked for meanwhile
      return;
    }
    entry.view = view;
    before?.view?.finalize();
    view.addEventListener("click", (_event, item) => {
      const told = { bubbles: true, detail: item?.datum };
      if (item?.datum) figure.dispatchEvent(new CustomEvent("figure-pick", told));
    });
    place.replaceChildren(target);
    await apply(figure); // what was chosen while the library was read
    figure.dataset.drawn = "";
  }

  async function apply(figure) {
    const view = drawn.get(figure)?.view;
    if (!view) return;
    const signals = { ...chosen, ...own.get(figure) };
    const state = view.getState({ signals: (name) => name in signals, data: () => false });
    for (const name of Object.keys(state.signals)) view.signal(name, signals[name]);
    await view.runAsync();
  }

  /* Whether any of the figure's values belongs to the chosen view. */
  function hasNumbers(figure) {
    const spec = setParams(readSpec(figure), figure);
    const view = spec.params.filter(({ name }) => VIEW.includes(name));
    const fits = (value, name, wanted) =>
      !(name in value) || value[name] === wanted || (name === "settings" && wanted === "all");
    const isShown = (value) => view.every((param) => fits(value, param.name, param.value));
    return spec.data.values.some(isShown);
  }

  /* For all figures, such as {labelled: 4, settings: "default", metric: "dice"}. */
  function setView(view) {
    Object.assign(chosen, view);
    // Figures of another section do not know this view; they follow when theirs is shown again.
    const shown = [...met].filter((figure) => !figure.closest("[hidden]"));
    return Promise.all(shown.map(redraw));
  }

  async function redraw(figure) {
    await draw(figure); // where nothing could be drawn before
    await apply(figure);
  }

  /* Signals of one figure, such as the two methods of a scatter. */
  function setSignals(figure, signals) {
    own.set(figure, { ...own.get(figure), ...signals });
    return apply(figure);
  }

  function watch() {
    const near = new IntersectionObserver(
      (entries) => {
        for (const entry of entries) if (entry.isIntersecting) draw(entry.target);
      },
      { rootMargin: NEAR },
    );
    let waiting = 0;
    const resized = new ResizeObserver(() => {
      clearTimeout(waiting);
      waiting = setTimeout(() => [...drawn.keys()].forEach(draw), RESIZE_DELAY);
    });
    for (const figure of document.querySelectorAll("figure[data-figure]")) {
      near.observe(figure);
      resized.observe(figure);
    }
  }

  // ---- Files

  async function render(figure, kind) {
    const spec = withLightColours(setParams(fitTo(copySpec(figure), WIDE), figure));
    const view = await embed(document.createElement("div"), spec, "none");
    try {
      if (kind === "png") return await view.toImageURL("png", PNG_SCALE);
      const svg = await view.toSVG();
      return URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
    } finally {
      view.finalize();
    }
  }

  async function save(figure, kind) {
    const link = document.createElement("a");
    link.href = await render(figure, kind);
    const names = [figure.dataset.figure, figure.dataset.place, ...Object.values(chosen)];
    link.download = `${names.filter(Boolean).join("_").replace(/[^\w.-]+/g, "_")}.${kind}`;
    link.click();
    if (kind === "svg") setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  // ---- Tooltip

  const tip = document.createElement("div");
  tip.className = "figure-tip";
  tip.hidden = true;

  function showTip(_handler, event, _item, value) {
    const lines = value && typeof value === "object" ? Object.entries(value) : [];
    const told = lines.filter(([, text]) => text !== "" && text !== null && text !== undefined);
    tip.hidden = told.length === 0;
    if (tip.hidden) return;
    tip.replaceChildren(
      ...told.map(([title, text]) => {
        const line = document.createElement("div");
        const name = document.createElement("b");
        name.textContent = title;
        line.append(name, ` ${text}`);
        return line;
      }),
    );
    document.body.append(tip);
    const left = Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
    const below = event.clientY + 16;
    const fits = below + tip.offsetHeight < window.innerHeight;
    const top = fits ? below : event.clientY - tip.offsetHeight - 12;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${Math.max(8, top)}px`;
  }

  document.addEventListener("change", (event) => {
    const select = event.target.closest("select[data-signal]");
    const figure = select?.closest("figure[data-figure]");
    if (figure) setSignals(figure, { [select.dataset.signal]: Number(select.value) });
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-save]");
    if (button) save(button.closest("figure[data-figure]"), button.dataset.save);
  });
  window.addEventListener("scroll", () => (tip.hidden = true), { passive: true });
  // After the first paint: nothing of this delays the page.
  requestAnimationFrame(() => setTimeout(watch));

  return { setView, setSignals, save, render };
})();
