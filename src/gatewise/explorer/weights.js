/* The weights as tables of numbers: gate by gate, each entry editable, one of them on a slider. */
"use strict";

class WeightEditor {
  constructor(model, changed) {
    this.model = model;
    this.changed = changed;
    this.at = (id) => document.getElementById(id);
    this.cells = [];
    this.groups = this.findGroups();
    this.chosen = null;
    for (const name of Object.keys(this.groups)) {
      const button = make("button", { type: "button", "aria-pressed": "false" }, name);
      button.addEventListener("click", () => this.open(name));
      this.at("groups").append(button);
    }
    this.at("selected").addEventListener("input", (event) => this.set(this.chosen, Number(event.target.value)));
    this.open(Object.keys(this.groups)[0]);
  }

  /* Parts that belong to one gate stand together; what belongs to none is "others". */
  findGroups() {
    const { tensors, labels } = this.model.data.program;
    const gates = labels.map(([name]) => name);
    const groups = {};
    for (const name of gates) groups[`gate ${name}`] = [];
    for (const [tensor, , parts] of tensors) {
      for (const [part] of parts) {
        const group = gates.includes(part) ? `gate ${part}` : "others";
        const at = Gatewise.locate(tensors, `${tensor}.${part}`, this.model.data.sizes);
        const width = String(parts.find(([name]) => name === part)[1]);
        const columns = tensors.find(([name]) => name === tensor)[3];
        (groups[group] ??= []).push({ ...at, width, from: columns });
      }
    }
    return Object.fromEntries(Object.entries(groups).filter(([, list]) => list.length));
  }

  open(name) {
    this.group = name;
    for (const button of this.at("groups").children) {
      button.setAttribute("aria-pressed", String(button.textContent === name));
    }
    this.cells = [];
    const list = this.groups[name];
    const tables = list.filter((at) => at.kind === "matrix").map((at) => this.matrix(at));
    for (const width of new Set(list.filter((at) => at.kind === "vector").map((at) => at.width))) {
      tables.push(this.vectors(list.filter((at) => at.kind === "vector" && at.width === width), width));
    }
    this.at("tables").replaceChildren(...tables);
    this.select(this.cells[0]);
    this.refresh();
  }

  rows(width) {
    const { sizes } = this.model.data;
    return this.model.data.shown[width] ?? [...Array(Math.min(Gatewise.bind(Number(width) || width, sizes), 8)).keys()];
  }

  title(at) { return at.part === "all" || at.name.endsWith(at.part) ? at.name : `${at.name}, ${at.part}`; }

  matrix(at) {
    const columns = at.blocks === 1 ? this.rows(String(at.from)) : [...Array(Math.min(at.columns, 8)).keys()];
    const letter = this.multiplied(at);
    const head = columns.map((c) => `${letter} ${c + 1}`);
    return this.table(`${this.title(at)}${at.blocks > 1 ? ` (${at.blocks} blocks)` : ""}`, head,
      this.rows(at.width).map((r) => [r, columns.map((c, k) => ({ at, index: at.offset + r * at.columns + c,
        name: `${this.title(at)}: unit ${r + 1} from ${head[k]}` }))]));
  }

  /* What a matrix multiplies: the name of a stream or state, or "v" for a value in between. */
  multiplied({ name, part }) {
    const { nodes } = this.model.data.program;
    const row = nodes.find(([op, , attribute]) => op === "linear" && attribute === `${name}.${part}`);
    const [op, , attribute] = row ? nodes[row[1][0]] : [];
    return op === "input" || op === "state" ? attribute : "v";
  }

  vectors(list, width) {
    return this.table(width === "hidden" ? "one number a unit" : `one number a ${width} place`,
      list.map((at) => this.title(at)),
      this.rows(width).map((r) => [r, list.map((at) => ({ at, index: at.offset + r,
        name: `${this.title(at)}: unit ${r + 1}` }))]));
  }

  table(caption, head, rows) {
    const table = make("table", {}, make("tr", {}, make("th", {}, "unit"), ...head.map((text) => make("th", {}, text))));
    for (const [r, entries] of rows) {
      const line = make("tr", {}, make("th", { scope: "row" }, String(r + 1)));
      for (const entry of entries) {
        const input = make("input", { type: "number", step: "0.05", "aria-label": entry.name });
        entry.input = input;
        input.addEventListener("focus", () => this.select(entry));
        input.addEventListener("input", () => { if (input.value !== "") this.set(entry, input.valueAsNumber); });
        this.cells.push(entry);
        line.append(make("td", {}, input));
      }
      table.append(line);
    }
    return make("figure", {}, make("figcaption", {}, caption), make("div", { class: "scroll" }, table));
  }

  select(entry) {
    this.chosen = entry;
    for (const cell of this.cells) cell.input.toggleAttribute("aria-current", false);
    if (entry) entry.input.setAttribute("aria-current", "true");
    this.refresh();
  }

  set(entry, value) {
    if (!entry || !Number.isFinite(value)) return;
    this.model.setWeight(entry.at.name, entry.index, value);
    this.changed();
  }

  /* The tables follow the weights; what is being typed is left alone. */
  refresh() {
    const { tensors, gradient } = this.model;
    if (!tensors) return;
    for (const { at, index, input } of this.cells) {
      const value = tensors[at.name][index];
      if (input !== document.activeElement) input.value = String(Number(value.toFixed(3)));
      const colour = Colours.mix(Colours.paper, value < 0 ? Colours.orange : Colours.blue, Math.min(Math.abs(value) / 2, 1) * 0.38);
      input.style.background = Colours.css(colour);
    }
    if (!this.chosen) return;
    const { at, index, name } = this.chosen;
    const value = tensors[at.name][index];
    const slider = this.at("selected");
    slider.max = String(Math.max(4, roundUp(Math.abs(value))));
    slider.min = `-${slider.max}`;
    slider.value = String(value);
    this.at("selected-name").textContent = name;
    this.at("selected-value").textContent = show(value);
    this.at("selected-gradient").textContent = show(gradient.tensors[at.name]?.[index] ?? 0);
  }
}
