/* Runs programs (the JSON of gatewise.spec.serial) and their derivatives over time.

   A value is a Float64Array of its units; one value a row has length 1 and is repeated where it meets more.
   OPERATIONS stands before this text: it is printed from the operation table, so that nothing here knows
   what tanh is. */
"use strict";

const Gatewise = (() => {
  const bind = (width, sizes) => {
    const number = typeof width === "number" ? width : sizes[width];
    if (!(number >= 1)) throw new Error(`no size for the width ${width}`);
    return number;
  };

  /* Where a part "tensor.part" lies in the flat numbers of its tensor. */
  function locate(tensors, reference, sizes) {
    const dot = reference.indexOf(".");
    const [name, wanted] = [reference.slice(0, dot), reference.slice(dot + 1)];
    const [, kind, parts, columns, role, , blocks] = tensors.find((row) => row[0] === name);
    const width = kind === "matrix" ? bind(columns, sizes) / blocks : 1;
    let first = 0;
    for (const [part, size] of parts) {
      const rows = bind(size, sizes);
      if (part === wanted) return { name, part, kind, role, blocks, rows, columns: width, offset: first * width };
      first += rows;
    }
    throw new Error(`no part ${reference}`);
  }

  const count = (row, sizes) => {
    const [, kind, parts, columns, , , blocks] = row;
    const rows = parts.reduce((total, [, width]) => total + bind(width, sizes), 0);
    return kind === "matrix" ? (rows * bind(columns, sizes)) / blocks : rows;
  };

  /* out += W v, or W^T v; a block-diagonal matrix is stored block under block. */
  function product(out, weights, at, vector, transposed) {
    const { rows, columns, blocks, offset } = at;
    const tall = rows / blocks;
    for (let r = 0; r < rows; r++) {
      const start = Math.floor(r / tall) * columns;
      const line = offset + r * columns;
      if (transposed) {
        const factor = vector.length === 1 ? vector[0] : vector[r];
        for (let c = 0; c < columns; c++) out[start + c] += weights[line + c] * factor;
      } else {
        let total = 0;
        for (let c = 0; c < columns; c++) total += weights[line + c] * vector[start + c];
        out[r] += total;
      }
    }
  }

  function pointwise(operation, args, length) {
    const out = new Float64Array(length);
    const [a, b, c] = args;
    const at = (v, k) => (v === undefined ? 0 : v.length === 1 ? v[0] : v[k]);
    for (let k = 0; k < length; k++) out[k] = operation(at(a, k), at(b, k), at(c, k));
    return out;
  }

  class Program {
    constructor(json, sizes) {
      this.json = json;
      this.sizes = sizes;
      this.nodes = json.nodes.map((row) => this.compile(row));
      this.sums = json.sums.map(([tensor, part, args]) => ({
        at: locate(json.gradients, `${tensor}.${part}`, sizes), args,
      }));
    }

    /* One node as a function of what is there: (values so far, inputs, states, tensors) to its value. */
    compile([op, args, attribute, width]) {
      const { json, sizes } = this;
      const size = bind(width, sizes);
      const place = (reference) => locate(json.tensors, reference, sizes);
      if (op in OPERATIONS) {
        const operation = OPERATIONS[op];
        return (values) => {
          const given = args.map((i) => values[i]);
          return pointwise(operation, given, Math.max(...given.map((v) => v.length)));
        };
      }
      switch (op) {
        case "const": return () => Float64Array.of(attribute);
        case "inverse_width": return () => Float64Array.of(1 / bind(attribute, sizes));
        case "input": return (values, inputs) => inputs[attribute];
        case "state": return (values, inputs, states) => states[attribute];
        case "sum": return (values) => Float64Array.of(values[args[0]].reduce((x, y) => x + y, 0));
        case "spread": return (values) => {
          const given = values[args[0]];
          return given.length === size ? given : new Float64Array(size).fill(given[0]);
        };
        case "param": {
          const at = place(attribute);
          return (values, inputs, states, tensors) =>
            tensors[at.name].subarray(at.offset, at.offset + at.rows);
        }
        case "linear": case "linear_t": {
          const places = [].concat(attribute).map(place);
          return (values, inputs, states, tensors) => {
            const out = new Float64Array(size);
            places.forEach((at, k) => product(out, tensors[at.name], at, values[args[k]], op === "linear_t"));
            return out;
          };
        }
        default: throw new Error(`the operation ${op} is not one of a cell's own program`);
      }
    }

    /* All values of one step. */
    step(inputs, states, tensors) {
      const values = [];
      for (const node of this.nodes) values.push(node(values, inputs, states, tensors));
      return values;
    }

    /* The states after a step, each at its full width. */
    next(values) {
      const states = {};
      this.json.states.forEach(([name, width], k) => {
        const value = values[this.json.next[k]];
        const size = bind(width, this.sizes);
        states[name] = value.length === size ? value : new Float64Array(size).fill(value[0]);
      });
      return states;
    }

    get output() { return this.json.output; }
    width(node) { return bind(this.json.nodes[node][3], this.sizes); }
  }

  /* Over all steps. streams: name to a list of vectors; gives values[t][node] and states[t], t = 0 the first. */
  function forward(program, streams, initial, tensors, steps) {
    const values = [];
    const states = [initial];
    for (let t = 0; t < steps; t++) {
      const inputs = {};
      for (const [name] of program.json.inputs) inputs[name] = streams[name][t];
      values.push(program.step(inputs, states[t], tensors));
      states.push(program.next(values[t]));
    }
    return { values, states, streams };
  }

  /* Backwards from one step. seed is the cotangent of the output at step `last`.
     states[k] is d loss / d state k (k = 0 the initial one), inputs[t] d loss / d input, tensors d loss / d weights. */
  function backward(program, derivative, run, tensors, last, seed) {
    const own = program.json;
    const zeros = {};
    const states = [];
    for (const [name, width] of own.states) zeros[name] = new Float64Array(bind(width, program.sizes));
    for (let k = 0; k < run.states.length; k++) states.push(zeros);
    const direct = { ...zeros };
    own.states.forEach(([name], k) => { if (own.next[k] === own.output) direct[name] = seed; });
    states[last + 1] = direct;

    const made = {};
    for (const row of derivative.json.gradients) made[row[0]] = new Float64Array(count(row, derivative.sizes));
    const inputs = run.values.map(() => ({}));
    const silent = new Float64Array(seed.length);
    let carried = {};
    for (const [name] of own.states) carried[`d:${name}`] = zeros[name];
    for (let t = last; t >= 0; t--) {
      const given = {};
      for (const [name] of derivative.json.inputs) given[name] = read(name, t);
      const values = derivative.step(given, carried, tensors);
      carried = derivative.next(values);
      const before = {};
      for (const [name] of own.states) before[name] = carried[`d:${name}`];
      states[t] = before;
      for (const [name, node] of derivative.json.emits) inputs[t][name.slice(2)] = values[node];
      for (const sum of derivative.sums) accumulate(made[sum.at.name], sum, values);
    }
    return { states, inputs, tensors: made, last };

    function read(name, t) {
      if (name === "d:output") return t === last ? seed : silent;
      if (name.startsWith("prev:")) return run.states[t][name.slice(5)];
      if (name.startsWith("saved:")) return run.values[t][Number(name.slice(6))];
      return run.streams[name][t];
    }
  }

  function accumulate(into, { at, args }, values) {
    const u = values[args[0]];
    const v = at.kind === "matrix" ? values[args[1]] : null;
    const tall = at.rows / at.blocks;
    for (let r = 0; r < at.rows; r++) {
      const left = u.length === 1 ? u[0] : u[r];
      if (v === null) { into[at.offset + r] += left; continue; }
      const start = Math.floor(r / tall) * at.columns;
      for (let c = 0; c < at.columns; c++) {
        into[at.offset + r * at.columns + c] += left * (v.length === 1 ? v[0] : v[start + c]);
      }
    }
  }

  return { Program, forward, backward, locate, bind, count };
})();
