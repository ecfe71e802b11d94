/* The pictures over time: which there are, what each shows, and what pressing on one does. */
"use strict";

/* What a page that shows them has besides: model, steps, step, unit, reveal, input, and go, choose, changed, moved. */
class Pictures {
  constructor() {
    this.strips = [];
    this.dragging = null;
  }

  /* One picture with its name and the chosen number; `paint(canvas)` draws it, `value()` gives the number. */
  strip(parent, { name, hint, element, paint, value, pick }) {
    const note = make("small", {}, hint ?? "\u00a0");
    const number = make("output", { class: "number" });
    const line = make("div", { class: "strip" }, make("div", { class: "label" }, formula(name), note), element, number);
    parent.append(line);
    const strip = { name, element, note, draw: () => {
      const said = paint(element);
      if (said) note.textContent = said;
      if (value) number.textContent = show(value());
    } };
    this.strips.push(strip);
    if (pick) this.follow(element, pick);
    return strip;
  }

  /* Pressing and dragging on a picture: pick(step, share of the height). */
  follow(element, pick) {
    const at = (event) => {
      const box = element.getBoundingClientRect();
      const step = Math.floor(((event.clientX - box.left) / box.width) * this.steps);
      pick(Math.max(0, Math.min(this.steps - 1, step)), (event.clientY - box.top) / box.height);
    };
    element.addEventListener("pointerdown", (event) => {
      this.dragging = element;
      element.setPointerCapture(event.pointerId);
      at(event);
    });
    element.addEventListener("pointermove", (event) => { if (this.dragging === element) at(event); });
    for (const end of ["pointerup", "pointercancel"]) {
      element.addEventListener(end, () => { this.dragging = null; this.moved(); });
    }
  }

  /* A heat map of vectors over time. get(t) is the vector of step t. */
  heatStrip(parent, { name, hint, width, kind, least, get, visible, place, label }) {
    const places = this.model.places(width);
    const element = make("canvas", { role: "img", "aria-label": label });
    const chosen = place ?? (() => this.unit % places.length);
    this.strip(parent, {
      name, hint, element,
      paint: (canvas) => {
        let most = least ?? 0;
        if (kind !== "share") for (let t = 0; t < this.steps; t++) for (const p of places) most = Math.max(most, Math.abs(get(t)?.[p] ?? 0));
        const bound = kind === "share" ? 1 : least === 1 && most <= 1 ? 1 : roundUp(most);
        const rows = places.map((p) => (t) => get(t)?.[p] ?? 0);
        heat(canvas, { rows, steps: this.steps, kind, bound, step: this.step, unit: chosen(), visible });
        return hint ?? (kind === "share" ? "0 to 1" : `±${show(bound).trim().replace(/\.?0+$/, "")}`);
      },
      value: () => get(this.step)?.[places[chosen()]] ?? 0,
      pick: (step, share) => {
        if (!place && places.length > 1) this.choose(Math.floor(share * places.length));
        this.go(step);
      },
    });
  }

  buildSequence() {
    const { model } = this;
    const { inputs, labels, nodes, states, output, next, retain, admit } = model.data.program;
    const root = this.at("strips");
    const group = (text) => root.append(make("p", { class: "group" }, text));
    group("Input");
    this.buildInputBars(root);
    const shown = inputs.reduce((total, [, width]) => total + model.places(width).length, 0);
    if (shown > 1) {
      for (const [name, width] of inputs) {
        this.heatStrip(root, { name: `${name}_t`, width, kind: "signed", get: (t) => model.streams[name][t],
          place: () => Math.max(0, this.input.stream === name ? model.places(width).indexOf(this.input.place) : 0),
          label: `input ${name} over time, one line a feature` });
      }
    }
    if (labels.length) group("Gates");
    for (const [name, node] of labels) {
      const [op, , , width] = nodes[node];
      const hint = name === retain ? "keeps the old" : name === admit ? "lets new in" : undefined;
      this.heatStrip(root, { name: `${name}_t`, hint, width, kind: op === "sigmoid" ? "share" : "signed",
        least: op === "tanh" ? 1 : 0, get: (t) => model.trace.values[t][node], label: `gate ${name} over time, one line a unit` });
    }
    group("States, after each step");
    for (const [name, width] of states) {
      this.heatStrip(root, { name: `${name}_t`, width, kind: "signed", get: (t) => model.trace.states[t + 1][name],
        label: `state ${name} over time, one line a unit` });
    }
    if (!next.includes(output)) {
      group("Output");
      const name = states.some(([state]) => state === "h") ? "y_t" : "h_t";
      this.heatStrip(root, { name, width: nodes[output][3], kind: "signed",
        get: (t) => model.trace.values[t][output], label: "output over time, one line a unit" });
    }
  }

