/* Numbers, formulas and pictures: nothing here knows the model. */
"use strict";

const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in element && typeof value !== "string") element[name] = value; else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
};

/* Six signs or so, a real minus, and room for it in front of positive numbers: columns do not jump. */
function show(value) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? " n/a" : value > 0 ? " ∞" : "−∞";
  const size = Math.abs(value);
  const digits = size >= 1000 || (size > 0 && size < 0.0005) ? null : size >= 100 ? 1 : size >= 10 ? 2 : 3;
  const text = digits === null ? size.toExponential(1).replace("e+", "e") : size.toFixed(digits);
  return (value < 0 && Number(size.toFixed(12)) !== 0 ? "−" : "\u2007") + text.replace("e-", "e−");
}

/* "c_{t-1}" with its subscript set low; names in bold. */
function formula(text) {
  const found = document.createDocumentFragment();
  text = text.replaceAll(" - ", " − ");
  const pattern = /([A-Za-zσΣ√]+)((?:_(?:\{[^}]*\}|[A-Za-z0-9]+))+)|1e-0?(\d+)/g;
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    found.append(text.slice(end, match.index));
    if (match[3]) found.append("10", make("sup", {}, `−${match[3]}`));
    else {
      const low = match[2].split("_").slice(1).map((part) => part.replace(/[{}]/g, "").replace("-", "−"));
      found.append(make("i", {}, match[1]), make("sub", {}, low.join(low[0].length > 1 ? " " : ", ")));
    }
    end = match.index + match[0].length;
  }
  found.append(text.slice(end));
  return found;
}

/* The page's colours as numbers, read anew when the scheme changes. */
const Colours = {
  read() {
    const probe = make("i", { style: "display:none" });
    document.body.append(probe);
    for (const name of ["zero", "blue", "orange", "open", "ink", "edge", "line", "paper", "wash", "soft"]) {
      probe.style.color = `var(--${name})`;
      this[name] = getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).map(Number);
    }
    probe.remove();
  },
  css: (rgb) => `rgb(${rgb.map(Math.round).join(" ")})`,
  mix: (from, to, share) => from.map((x, k) => x + (to[k] - x) * share),
  of(value, kind, bound) {
    if (!Number.isFinite(value)) return this.css(this.edge);
    if (kind === "share") return this.css(this.mix(this.zero, this.open, Math.min(Math.max(value, 0), 1)));
    const share = Math.min(Math.abs(value) / bound, 1) ** 0.8;
    return this.css(this.mix(this.zero, value < 0 ? this.orange : this.blue, share));
  },
};

/* The next round number (1, 2 or 5 times a power of ten) that is not below. */
function roundUp(value) {
  if (!(value > 0) || !Number.isFinite(value)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((k) => k * power).find((k) => k >= value * 0.9999);
}

function fit(canvas, height) {
  const ratio = window.devicePixelRatio || 1;
  const width = Math.max(canvas.clientWidth, 1);
  canvas.style.height = `${height}px`;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.setTransform(canvas.width / width, 0, 0, canvas.height / height, 0, 0);
  return { pen, width, height };
}

/* Lines for units, columns for steps; `visible(t)` false leaves a step blank; a frame at the chosen step. */
function heat(canvas, { rows, steps, kind, bound, step, unit, visible = () => true }) {
  const line = rows.length > 6 ? 13 : 16;
  const { pen, width, height } = fit(canvas, Math.max(rows.length * line, 22));
  const [dx, dy] = [width / steps, height / rows.length];
  const gap = dx > 6 ? 1 : 0;
  for (let t = 0; t < steps; t++) {
    rows.forEach((at, k) => {
      pen.fillStyle = visible(t) ? Colours.of(at(t), kind, bound) : Colours.css(Colours.paper);
      pen.fillRect(t * dx, k * dy, dx - gap + (gap ? 0 : 0.5), dy - 1);
    });
  }
  frame(pen, step, dx, height);
  if (rows.length > 1 && unit !== null) {
    pen.fillStyle = Colours.css(Colours.ink);
    pen.fillRect(0, unit * dy + 2, 3, dy - 5);
  }
}

function frame(pen, step, dx, height) {
  pen.lineWidth = 2;
  pen.strokeStyle = Colours.css(Colours.ink);
  pen.strokeRect(step * dx + 1 - (dx > 6 ? 0.5 : 1), 1, Math.max(dx - 2, 2), height - 2);
}

/* Bars up and down from zero: the input, which is changed by dragging. */
function bars(canvas, { at, steps, bound, step }) {
  const { pen, width, height } = fit(canvas, 66);
  const dx = width / steps;
  const middle = height / 2;
  for (let t = 0; t < steps; t++) {
    const value = Math.max(-bound, Math.min(bound, at(t)));
    pen.fillStyle = Colours.css(value < 0 ? Colours.orange : Colours.blue);
    const tall = (Math.abs(value) / bound) * (middle - 4);
    pen.fillRect(t * dx + dx * 0.12, value < 0 ? middle : middle - tall, dx * 0.76, Math.max(tall, 0.5));
  }
  pen.fillStyle = Colours.css(Colours.edge);
  pen.fillRect(0, middle - 0.5, width, 1);
  frame(pen, step, dx, height);
}

/* 10⁻⁶, but 0.01 to 100 as they are. */
function powerOfTen(power) {
  if (Math.abs(power) <= 2) return String(Number((10 ** power).toFixed(2)));
  return "10" + String(power).replace(/[-\d]/g, (sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(sign)]));
}

/* Curves over steps on a logarithmic scale; where a length is zero the curve has a gap. */
function curves(svg, { lines, steps, from }) {
  const [width, height, top, foot] = [Math.max(svg.clientWidth, 60), 168, 10, 22];
  const logs = lines.flatMap((line) => line.values).filter((v) => v > 0 && Number.isFinite(v)).map(Math.log10);
  const high = Math.ceil(Math.max(...logs, 0) + 0.05);
  const low = Math.min(Math.max(Math.floor(Math.min(...logs, -1)), high - 14), high - 2);
  const x = (t) => ((t + 0.5) * width) / steps;
  const y = (value) => top + ((high - Math.log10(value)) / (high - low)) * (height - top - foot);
  const parts = [];
  const every = Math.ceil((high - low) / 5);
  for (let power = low; power <= high; power += every) {
    const level = y(10 ** power).toFixed(1);
    parts.push(`<line x1="0" x2="${width}" y1="${level}" y2="${level}" stroke="var(--line)"/>`);
    parts.push(`<text x="3" y="${(Number(level) - 3).toFixed(1)}">${powerOfTen(power)}</text>`);
  }
  for (const { values, colour, dash, thick } of lines) {
    let path = "";
    let joined = false;
    for (let t = steps - 1; t >= from; t--) {
      const value = values[t];
      const seen = value > 10 ** low && Number.isFinite(value);
      if (seen) path += `${joined ? "L" : "M"}${x(t).toFixed(1)} ${y(value).toFixed(1)}`;
      joined = seen;
    }
    parts.push(`<path d="${path}" fill="none" stroke="${colour}" stroke-width="${thick ? 3 : 2}" `
      + `stroke-dasharray="${dash}" stroke-linejoin="round"/>`);
  }
  const apart = Math.max(1, Math.ceil((steps * 44) / width));
  for (let t = 0; t < steps; t += apart) {
    parts.push(`<text x="${x(t).toFixed(1)}" y="${height - 4}" text-anchor="middle">${t + 1}</text>`);
  }
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.style.height = `${height}px`;
  svg.innerHTML = parts.join("");
}
