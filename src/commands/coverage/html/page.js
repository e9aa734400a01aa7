"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const get = (id) => document.getElementById(id);
  const search = get("search"), source = get("source"), only = get("only"), panel = get("panel");
  const list = (text) => (text ? text.split(",").map(Number) : []);
  const level = (n) => data.levels.filter((from) => n >= from).length;
  const plural = (n) => n + (n === 1 ? " rule" : " rules");
  const words = data.rules.map((rule) => (rule.n + " " + rule.t).toLowerCase());
  // A rule without sources reads every one.
  const reads = (at) => !source.value || !data.rules[at].s.length || data.rules[at].s.includes(source.value);

  const cells = [...document.querySelectorAll("main [data-id]")].map((node) => ({
    node,
    id: node.dataset.id,
    name: node.dataset.name,
    whole: node.tagName === "BUTTON",
    all: list(node.dataset.rules),
    own: list(node.dataset.own),
    on: node.dataset.on.split(","),
    rules: [],
  }));

  // A source says nothing about techniques of other platforms than its own.
  const within = (cell) => {
    const platforms = data.platforms[source.value];
    return cell.rules.length > 0 || !platforms || cell.on.some((name) => platforms.includes(name));
  };

  function update() {
    const asked = search.value.trim().toLowerCase();
    const covered = new Map();
    for (const cell of cells) {
      cell.rules = cell.all.filter(reads);
      cell.node.hidden = !within(cell);
      const n = cell.rules.length;
      cell.node.className = (cell.whole ? "t l" : "l") + level(n);
      cell.node.title = cell.id + " " + cell.name + ": " + (n ? plural(n) : "no rule");
      if (cell.whole) cell.node.querySelector("b").textContent = n || "";
      if (!cell.node.hidden) covered.set(cell.id, covered.get(cell.id) || n > 0);
    }
    for (const cell of cells.filter((cell) => cell.whole)) {
      const parts = cells.filter((part) => !part.whole && cell.node.contains(part.node));
      const named = [cell, ...parts].some((one) => (one.id + " " + one.name).toLowerCase().includes(asked));
      const fits = !asked || named || cell.rules.some((at) => words[at].includes(asked));
      cell.node.classList.toggle("dim", !fits || (only.checked && cell.rules.length > 0));
    }
    for (const section of document.querySelectorAll("main section")) {
      const shown = cells.filter((cell) => cell.whole && !cell.node.hidden && section.contains(cell.node));
      const inside = shown.filter((cell) => !cell.id.includes("."));
      section.hidden = shown.length === 0;
      section.querySelector(".share").textContent =
        inside.filter((cell) => cell.rules.length).length + "/" + inside.length;
    }
    const count = (id, part) => {
      const ids = [...covered.keys()].filter((name) => name.includes(".") === part);
      const have = ids.filter((name) => covered.get(name)).length;
      const box = get(id);
      box.querySelector("b").textContent = have;
      box.querySelector("small").textContent = "/" + ids.length;
      box.querySelector(".bar i").style.width = (ids.length ? (100 * have) / ids.length : 0) + "%";
      return ids.length - have;
    };
    get("gaps").querySelector("b").textContent = count("techniques", false);
    count("parts", true);
    get("unnamed").querySelector("b").textContent = data.unnamed.filter(reads).length;
  }

  function add(parent, tag, text, kind) {
    const node = document.createElement(tag);
    if (text) node.textContent = text;
    if (kind) node.className = kind;
    parent.append(node);
    return node;
  }

  function rules(indices) {
    for (const at of indices) {
      const rule = data.rules[at];
      const box = add(panel, "div", "", "rule");
      add(box, "p", rule.t);
      const line = add(box, "p");
      add(line, "span", rule.v, "chip " + rule.v);
      if (rule.u) add(line, "span", rule.u, "chip");
      add(line, "code", rule.n + (rule.s.length ? " · " + rule.s.join(", ") : ""));
    }
  }

  function show(cell) {
    panel.replaceChildren();
    const close = add(panel, "button", "×", "close");
    close.setAttribute("aria-label", "Close");
    close.addEventListener("click", hide);
    add(panel, "h2", cell.id + "  " + cell.name);
    const n = cell.rules.length;
    add(panel, "p", n ? plural(n) : "No rule covers it.", n ? "soft" : "gap");
    rules(cell.own.filter(reads));
    const parts = cells.filter((part) => !part.whole && !part.node.hidden && cell.node.contains(part.node));
    for (const part of parts) {
      add(panel, "h3", part.id + "  " + part.name);
      if (!part.rules.length) add(panel, "p", "No rule covers it.", "gap");
      rules(part.rules);
    }
    panel.hidden = false;
    close.focus();
  }

  function hide() {
    panel.hidden = true;
  }

  for (const cell of cells.filter((cell) => cell.whole)) cell.node.addEventListener("click", () => show(cell));
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  search.addEventListener("input", update);
  source.addEventListener("change", () => (hide(), update()));
  only.addEventListener("change", update);
  update();
  // page.html#T1078 opens a technique.
  const linked = cells.find((cell) => cell.whole && cell.id === location.hash.slice(1));
  if (linked) show(linked);
})();