  buildInputBars(root) {
    const canvas = make("canvas", { role: "img", class: "bars", "aria-label": "the input that can be changed by dragging" });
    const value = (t) => this.model.streams[this.input.stream][t][this.input.place];
    let bound = 2;
    this.strip(root, {
      name: "input", element: canvas,
      paint: () => {
        if (this.dragging !== canvas) {
          bound = 2;
          for (let t = 0; t < this.steps; t++) bound = Math.max(bound, roundUp(Math.abs(value(t))));
        }
        bars(canvas, { at: value, steps: this.steps, bound, step: this.step });
        return `${this.inputName()}, ±${bound}`;
      },
      value: () => value(this.step),
      pick: (step, share) => {
        const wanted = Math.max(-1, Math.min(1, (0.5 - share) * 2.13)) * bound;
        this.setInput(step, Math.round(wanted * 20) / 20);
        this.go(step);
      },
    });
  }

  buildGradient() {
    const { model } = this;
    const { states, inputs, nodes, output } = model.data.program;
    const root = this.at("gradient");
    const holder = make("template");
    holder.innerHTML = '<svg role="img" aria-label="length of the gradient over time, on a logarithmic scale"></svg>';
    const svg = holder.content.firstChild;
    const styles = [["var(--blue)", ""], ["var(--orange)", "7 4"], ["var(--soft)", "2 4"], ["var(--edge)", "9 3 2 3"]];
    const style = (k) => styles[k % styles.length];
    const lines = () => {
      const own = states.map(([name], k) => ({ colour: style(k)[0], dash: style(k)[1],
        values: model.gradient.states.slice(1).map((row) => norm([row[name]])) }));
      const all = { colour: "var(--ink)", dash: "", thick: true, values: model.norms.slice(1) };
      return states.length > 1 ? [all, ...own] : [{ ...own[0], thick: true }];
    };
    const keys = make("div", { class: "keys" });
    const key = (text, colour, dash) => keys.append(make("span", {}, formula(text),
      make("i", { class: "key", style: `color:${colour};border-top-style:${dash ? "dashed" : "solid"}` })));
    if (states.length > 1) key("all states", "var(--ink)", "");
    states.forEach(([name], k) => key(`${name}_t`, ...style(k)));
    const curve = this.strip(root, { name: "", element: svg, value: () => model.norms[this.step + 1],
      paint: () => curves(svg, { lines: lines(), steps: this.steps, from: this.reveal }) });
    curve.element.previousSibling.replaceChildren(make("small", {}, "length, log scale"), keys);
    const visible = (t) => t >= this.reveal && t <= model.last;
    for (const [name, width] of states) {
      this.heatStrip(root, { name: `∂loss/∂ ${name}_t`, width, kind: "signed", visible,
        get: (t) => model.gradient.states[t + 1][name], label: `gradient of the state ${name} over time` });
    }
    for (const [name, width] of inputs.filter(([stream]) => model.gradient.inputs[0][stream])) {
      this.heatStrip(root, { name: `∂loss/∂ ${name}_t`, width, kind: "signed", visible,
        get: (t) => model.gradient.inputs[t][name], label: `gradient of the input ${name} over time` });
    }
    const of = this.at("of");
    of.append(make("option", { value: "" }, "the sum of all outputs"));
    for (const place of model.places(nodes[output][3])) of.append(make("option", { value: String(place) }, `output ${place + 1}`));
    of.addEventListener("change", () => { model.unit = of.value === "" ? null : Number(of.value); this.changed(); });
    const last = this.at("last");
    last.value = String(model.last + 1);
    numberField(last, { min: 1, max: this.steps, whole: true, told: this.at("last-told"), get: () => model.last + 1,
      set: (value) => { model.last = value - 1; this.changed(); } });
  }
}
