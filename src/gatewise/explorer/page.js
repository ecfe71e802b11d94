/* What is shown, and what happens when something is pressed. */
"use strict";

class Page extends Pictures {
  constructor(data) {
    super();
    this.model = new Model(data).run();
    this.at = (id) => document.getElementById(id);
    this.steps = data.steps;
    Object.assign(this, { step: 0, unit: 0, reveal: 0, timer: null, waiting: false });
    this.width = String(data.program.nodes[data.program.next[0]][3]);
    this.input = { stream: data.program.inputs[0][0], place: this.model.places(data.program.inputs[0][1])[0] };
    Colours.read();
    this.buildPresets();
    this.buildControls();
    this.buildSequence();
    this.buildGradient();
    this.buildEquations();
    this.buildEditors();
    this.weights = new WeightEditor(this.model, () => this.changed());
    new ResizeObserver(() => this.draw()).observe(this.at("strips"));
    this.draw();
  }

  /* --- what changes: `moved` draws anew, `changed` computes anew, both once a frame */

  moved() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.draw(); });
  }

  changed() {
    this.stale = true;
    this.moved();
  }

  go(step) {
    this.step = Math.max(0, Math.min(this.steps - 1, step));
    this.moved();
  }

  choose(unit) {
    this.unit = Math.max(0, Math.min(this.model.places(this.width).length - 1, unit));
    this.moved();
  }

  play(backwards) {
    const running = this.timer !== null;
    clearInterval(this.timer);
    this.timer = null;
    if (running) {
      this.reveal = 0;
    } else {
      const { last } = this.model;
      this.step = backwards ? last : this.step >= this.steps - 1 ? 0 : this.step;
      this.reveal = backwards ? last : 0;
      this.timer = setInterval(() => {
        this.go(this.step + (backwards ? -1 : 1));
        if (backwards) this.reveal = this.step;
        if (this.step === (backwards ? 0 : this.steps - 1)) this.play(backwards);
      }, backwards ? 240 : 320);
    }
    this.at("play").textContent = this.timer !== null && !backwards ? "Pause" : "Play";
    this.at("backwards").textContent = this.timer !== null && backwards ? "Stop" : "Play backwards";
    this.moved();
  }

  /* --- building */

  buildPresets() {
    const { model } = this;
    const first = model.given[this.input.stream];
    const isWave = first.every((row, t) => row.every((x) => Math.abs(x - INPUTS.wave.at(t)) < 1e-6));
    this.preset = { input: isWave ? "wave" : "given", weights: "given" };
    const add = (id, kind, names, table, apply) => {
      for (const name of names) {
        const button = make("button", { type: "button", "data-preset": name }, model.say(table[name].title));
        button.addEventListener("click", () => {
          apply(name);
          this.preset[kind] = name;
          this.changed();
        });
        this.at(id).append(button);
      }
    };
    const inputs = Object.keys(INPUTS).filter((name) => name !== "given" || !isWave);
    add("input-presets", "input", inputs, INPUTS, (name) => model.presetInput(name));
    add("weight-presets", "weights", model.weightPresets(), WEIGHTS, (name) => model.presetWeights(name));
  }

  buildControls() {
    const at = this.at;
    const press = (id, action) => at(id).addEventListener("click", action);
    press("first", () => this.go(0));
    press("back", () => this.go(this.step - 1));
    press("forth", () => this.go(this.step + 1));
    press("end", () => this.go(this.steps - 1));
    press("play", () => this.play(false));
    press("backwards", () => this.play(true));
    press("scheme", () => this.switchScheme());
    at("step").max = String(this.steps);
    at("step").addEventListener("input", () => this.go(at("step").valueAsNumber - 1));
    this.model.places(this.width).forEach((place, k) => at("unit").append(make("option", { value: String(k) }, String(place + 1))));
    at("unit").addEventListener("change", () => this.choose(Number(at("unit").value)));
    document.addEventListener("keydown", (event) => this.key(event));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { Colours.read(); this.moved(); });
  }

  key(event) {
    const { target } = event;
    if (event.ctrlKey || event.altKey || event.metaKey || target.closest("input, select, textarea, summary")) return;
    const actions = {
      ArrowLeft: () => this.go(this.step - 1), ArrowRight: () => this.go(this.step + 1),
      ArrowUp: () => this.choose(this.unit - 1), ArrowDown: () => this.choose(this.unit + 1),
      Home: () => this.go(0), End: () => this.go(this.steps - 1), " ": () => this.play(false),
    };
    if (!(event.key in actions) || (event.key === " " && target.closest("button"))) return;
    event.preventDefault();
    actions[event.key]();
  }

  get dark() {
    const named = document.documentElement.dataset.scheme;
    return named ? named === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }

  switchScheme() {
    document.documentElement.dataset.scheme = this.dark ? "light" : "dark";
    Colours.read();
    this.moved();
  }

  inputName() {
    const width = this.model.streamWidth(this.input.stream);
    return width === 1 ? this.input.stream : `${this.input.stream}, feature ${this.input.place + 1}`;
  }

  setInput(step, value) {
    if (!Number.isFinite(value)) return;
    this.model.streams[this.input.stream][step][this.input.place] = value;
    this.preset.input = null;
    this.changed();
  }

  buildEquations() {
    const { model } = this;
    const { nodes } = model.data.program;
    this.equations = model.data.equations.map(({ node, name, text, numbers }) => {
      const [op, , , width] = nodes[node];
      const places = model.places(width);
      const slots = [];
      const slot = (index) => {
        const span = make("span", { class: "number" });
        slots.push([span, index]);
        return span;
      };
      const tag = make("span", { class: "tag" });
      const filled = make("div", { class: "filled" }, tag);
      numbers.replaceAll("⊙", "·").replaceAll(" - ", " − ").split(/⟨(\d+)⟩/).forEach((piece, k) => filled.append(k % 2 ? slot(Number(piece)) : formula(piece)));
      const result = slot(node);
      result.classList.add("result");
      filled.append(" = ", result);
      const line = make("div", { class: "formula" }, make("b", {}, formula(name)), " = ", formula(text));
      const units = make("div", { class: "units", role: "group", "aria-label": `${name} of each unit` });
      const all = places.map((place, k) => {
        const bar = make("i");
        const button = make("button", { type: "button" }, bar);
        if (op !== "sigmoid") button.append(make("span"));
        button.addEventListener("click", () => this.choose(k));
        units.append(button);
        return { button, bar, place };
      });
      this.at("equations").append(make("div", { class: "equation" }, make("div", {}, line, filled), units));
      return { node, slots, tag, all, width, share: op === "sigmoid", tanh: op === "tanh", name };
    });
  }

  buildEditors() {
    const { model } = this;
    const slider = (parent, text, { min, max, step, get, set }) => {
      const range = make("input", { type: "range", min, max, step, "aria-label": text });
      const field = make("input", { type: "number", step, "aria-label": `${text}, as a number` });
      const told = make("output", { class: "soft" });
      range.addEventListener("input", () => set(range.valueAsNumber));
      numberField(field, { min: Number(min), max: Number(max), get, set, told });
      const name = make("label", {}, text);
      parent.append(make("div", { class: "slider" }, name, range, field), told);
      this.sliders.push(() => {
        const value = get();
        range.value = String(value);
        if (field !== document.activeElement) field.value = String(Number(value.toFixed(3)));
      });
      return name;
    };
    this.sliders = [];
    const root = this.at("input-editor");
    const choices = model.data.program.inputs.flatMap(([stream, width]) => model.places(width).map((place) => ({ stream, place })));
    if (choices.length > 1) {
      const select = make("select", { "aria-label": "Which input" });
      choices.forEach((choice, k) => {
        this.input = choice;
        select.append(make("option", { value: String(k) }, this.inputName()));
      });
      this.input = choices[0];
      select.addEventListener("change", () => { this.input = choices[Number(select.value)]; this.moved(); });
      root.append(make("div", { class: "row" }, make("label", {}, "Which ", select)));
    }
    slider(root, "Value", { min: "-3", max: "3", step: "0.05",
      get: () => model.streams[this.input.stream][this.step][this.input.place],
      set: (value) => this.setInput(this.step, value) });
    const scales = this.at("sliders");
    const custom = (apply) => (value) => { apply(value); this.preset.weights = null; this.changed(); };
    if (model.recurrent.length) {
      slider(scales, "Recurrent weights ×", { min: "0.05", max: "3", step: "0.05", get: () => model.scale,
        set: custom((value) => { model.scale = value; }) });
    }
    if (model.keeper) {
      const { gate, sign } = model.keeper;
      slider(scales, `Bias of gate ${gate} ${sign > 0 ? "+" : "−"}`, { min: "-8", max: "8", step: "0.1",
        get: () => model.shift, set: custom((value) => { model.shift = value; }) });
    }
    if (!scales.children.length) scales.append(make("p", { class: "note" }, "This cell has no recurrent matrix and no gate bias to move together."));
    this.at("reset-input").addEventListener("click", () => { model.resetInputs(); this.preset.input = "given"; this.changed(); });
    this.at("reset-weights").addEventListener("click", () => { model.resetWeights(); this.preset.weights = "given"; this.changed(); });
  }

  /* --- drawing */

  draw() {
    if (this.stale) {
      this.stale = false;
      this.model.run();
    }
    const { at, step } = this;
    at("step").value = String(step + 1);
    at("where").textContent = `step ${step + 1} of ${this.steps}`;
    at("unit").value = String(this.unit);
    at("scheme").textContent = this.dark ? "Light" : "Dark";
    at("scheme").setAttribute("aria-pressed", String(this.dark));
    for (const [id, kind] of [["input-presets", "input"], ["weight-presets", "weights"]]) {
      for (const button of at(id).querySelectorAll("button")) {
        button.setAttribute("aria-pressed", String(button.dataset.preset === this.preset[kind]));
      }
    }
    at("preset-words").textContent = [INPUTS[this.preset.input]?.words ?? "An input of your own.",
      this.model.say(WEIGHTS[this.preset.weights]?.words) ?? "Weights of your own."].join(" ");
    for (const strip of this.strips) strip.draw();
    for (const slider of this.sliders) slider();
    this.drawEquations();
    this.drawNumbers();
    this.weights.refresh();
    at("gradient-words").textContent = this.gradientWords();
    if (this.timer === null) this.speak();
  }

  /* The value of a node at this step, at the place that stands for the chosen unit. */
  pick(values, node) {
    const width = String(this.model.data.program.nodes[node][3]);
    const value = values[node];
    if (value.length === 1) return [value[0], 0];
    const places = this.model.places(width);
    const place = width === "input" && places.includes(this.input.place) ? this.input.place : places[this.unit % places.length];
    return [value[place], place];
  }

  drawEquations() {
    const { values } = this.model.trace;
    const now = values[this.step];
    for (const { node, slots, tag, all, width, share, tanh, name } of this.equations) {
      for (const [span, index] of slots) span.textContent = show(this.pick(now, index)[0]);
      const place = this.pick(now, node)[1];
      tag.textContent = width === 1 ? "all units" : `${width === "input" ? "feature" : "unit"} ${place + 1}`;
      let most = 0;
      for (const row of values) for (const { place: p } of all) most = Math.max(most, Math.abs(row[node][p] ?? 0));
      const bound = share || tanh ? 1 : roundUp(most);
      for (const { button, bar, place: p } of all) {
        const value = now[node][now[node].length === 1 ? 0 : p];
        const tall = Math.min(Math.abs(value) / bound, 1) * (share ? 100 : 50);
        bar.className = share ? "share" : value < 0 ? "negative" : "";
        bar.style.height = `${tall}%`;
        bar.style.top = `${share ? 100 - tall : value < 0 ? 50 : 50 - tall}%`;
        button.setAttribute("aria-pressed", String(p === place));
        button.setAttribute("aria-label", `${name}, ${p + 1}: ${show(value).trim()}`);
        button.title = show(value).trim();
      }
    }
  }

  drawNumbers() {
    const { model, step } = this;
    const { labels, nodes, states } = model.data.program;
    const columns = [
      ...labels.map(([name, node]) => [`gate:${name}`, `${name}_t`, nodes[node][3], model.trace.values[step][node]]),
      ...states.map(([name, width]) => [`state:${name}`, `state ${name}_t`, width, model.trace.states[step + 1][name]]),
      ...states.map(([name, width]) => [`gradient:${name}`, `∂loss/∂ ${name}_t`, width, model.gradient.states[step + 1][name]]),
    ];
    const head = make("tr", {}, make("th", {}, "unit"), ...columns.map(([, title]) => make("th", {}, formula(title))));
    const rows = [];
    for (let k = 0; k < Math.max(...columns.map(([, , width]) => model.places(width).length)); k++) {
      const line = make("tr", {}, make("th", { scope: "row" }, String((model.places(this.width)[k] ?? k) + 1)));
      for (const [what, , width, vector] of columns) {
        const place = model.places(width)[k];
        const value = place === undefined ? undefined : vector[place];
        line.append(value === undefined ? make("td") : make("td", { "data-what": what, "data-place": String(place), "data-value": String(value) }, show(value)));
      }
      rows.push(line);
    }
    this.at("numbers").replaceChildren(head, ...rows);
  }

  gradientWords() {
    const { norms, last } = this.model;
    const from = norms[last + 1] > 0 ? last : last - 1;
    const back = from - this.step;
    const [near, here] = [norms[from + 1], norms[this.step + 1]];
    if (this.step > last) return `This step comes after the loss (step ${last + 1}): nothing that happens here can change it.`;
    if (back <= 0) return `The gradient begins here, with a length of ${show(near).trim()}. Go back with ←, or press “Play backwards”.`;
    if (here === 0) return `${back} steps before the loss the gradient is exactly zero: what the state held here cannot be learned from it.`;
    const factor = (here / near) ** (1 / back);
    const verdict = factor < 0.95 ? "It vanishes (below 0.95 a step)." : factor > 1.05 ? "It grows (above 1.05 a step)."
      : "It keeps its length (within 5 % a step).";
    return `${back} step${back > 1 ? "s" : ""} before the loss the gradient has a length of ${show(here).trim()}, from ${show(near).trim()}: `
      + `each step back multiplied it by ${factor.toFixed(2)} on average. ${verdict}`;
  }

  /* What a screen reader hears after a step. */
  speak() {
    const parts = this.equations.map(({ node, name }) => `${name.replace(/_.*/, "")} ${show(this.pick(this.model.trace.values[this.step], node)[0]).trim()}`);
    this.at("spoken").textContent = `Step ${this.step + 1} of ${this.steps}. ${parts.join(", ")}`;
  }
}

window.explorer = new Page(JSON.parse(document.getElementById("data").textContent));
window.explorer.numbers = () => window.explorer.model.numbers();
