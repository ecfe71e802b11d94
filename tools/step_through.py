"""One step of an LSTM with real numbers, for docs/understanding.md: every value that the program computes."""

from __future__ import annotations

import torch

from gatewise import cells
from gatewise.engines.reference import evaluate
from gatewise.spec import Program
from gatewise.spec.operations import OPERATIONS

__all__ = ["STEP", "code", "table", "values"]

# Two inputs, two units. Rows of a matrix are units; gates stand as i, f, g, o.
STEP = {
    "x": [1.0, -0.5],
    "h": [0.2, -0.1],
    "c": [0.5, -0.8],
    "weight_ih": [
        [0.5, -0.2],
        [0.3, 0.8],
        [0.4, 0.1],
        [-0.6, 0.2],
        [0.9, -0.7],
        [-0.3, 0.5],
        [0.2, 0.6],
        [0.7, -0.4],
    ],
    "weight_hh": [
        [0.1, 0.3],
        [-0.2, 0.4],
        [0.5, -0.1],
        [0.2, 0.2],
        [-0.4, 0.6],
        [0.3, 0.1],
        [0.1, -0.5],
        [0.6, 0.2],
    ],
    "bias_ih": [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.1, -0.1],
    "bias_hh": [0.0] * 8,
}
_SYMBOLS = {"weight_ih": "W_{} x_t", "weight_hh": "R_{} h_{{t-1}}", "bias_ih": "b_{}", "bias_hh": ""}


def values() -> tuple[Program, list[list[float]]]:
    """The LSTM's program, and for each of its nodes the numbers of both units, computed in float64."""
    program = cells.get("lstm")
    given = {name: torch.tensor(value, dtype=torch.float64) for name, value in STEP.items()}
    found = evaluate(
        program,
        {"x": given["x"][None]},
        {name: given[name][None] for name in ("h", "c")},
        {spec.name: given[spec.name] for spec in program.tensors},
        {"input": 2, "hidden": 2},
        {},
    )
    return program, [value.flatten().tolist() for value in found]


def table() -> str:
    """What is given, and every value in the order in which it is computed, to four decimals."""
    program, found = values()
    gates = [label.name for label in program.labels]
    rows = [
        "| given | " + " | ".join(f"gate {gate}" for gate in gates) + " |",
        "| --- |" + " --- |" * len(gates),
    ]
    for symbol, tensor in (("W", "weight_ih"), ("R", "weight_hh"), ("b", "bias_ih")):
        parts = (STEP[tensor][2 * k : 2 * k + 2] for k in range(len(gates)))
        rows.append(f"| {symbol} | " + " | ".join(_matrix(part) for part in parts) + " |")
    states = f"x_t = {_matrix(STEP['x'])}, h_{{t-1}} = {_matrix(STEP['h'])}, c_{{t-1}} = {_matrix(STEP['c'])}"
    rows += [
        "",
        f"Further given: `{states}`; b is both biases together.",
        "",
        "| value | unit 1 | unit 2 |",
        "| --- | ---: | ---: |",
    ]
    names = _names(program)
    strong = {label.node for label in program.labels} | set(program.next)
    for index in _order(program, names):
        text = _text(program, index, names)
        shown = f"{names[index]} = {text}" if index in names and index in strong else names.get(index, text)
        mark = "**" if index in strong else ""
        rows.append(f"| `{shown}` | " + " | ".join(f"{mark}{_number(x)}{mark}" for x in found[index]) + " |")
    return "\n".join(rows)


def code() -> str:
    """The same step as a snippet that a reader can run, and what it prints."""
    program, found = values()
    lines = ["```python", "import torch", "from gatewise import nn", "", "layer = nn.LSTM(2, 2)"]
    for name in ("weight_ih", "weight_hh"):
        lines.append(f"{name} = [")
        for k, row in enumerate(STEP[name]):
            lines.append(f"    {row},  # {program.labels[k // 2].name}, unit {k % 2 + 1}")
        lines.append("]")
    lines += ["with torch.no_grad():"]
    lines += [f"    layer.{name}_l0.copy_(torch.tensor({name}))" for name in ("weight_ih", "weight_hh")]
    lines += [f"    layer.bias_ih_l0.copy_(torch.tensor({STEP['bias_ih']}))", "    layer.bias_hh_l0.zero_()"]
    lines += [f"{name} = torch.tensor([[{STEP[name]}]])" for name in ("x", "h", "c")]
    lines += ["output, (h, c) = layer(x, (h, c))"]
    for name, node in zip(("h", "c"), program.next, strict=True):
        lines.append(f"print({name})  # {' '.join(map(_number, found[node]))}")
    return "\n".join([*lines, "```"])


def _order(program: Program, names: dict[int, str]) -> list[int]:
    """The nodes worth a row: for each gate its products, their sum and the gate; then what is made of the gates."""
    chosen: list[int] = []
    for label in program.labels:
        total = program.nodes[label.node].args[0]
        products = [k for k in _terms(program, total) if program.nodes[k].op == "linear"]
        chosen += [*sorted(products, key=lambda k: _rank(names[k])), total, label.node]
    rest = [k for k, node in enumerate(program.nodes) if node.op in OPERATIONS and k not in chosen]
    inside = {k for label in program.labels for k in _sums(program, program.nodes[label.node].args[0])}
    return chosen + [k for k in rest if k not in inside]


def _sums(program: Program, index: int) -> list[int]:
    """The additions that make up a sum, itself among them."""
    if program.nodes[index].op != "add":
        return []
    return [index, *(k for argument in program.nodes[index].args for k in _sums(program, argument))]


def _terms(program: Program, index: int) -> list[int]:
    """What a sum adds up."""
    if program.nodes[index].op != "add":
        return [index]
    return [k for argument in program.nodes[index].args for k in _terms(program, argument)]


def _names(program: Program) -> dict[int, str]:
    """Names of inputs, states, products, gates, their sums, and next states."""
    names = {}
    for index, node in enumerate(program.nodes):
        if node.op == "input":
            names[index] = f"{node.attribute}_t"
        elif node.op == "state":
            names[index] = f"{node.attribute}_{{t-1}}"
        elif node.op in ("linear", "param"):
            tensor, _, part = str(node.attribute).partition(".")
            names[index] = _SYMBOLS[tensor].format(part)
    for label in program.labels:
        total = program.nodes[label.node].args[0]
        parts = sorted((names[k] for k in _terms(program, total) if names[k]), key=_rank)
        names[total] = " + ".join(parts)
        names[label.node] = f"{label.name}_t"
    return names | {node: f"{state.name}_t" for state, node in zip(program.states, program.next, strict=True)}


def _rank(name: str) -> int:
    return "WRb".index(name[0])


def _text(program: Program, index: int, names: dict[int, str]) -> str:
    """A value as an operation on named ones; what a gate squashes stands in the row above."""
    node = program.nodes[index]
    if node.op not in OPERATIONS:
        return names[index]
    gates = {label.node for label in program.labels}
    parts = ["…" if index in gates else names.get(k) or _text(program, k, names) for k in node.args]
    row = OPERATIONS[node.op]
    return row.text.format(**dict(zip(row.arguments, parts, strict=True)))


def _number(value: float) -> str:
    text = f"{value:.4f}"
    return text.removeprefix("-") if float(text) == 0 else text


def _matrix(rows: list) -> str:
    """Rows apart by semicolons, as in `[1, 2; 3, 4]`."""
    if isinstance(rows[0], list):
        return "[" + "; ".join(", ".join(f"{x:g}" for x in row) for row in rows) + "]"
    return "[" + ", ".join(f"{x:g}" for x in rows) + "]"
