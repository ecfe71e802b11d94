"""Programs as people read them: equations in plain text and LaTeX, C++ text, and a page of documentation."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from gatewise.spec.builder import below
from gatewise.spec.cell import Cell
from gatewise.spec.operations import OPERATIONS
from gatewise.spec.program import Node, Program, TensorSpec, Width
from gatewise.spec.stages import Stage, stages

__all__ = ["Equation", "cpp", "equations", "equations_latex", "equations_text", "page"]


@dataclass(frozen=True)
class Equation:
    """One equation of a program, to be read and to be followed with numbers.

    Attributes:
        node: The value that it defines.
        name: How it is called.
        text: What it is, in plain text.
        numbers: The same with each value that it reads as the number of its node in ``⟨ ⟩``.
    """

    node: int
    name: str
    text: str
    numbers: str


def equations(program: Program) -> list[Equation]:
    """The cell's equations in the order in which they can be computed, each with what it reads.

    Example:
        >>> from gatewise import cells
        >>> line = equations(cells.get("rnn_tanh", bias=False))[0]
        >>> line.name, line.text, line.numbers
        ('h_t', 'tanh(W_h x_t + R_h h_{t-1})', 'tanh(⟨1⟩ + ⟨3⟩)')
    """
    text, numbers = _Equations(program, _Text()), _Numbers(program, _Text())
    found = []
    for index in text.order():
        written = text.expression(index)[0]
        # What is itself a sum over units or a product has no numbers of one unit to be followed with.
        whole = program.nodes[index].op in ("linear", "linear_t", "sum")
        found.append(
            Equation(index, text.names[index], written, written if whole else numbers.expression(index)[0])
        )
    return found


def equations_text(program: Program) -> list[str]:
    """The cell's equations in plain text, one for each gate and state.

    Example:
        >>> from gatewise import cells
        >>> equations_text(cells.get("rnn_tanh", bias=False))
        ['h_t = tanh(W_h x_t + R_h h_{t-1})']
    """
    return _Equations(program, _Text()).lines()


def equations_latex(program: Program) -> list[str]:
    """The same in LaTeX.

    Example:
        >>> from gatewise import cells
        >>> equations_latex(cells.get("rnn_tanh", bias=False))[0]
        'h_t = \\\\tanh\\\\left(W_{h} x_t + R_{h} h_{t-1}\\\\right)'
    """
    return _Equations(program, _Latex()).lines()


class _Text:
    """How leaves and structure look in plain text."""

    template = "text"

    def name(self, base: str, part: str = "") -> str:
        return f"{base}_{part}" if part else base

    def at(self, name: str, when: str) -> str:
        return f"{name}_{{{when}}}" if when != "t" else f"{name}_t"

    def product(self, weight: str, vector: str, transposed: bool = False) -> str:
        return f"{weight}ᵀ {vector}" if transposed else f"{weight} {vector}"

    def call(self, function: str, inner: str) -> str:
        return f"{function}({inner})"


class _Latex(_Text):
    """How they look in LaTeX."""

    template = "latex"

    def name(self, base: str, part: str = "") -> str:
        plain = base.replace("_", r"\_")
        head = plain if len(base) == 1 else rf"\mathrm{{{plain}}}"
        if not part:
            return head
        tail = part.replace("_", r"\_")
        return f"{head}_{{{tail}}}" if len(part) == 1 else rf"{head}_{{\mathrm{{{tail}}}}}"

    def at(self, name: str, when: str) -> str:
        head = name if len(name) == 1 else self.name(name)
        return f"{head}_t" if when == "t" else f"{head}_{{{when}}}"

    def product(self, weight: str, vector: str, transposed: bool = False) -> str:
        return f"{weight}^\\top {vector}" if transposed else f"{weight} {vector}"

    def call(self, function: str, inner: str) -> str:
        return rf"\operatorname{{{function}}}\left({inner}\right)"


class _Equations:
    """Writes one equation for each gate, each next state, the output, and what is used more than once."""

    def __init__(self, program: Program, style: _Text) -> None:
        self.program, self.style = program, style
        self.users = program.users()
        self.gate_names = {label.node: label.name for label in program.labels}
        self.names: dict[int, str] = {}
        self.written: dict[int, tuple[str, int]] = {}
        states = {s.name for s in program.states}
        for label in program.labels:
            if program.nodes[label.node].args:
                name = f"{label.name}g" if label.name in states else label.name
                self.names[label.node] = style.at(name, "t")
        for state, node in zip(program.states, program.next, strict=True):
            if program.nodes[node].args:
                self.names[node] = style.at(state.name, "t")
        if program.output is not None and program.output not in program.next:
            self.names[program.output] = style.at("h" if "h" not in states else "y", "t")
        self._name_shared()

    def _name_shared(self) -> None:
        """Values that are used in more than one place get a name of their own."""
        inner = {i for node in range(len(self.program.nodes)) for i in self._normalisation(node)[1]}
        count = 0
        for index, node in enumerate(self.program.nodes):
            outside = [user for user in self.users[index] if user not in inner]
            shared = len(outside) > 1 and node.args and index not in inner
            if shared and index not in self.names and node.op not in ("linear", "sum", "spread"):
                count += 1
                self.names[index] = self.style.at(self.style.name("a", str(count)), "t")

    def lines(self) -> list[str]:
        """The equations in the order in which they can be computed."""
        return [f"{self.names[index]} = {self.expression(index)[0]}" for index in self.order()]

    def order(self) -> list[int]:
        """Gates in their declared order where they can be, everything after what it needs."""
        gates = [label.node for label in self.program.labels if label.node in self.names]
        waiting = gates + [index for index in sorted(self.names) if index not in gates]
        needs = {index: self._named_below(index) for index in waiting}
        order: list[int] = []
        while waiting:
            ready = next(index for index in waiting if needs[index] <= set(order))
            order.append(ready)
            waiting.remove(ready)
        return order

    def _named_below(self, index: int) -> set[int]:
        found: set[int] = set()
        stack = list(self.program.nodes[index].args)
        while stack:
            current = stack.pop()
            if current in self.names:
                found.add(current)
            else:
                stack.extend(self.program.nodes[current].args)
        return found

    def text(self, index: int, least: int = 0) -> str:
        """A value inside an equation, in parentheses where it binds less than it must."""
        if index in self.names:
            return self.names[index]
        written, precedence = self.expression(index)
        return f"({written})" if precedence < least else written

    def expression(self, index: int) -> tuple[str, int]:
        """What a value is, and how strongly it binds."""

        def spelt_out(current: int) -> list[int]:
            return [i for i in self.program.nodes[current].args if i not in self.names]

        for current in below(index, spelt_out, self.written):
            self.written[current] = self._expression(current)
        return self.written[index]

    def _expression(self, index: int) -> tuple[str, int]:
        program, style, node = self.program, self.style, self.program.nodes[index]
        vector, _ = self._normalisation(index)
        if vector is not None:
            return style.call("norm", self.text(vector)), 3
        if node.op == "const":
            return f"{node.attribute:g}", 3
        if node.op in ("input", "state"):
            return style.at(str(node.attribute), "t" if node.op == "input" else "t-1"), 3
        if node.op == "param":
            return self.parameter(str(node.attribute)), 3
        if node.op == "linear":
            return style.product(self.parameter(str(node.attribute)), self.text(node.args[0], 3)), 2
        if node.op == "linear_t":
            terms = [
                style.product(self.parameter(str(r)), self.text(a, 3), transposed=True)
                for r, a in zip(node.attribute, node.args, strict=True)  # type: ignore[arg-type]
            ]
            return " + ".join(terms), 1
        if node.op == "sum":
            return style.call("sum", self.text(node.args[0])), 3
        if node.op == "spread":
            return self.expression(node.args[0])
        if node.op == "inverse_width":
            return f"1/{program.nodes[index].attribute}", 2
        if node.op == "keep":
            return style.call("keep", f"{node.attribute[1]:g}"), 3  # type: ignore[index]
        return self.pointwise(node)

    def pointwise(self, node: Node) -> tuple[str, int]:
        """An operation by its row's template."""
        row = OPERATIONS[node.op]
        template: str = getattr(row, self.style.template)
        binds = row.precedence
        fraction = node.op == "div" and self.style.template == "latex"
        texts = {}
        for position, (name, argument) in enumerate(zip(row.arguments, node.args, strict=True)):
            least = 0 if binds == 3 or fraction else binds
            if position == 1 and node.op in ("sub", "div") and not fraction:
                least = binds + 1
            texts[name] = self.text(argument, least)
        return template.format(**texts), 3 if fraction else binds

    def parameter(self, reference: str) -> str:
        """The name of a part of a parameter tensor, as papers write it."""
        tensor, _, part = reference.partition(".")
        known = {"weight_ih": "W", "weight_hh": "R", "weight_hr": "P", "diagonal_hh": "u"}
        if tensor == "weight_hr":
            return self.style.name("P")
        if tensor in known:
            return self.style.name(known[tensor], part)
        if tensor in ("bias_ih", "bias_hh"):
            both = any(t.name == "bias_hh" for t in self.program.tensors)
            return self.style.name("b", f"{'W' if tensor == 'bias_ih' else 'R'}{part}" if both else part)
        return self.style.name(tensor.removeprefix("weight_"), "" if part in ("all", tensor[7:]) else part)

    def _normalisation(self, index: int) -> tuple[int | None, set[int]]:
        """The vector that a value normalises, and the values in between, where it is a layer norm."""
        nodes = self.program.nodes
        found = self._scaled(index)
        if found is None:
            return None, set()
        centred, inverse = found
        inside = {index, centred, inverse, *nodes[inverse].args}
        stack = [*nodes[nodes[inverse].args[1]].args, nodes[centred].args[1]]
        vector = nodes[centred].args[0]
        while stack:
            current = stack.pop()
            inside.add(current)
            stack.extend(a for a in nodes[current].args if a not in inside and a != vector)
        sums = [i for i in inside if nodes[i].op == "sum"]
        return (vector, inside - {vector}) if len(sums) == 2 else (None, set())

    def _scaled(self, index: int) -> tuple[int, int] | None:
        """(v - m, 1 / sqrt(s)) where a value is their product."""
        nodes = self.program.nodes
        if nodes[index].op != "mul":
            return None
        for centred, inverse in (nodes[index].args, nodes[index].args[::-1]):
            root = nodes[nodes[inverse].args[1]] if nodes[inverse].op == "div" else None
            if root is not None and root.op == "sqrt" and nodes[centred].op == "sub":
                return centred, inverse
        return None


