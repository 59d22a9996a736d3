"use strict";
/* Copies tables of the page, as they are on screen, as LaTeX, Markdown or CSV.

   A table with data-copy and an id can be copied; buttons come from copy.html.j2. Cells may carry
   data-copy-text (instead of their text), data-value, data-lo and data-hi (numbers in full, for CSV)
   and data-best (bold). Parts of a cell with data-copy-skip are left out. */
(() => {
  // ---- Texts: no DOM. A grid has caption, label, heads and bodies of rows of cells.

  const LATEX = {
    "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}",
    "<": "\\textless{}", ">": "\\textgreater{}", "|": "\\textbar{}",
    "[": "{[}", "]": "{]}", "*": "{*}", "†": "$\\dagger$", "−": "$-$", "±": "$\\pm$",
    "×": "$\\times$", "≤": "$\\leq$", "≥": "$\\geq$", "↑": "$\\uparrow$", "↓": "$\\downarrow$",
  };
  const NUMBER = /^[-−+]?(\d[\d,]*)?\.?\d+(e[-+]?\d+)?%?$/i;
  const FORMULA = /^'*[=+\-@\t\r]/;
  const onOneLine = (text) => text.split(/\s+/).filter(Boolean).join(" ");
  const withMinus = (text) => text.replace(/(^|[\s([])-(?=[\d.])/g, "$1−");

  // As reports/formats/latex.py does.
  const escapeLatex = (text) =>
    onOneLine(text).replace(/[\\~^<>|&%$#_{}[\]*†−±×≤≥↑↓]|-(?=-)/g, (sign) => {
      if (sign === "-") return "-{}";
      return LATEX[sign] ?? `\\${sign}`;
    });
  const escapeMarkdown = (text) =>
    onOneLine(text).replace(/[\\`*[\]<>|~&$#]|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])/g, "\\$&");

  const isNumeric = (grid, column) => {
    const texts = grid.bodies.flat().filter((row) => row[column] && row[column].span === 1)
      .map((row) => row[column].text).filter(Boolean);
    return texts.length > 0 && texts.every((text) => /^[-−+]?[\d.]+|^n\/a$/.test(text));
  };

  const latex = (grid) => {
    const line = (cells) => `${cells.join(" & ")} \\\\`;
    const shown = (cell) => {
      const text = escapeLatex(withMinus(cell.text));
      const strong = cell.best ? `\\textbf{${text}}` : text;
      return cell.span > 1 ? `\\multicolumn{${cell.span}}{l}{${strong}}` : strong;
    };
    // A cell that spans columns stands for those that follow it.
    const row = (cells) => line(cells.filter((cell) => !cell.covered).map(shown));
    const letters = grid.heads.map((_, column) => (isNumeric(grid, column) ? "r" : "l")).join("");
    return [
      "% Needs \\usepackage{booktabs}.",
      "\\begin{table}",
      "\\centering",
      `\\caption{${escapeLatex(grid.caption)}}`,
      `\\label{tab:${grid.label.replace(/[^0-9A-Za-z]+/g, "-")}}`,
      `\\begin{tabular}{${letters}}`,
      "\\toprule",
      line(grid.heads.map((head) => escapeLatex(head))),
      ...grid.bodies.flatMap((body) => ["\\midrule", ...body.map(row)]),
      "\\bottomrule",
      "\\end{tabular}",
      "\\end{table}",
      "",
    ].join("\n");
  };

  const markdown = (grid) => {
    const line = (cells) => `| ${cells.join(" | ")} |`;
    const shown = (cell) => {
      const text = escapeMarkdown(withMinus(cell.text));
      return cell.best ? `**${text}**` : text;
    };
    const rules = grid.heads.map((_, column) => (isNumeric(grid, column) ? "---:" : "---"));
    return [
      line(grid.heads.map((head) => escapeMarkdown(head))),
      line(rules),
      ...grid.bodies.flat().map((row) => line(row.map(shown))),
      "",
      escapeMarkdown(grid.caption),
      "",
    ].join("\n");
  };

  const csvField = (text) => {
    const plain = NUMBER.test(text) ? text.replace("−", "-") : text;
    const safe = FORMULA.test(plain) && !NUMBER.test(plain) ? `'${plain}` : plain;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const csv = (grid) => {
    const rows = grid.bodies.flat();
    // A column whose cells know their interval has two more behind it.
    const ranged = grid.heads.map((_, column) => rows.some((row) => row[column]?.lo !== undefined));
    const heads = grid.heads.flatMap((head, column) =>
      ranged[column] ? [head, `${head} low`, `${head} high`] : [head]);
    const fields = (cell, column) => {
      if (ranged[column]) return [cell.value ?? cell.text, cell.lo ?? "", cell.hi ?? ""];
      return [NUMBER.test(cell.text) ? cell.value ?? cell.text : cell.text];
    };
    const lines = [heads, ...rows.map((row) => row.flatMap(fields))];
    return lines.map((line) => `${line.map(csvField).join(",")}\n`).join("");
  };

  // ---- Reading a table as it is on screen

  const SKIPPED = "svg, script, style, [data-copy-skip], [hidden], [aria-hidden='true']";
  const isSeen = (element) => element.getClientRects().length > 0;
  const words = (node) => {
    if (node.nodeType === Node.TEXT_NODE) return node.data;
    if (node.nodeType !== Node.ELEMENT_NODE || node.matches(SKIPPED)) return "";
    const { display } = getComputedStyle(node);
    if (display === "none") return "";
    const inside = node.tagName === "BR" ? " " : [...node.childNodes].map(words).join("");
    return display === "inline" ? inside : ` ${inside} `;
  };
  const textOf = (element) => element.dataset.copyText ?? onOneLine(words(element));

  const cellOf = (element) => ({
    text: textOf(element),
    value: element.dataset.value,
    lo: element.dataset.lo,
    hi: element.dataset.hi,
    best: element.dataset.best !== undefined && element.dataset.best !== "false",
    span: 1,
    covered: false,
  });
  // Cells by column; one that spans columns or rows is followed by empty ones.
  const rowsOf = (elements) => {
    const rows = [];
    const below = new Map(); // column -> rows that a cell above still covers
    for (const element of elements.filter(isSeen)) {
      const row = [];
      const coverFromAbove = () => {
        while (below.get(row.length) > 0) {
          below.set(row.length, below.get(row.length) - 1);
          row.push({ text: "", span: 1, best: false, covered: false });
        }
      };
      for (const part of [...element.cells].filter(isSeen)) {
        coverFromAbove();
        for (let number = 0; number < part.colSpan; number += 1) {
          if (part.rowSpan > 1) below.set(row.length, part.rowSpan - 1);
          const first = { ...cellOf(part), span: part.colSpan };
          row.push(number === 0 ? first : { text: "", span: 1, best: false, covered: true });
        }
      }
      coverFromAbove();
      rows.push(row);
    }
    return rows;
  };
  // Of several lines of heads, those of one column are joined.
  const headsOf = (lines) => {
    const width = Math.max(0, ...lines.map((line) => line.length));
    return Array.from({ length: width }, (_, column) =>
      lines.map((line) => line[column]?.text ?? "").filter(Boolean).join(" "));
  };
  const readTable = (table) => {
    const heads = headsOf(rowsOf([...(table.tHead?.rows ?? [])]));
    const bodies = [...table.tBodies].map((body) => rowsOf([...body.rows]));
    const caption = table.dataset.caption ?? (table.caption ? textOf(table.caption) : "");
    const filled = bodies.filter((body) => body.length > 0);
    return { caption, label: table.dataset.label ?? table.id, heads, bodies: filled };
  };

  // ---- Buttons

  const NAMES = { latex: "LaTeX", markdown: "Markdown", csv: "CSV", text: "text" };
  const WRITERS = { latex, markdown, csv };

  const toClipboard = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return false; // no permission, or a page that browsers do not trust with it
    }
  };
  const showForCopying = (text) => {
    const dialog = document.createElement("dialog");
    const title = document.createElement("h2");
    const area = document.createElement("textarea");
    const close = document.createElement("button");
    title.textContent = "Copy this text";
    title.id = "copy-title";
    dialog.setAttribute("aria-labelledby", title.id);
    area.setAttribute("aria-labelledby", title.id);
    area.readOnly = true;
    area.rows = 16;
    area.value = text;
    area.style.width = "100%";
    close.type = "button";
    close.textContent = "Close";
    close.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => dialog.remove());
    dialog.append(title, area, close);
    document.body.append(dialog);
    dialog.showModal();
    area.focus();
    area.select();
  };
  const copy = async (button) => {
    const source = document.getElementById(button.dataset.copyOf);
    const format = button.dataset.copyAs;
    const text = format === "text" ? source.textContent : WRITERS[format](readTable(source));
    const status = button.closest("[role='group']").querySelector("[role='status']");
    if (await toClipboard(text)) {
      status.textContent = `Copied as ${NAMES[format]}.`;
      return;
    }
    status.textContent = "This browser does not let pages copy: the text is shown and selected.";
    showForCopying(text);
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy-as]");
    if (button) copy(button);
  });

  globalThis.tableTexts = { latex, markdown, csv, escapeLatex, readTable };
})();
