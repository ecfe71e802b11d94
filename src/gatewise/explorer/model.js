/* What the page computes with: the cell, its weights, an input sequence, and the run that follows from them. */
"use strict";

const INPUTS = {
  given: { title: "as given", words: "The sequence that the page was made with." },
  wave: { title: "wave", at: (t) => Math.round(1e4 * Math.sin((2 * Math.PI * (t + 1)) / 12)) / 1e4,
    words: "A slow wave: watch which gates follow the input, and how late the states are." },
  constant: { title: "constant", at: () => 1,
    words: "The same value at every step: states settle, run away or never stop moving." },
  impulse: { title: "one impulse", at: (t) => (t === 1 ? 1 : 0),
    words: "One value, then silence: what is left of it at the end is the cell's memory." },
  gap: { title: "long gap", at: (t, steps) => (t === 1 ? 1 : t === steps - 2 ? -1 : 0),
    words: "Two impulses far apart: does the state still hold the first when the second comes?" },
  alternating: { title: "alternating", at: (t) => (t % 2 === 0 ? 1 : -1),
    words: "Plus and minus in turn: fast units follow, slow units average it away." },
  silence: { title: "silence", at: () => 0,
    words: "No input at all: what moves now, the cell does by itself." },
};

/* What a field holds, within its bounds: null where it holds no number. */
function bounded(value, { min = -Infinity, max = Infinity, whole = false }) {
  if (!Number.isFinite(value)) return null;
  return Math.min(Number(max), Math.max(Number(min), whole ? Math.round(value) : value));
}

/* Takes what is typed into a number field, within its bounds; when the field is left it shows what was taken, and says why. */
function numberField(field, { min, max, whole, get, set, told }) {
  field.min = String(min);
  field.max = String(max);
  const words = `${min} to ${max}`;
  field.title = words;
  field.addEventListener("input", () => {
    const value = bounded(field.valueAsNumber, { min, max, whole });
    if (value !== null) set(value);
  });
  field.addEventListener("change", () => {
    const held = bounded(field.valueAsNumber, { min, max, whole });
    const kept = Number(get().toFixed(3));
    told.textContent = held !== null && held === field.valueAsNumber ? "" : `${words}: ${kept} is taken.`;
    field.value = String(kept);
  });
}

const WEIGHTS = {
  given: { title: "as given", scale: 1, shift: 0, words: "The weights that the page was made with." },
  open: { title: (gate, sign) => `${gate} ${sign > 0 ? "open" : "shut"}`, scale: 1, shift: 4, gate: true,
    words: (gate, sign) => sign > 0 ? "The old state is kept: the cell forgets little, and the gradient comes far."
      : "Little new comes in: what is there stays." },
  shut: { title: (gate, sign) => `${gate} ${sign > 0 ? "shut" : "open"}`, scale: 1, shift: -5, gate: true,
    words: (gate, sign) => sign > 0
      ? "The old state is dropped: each step begins almost afresh, and little of the gradient passes."
      : "Much new comes in at every step; where the same gate lets the old go, it is gone at once." },
  small: { title: "small recurrent weights", scale: 0.5, shift: 0, recurrent: true,
    words: "Recurrent weights × 0.5: what comes back through them shrinks at every step. "
      + "In a plain RNN the gradient vanishes." },
  large: { title: "large recurrent weights", scale: 1.6, shift: 0, recurrent: true,
    words: "Recurrent weights × 1.6: in a plain RNN the gradient explodes as long as the units are "
      + "not saturated. Try it with silence." },
};