class _Numbers(_Equations):
    """The same equations with places for the numbers of a step: what is named, leaves and matrix products."""

    def text(self, index: int, least: int = 0) -> str:
        """A value inside an equation: its place, or its own expression."""
        node = self.program.nodes[index]
        pointwise = node.op in OPERATIONS and self._normalisation(index)[0] is None
        if index in self.names or (node.op != "const" and not pointwise):
            return f"⟨{index}⟩"
        return super().text(index, least)


def cpp(program: Program, pick: Callable[[int], bool] | None = None) -> list[str]:
    """The pointwise operations as C++ statements over ``v0, v1, ...``; engines fill in the rest.

    Args:
        program: What to print.
        pick: Which nodes to print; all pointwise ones by default.

    Example:
        >>> from gatewise import cells
        >>> cpp(cells.get("rnn_tanh", bias=False))[-1]
        'v5 = tanh(v4);'
    """
    lines = []
    for index, node in enumerate(program.nodes):
        if node.op in OPERATIONS and (pick is None or pick(index)):
            row = OPERATIONS[node.op]
            names = dict(zip(row.arguments, (f"v{i}" for i in node.args), strict=True))
            body = re.sub(r"\b([abc])\b", partial(_named, names), row.cpp)
            lines.append(f"v{index} = {body};")
    return lines


def _named(names: dict[str, str], match: re.Match[str]) -> str:
    return names[match.group(1)]


def _shape_text(tensor: TensorSpec) -> str:
    def total(widths: list[Width]) -> str:
        counts: dict[str, int] = {}
        for width in widths:
            counts[str(width)] = counts.get(str(width), 0) + 1
        return " + ".join(f"{n} {w}" if n > 1 else w for w, n in counts.items())

    rows = total([width for _, width in tensor.parts])
    if tensor.columns is None:
        return f"({rows},)"
    return f"({rows}, {tensor.columns}{f' / {tensor.blocks}' if tensor.blocks > 1 else ''})"


def page(cell: Cell | Program) -> str:
    """A page of documentation in Markdown, made from the program alone.

    Example:
        >>> from gatewise import cells
        >>> page(cells.get("gru")).splitlines()[0]
        '# `gru`: GRU, reset after'
    """
    program = cell.program() if isinstance(cell, Cell) else cell
    options = cell.options if isinstance(cell, Cell) else {}
    lines = [f"# `{program.name}`: {program.title}", "", program.doc, "", f"Source: {program.cite}.", ""]
    lines += ["## Equations", "", "```math", r"\begin{aligned}"]
    lines += [line.replace(" = ", " &= ", 1) + r" \\" for line in equations_latex(program)]
    lines += [r"\end{aligned}", "```", "", "In plain text:", "", "```text"]
    lines += [*equations_text(program), "```", ""]
    lines += ["## Parameters", "", "| tensor | shape | parts | role |", "| --- | --- | --- | --- |"]
    for tensor in program.tensors:
        parts = ", ".join(name for name, _ in tensor.parts)
        lines.append(f"| `{tensor.name}` | {_shape_text(tensor)} | {parts} | {tensor.role} |")
    streams = ", ".join(f"`{s.name}` ({s.width})" for s in program.inputs)
    carried = ", ".join(f"`{s.name}` ({s.width})" for s in program.states)
    lines += ["", "## Properties", "", f"- Inputs: {streams}. States: {carried}."]
    if options:
        lines.append(f"- Options: {', '.join(f'`{name}={value!r}`' for name, value in options.items())}.")
    product, linear = program.has_recurrent_product, program.is_linear_in_state
    lines.append(
        f"- Matrix product inside the step: {'yes' if product else 'no, a streaming kernel can run it'}."
    )
    lines.append(f"- Linear in its state: {'yes, a parallel scan can run it' if linear else 'no'}.")
    where = [_stage_text(program, k, stage) for k, stage in enumerate(stages(program))]
    lines += [
        "",
        "## Stages",
        "",
        "| stage | opens with | reads | writes |",
        "| --- | --- | --- | --- |",
        *where,
    ]
    return "\n".join(lines) + "\n"


def _stage_text(program: Program, number: int, stage: Stage) -> str:
    opening = [f"`{name}`" for name in stage.products]
    if stage.sums:
        opening.append(f"{stage.sums} sums over units")
    name = "before the loop" if stage.hoisted else f"{number}"
    leaves = sorted({str(program.nodes[i].attribute) for i in stage.reads if not program.nodes[i].args})
    inner = sum(1 for i in stage.reads if program.nodes[i].args)
    reads = [f"`{leaf}`" for leaf in leaves] + ([f"{inner} values"] if inner else [])
    return (
        f"| {name} | {', '.join(opening) or 'pointwise'} | {', '.join(reads)} | {len(stage.writes)} values |"
    )