/* base64 of little-endian float32 or float64 numbers. */
function decode({ type, data }) {
  const bytes = Uint8Array.from(atob(data), (sign) => sign.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const size = type === "f4" ? 4 : 8;
  const out = new Float64Array(bytes.length / size);
  for (let k = 0; k < out.length; k++) {
    out[k] = size === 4 ? view.getFloat32(4 * k, true) : view.getFloat64(8 * k, true);
  }
  return out;
}

const norm = (vectors) => Math.sqrt(vectors.reduce((total, v) => v.reduce((sum, x) => sum + x * x, total), 0));

class Model {
  constructor(data) {
    this.data = data;
    this.steps = data.steps;
    this.program = new Gatewise.Program(data.program, data.sizes);
    this.derivative = new Gatewise.Program(data.derivative, data.sizes);
    this.drawn = mapped(data.tensors, decode);
    this.given = mapped(data.inputs, (packed, name) => this.rows(decode(packed), this.streamWidth(name)));
    this.initial = mapped(data.initial, decode);
    this.recurrent = data.program.tensors
      .filter(([name, , , , role]) => role === "recurrent" || name === "diagonal_hh").map((row) => row[0]);
    this.keeper = this.findKeeper();
    this.last = this.steps - 1;
    this.unit = null;
    this.reset();
  }

  streamWidth(name) {
    return Gatewise.bind(this.data.program.inputs.find((row) => row[0] === name)[1], this.data.sizes);
  }

  rows(flat, width) {
    return Array.from({ length: this.steps }, (_, t) => flat.slice(t * width, (t + 1) * width));
  }

  /* The bias that opens the gate which keeps the old state: of `retain`, or, the other way round, of `admit`. */
  findKeeper() {
    const { tensors, retain, admit } = this.data.program;
    for (const [gate, sign] of [[retain, 1], [admit, -1]]) {
      for (const [name, , parts, , role] of tensors) {
        if (gate && role === "bias" && parts.some(([part]) => part === gate)) {
          return { gate, sign, at: Gatewise.locate(tensors, `${name}.${gate}`, this.data.sizes) };
        }
      }
    }
    return null;
  }

  reset() {
    this.resetInputs();
    this.resetWeights();
  }

  resetInputs() { this.streams = mapped(this.given, (rows) => rows.map((row) => row.slice())); }

  resetWeights() {
    this.base = mapped(this.drawn, (numbers) => numbers.slice());
    this.scale = 1;
    this.shift = 0;
  }

  presetInput(name) {
    if (name === "given") return this.resetInputs();
    const first = this.data.program.inputs[0][0];
    this.resetInputs();
    this.streams[first].forEach((row, t) => row.fill(INPUTS[name].at(t, this.steps)));
  }

  presetWeights(name) {
    const { scale, shift } = WEIGHTS[name];
    this.resetWeights();
    this.scale = scale;
    this.shift = shift;
  }

  /* Which presets this cell has: a gate's needs a bias on it, the others recurrent weights. */
  weightPresets() {
    return Object.keys(WEIGHTS).filter((name) =>
      (!WEIGHTS[name].gate || this.keeper) && (!WEIGHTS[name].recurrent || this.recurrent.length));
  }

  /* A preset's title or words, which may depend on the gate that it moves. */
  say(text) {
    if (typeof text !== "function") return text;
    const { gate, sign } = this.keeper;
    return text(gate === "f" && sign > 0 ? "forget gate" : `gate ${gate}`, sign);
  }

  /* The weights in use: the base ones, scaled and shifted by the two sliders. */
  apply() {
    this.tensors = mapped(this.base, (numbers, name) =>
      this.recurrent.includes(name) ? numbers.map((x) => x * this.scale) : numbers.slice());
    if (this.keeper) {
      const { at, sign } = this.keeper;
      for (let r = 0; r < at.rows; r++) this.tensors[at.name][at.offset + r] += sign * this.shift;
    }
  }

  setWeight(name, index, value) {
    let kept = value;
    if (this.keeper && name === this.keeper.at.name) {
      const { at, sign } = this.keeper;
      if (index >= at.offset && index < at.offset + at.rows) kept -= sign * this.shift;
    }
    this.base[name][index] = this.recurrent.includes(name) ? kept / this.scale : kept;
  }

  seed() {
    const size = this.program.width(this.program.output);
    const seed = new Float64Array(size);
    if (this.unit === null) seed.fill(1); else seed[this.unit] = 1;
    return seed;
  }

  run() {
    this.apply();
    const { program, derivative, streams, initial, tensors, steps } = this;
    this.trace = Gatewise.forward(program, streams, initial, tensors, steps);
    this.gradient = Gatewise.backward(program, derivative, this.trace, tensors, this.last, this.seed());
    this.norms = this.gradient.states.map((states) => norm(Object.values(states)));
    return this;
  }

  /* A value of a step as it is shown for one width: only the chosen places of it. */
  places(width) { return this.data.shown[String(width)] ?? [0]; }

  /* Plain numbers, for tests and for whoever wants them: window.explorer.numbers(). */
  numbers() {
    const plain = (object) => mapped(object, (v) => Array.from(v));
    const { labels, output } = this.data.program;
    return {
      inputs: mapped(this.streams, (rows) => rows.map((row) => Array.from(row))),
      tensors: plain(this.tensors),
      gates: Object.fromEntries(labels.map(([name, node]) =>
        [name, this.trace.values.map((values) => Array.from(values[node]))])),
      output: this.trace.values.map((values) => Array.from(values[output])),
      states: this.trace.states.map(plain),
      gradient: {
        states: this.gradient.states.map(plain), inputs: this.gradient.inputs.map(plain),
        tensors: plain(this.gradient.tensors), last: this.last,
      },
    };
  }
}

function mapped(object, change) {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value, name)]));
}
