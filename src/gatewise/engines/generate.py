"""Prints a program as torch source text and compiles it: the step that the time loop runs.

The text is made of the operation table's torch forms over numbered variables; names from the program never
enter it. ``source(program)`` shows it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F

from gatewise.engines.reference import product
from gatewise.engines.schedule import LOOP, POST, PRE, STATIC, Schedule, schedule
from gatewise.spec.operations import OPERATIONS
from gatewise.spec.program import Program

__all__ = ["loop_function", "source", "step_function"]

# Operations whose torch form takes numbers only as tensors.
_NEEDS_TENSOR = ("maximum", "minimum", "greater", "select")


def source(program: Program, *, scan: bool = False) -> str:
    """The generated torch text of a program's run over time.

    Example:
        >>> from gatewise import cells
        >>> "for t in order" in source(cells.get("gru"))
        True
    """
    return _Writer(program, schedule(program, scan), scan).loop_text()


@lru_cache(maxsize=1024)
def loop_function(program: Program, scan: bool = False) -> Callable[..., Any]:
    """The compiled run over time; see :mod:`gatewise.engines.executor` for its arguments."""
    return _compile(source(program, scan=scan))


@lru_cache(maxsize=1024)
def step_function(program: Program) -> Callable[..., Any]:
    """The compiled single step: (inputs, states, tensors, masks, widths, like) -> (output, emits, next states)."""
    return _compile(_Writer(program, schedule(program), False).step_text())


def _compile(text: str) -> Callable[..., Any]:
    space: dict[str, Any] = {"torch": torch, "F": F, "product": product}
    exec(compile(text, "<gatewise program>", "exec"), space)
    function: Callable[..., Any] = space["run"]
    return function


class _Writer:
    """Writes one program; ``w`` holds the numbers that its widths stand for."""

    def __init__(self, program: Program, plan: Schedule, scan: bool) -> None:
        self.program, self.plan, self.scan = program, plan, scan
        self.tensor_index = {tensor.name: k for k, tensor in enumerate(program.tensors)}
        self.state_index = {state.name: k for k, state in enumerate(program.states)}
        self.input_index = {stream.name: k for k, stream in enumerate(program.inputs)}
        self.single = False
        self.written: set[int] = set()

    # --- whole texts

    def loop_text(self) -> str:
        """def run(inputs, states, tensors, masks, w, like, order, steps, prev, following): all steps."""
        lines = ["def run(inputs, states, tensors, masks, w, like, order, steps, prev, following):"]
        body = self.phase(STATIC) + self.phase(PRE)
        if not self.scan and self.program.states:
            body += self.loop()
        elif self.scan:
            body += [f"v{i} = prev[{self.state_index[str(n.attribute)]}]"
                     for i, n in enumerate(self.program.nodes) if n.op == "state"]  # fmt: skip
            for k, node in enumerate(self.program.next):
                if self.plan.phases[node] == POST and self.program.nodes[node].op != "state":
                    body.append(f"v{node} = following[{k}]")
                    self.written.add(node)
            body.append("final = ()")
        else:
            body.append("final = ()")
        body += self.phase(POST)
        wanted = ", ".join(self.value(i, tensor=True) for i in self.plan.wanted)
        body.append(f"return ({wanted}{',' if wanted else ''}), final")
        return "\n".join(lines + [f"    {line}" for line in body]) + "\n"

    def step_text(self) -> str:
        """def run(inputs, states, tensors, masks, w, like): one step."""
        self.single = True
        body: list[str] = []
        for phase in (STATIC, PRE, LOOP, POST):
            body += self.phase(phase)
        for group in ("output", "emits", "next"):
            nodes = {
                "output": [] if self.program.output is None else [self.program.output],
                "emits": [node for _, node in self.program.emits],
                "next": list(self.program.next),
            }[group]
            listed = ", ".join(self.value(i, tensor=True) for i in nodes)
            body.append(f"{group} = ({listed}{',' if listed else ''})")
        body.append("return output, emits, next")
        return (
            "\n".join(["def run(inputs, states, tensors, masks, w, like):"] + [f"    {b}" for b in body])
            + "\n"
        )

    def loop(self) -> list[str]:
        """The time loop."""
        program, plan = self.program, self.plan
        crossing = sorted(
            {
                argument
                for index, node in enumerate(program.nodes)
                if plan.phases[index] == LOOP
                for argument in node.args
                if plan.phases[argument] == PRE
            }
            | {node for node in program.next if plan.phases[node] == PRE}
        )
        lines = [f"p{i} = v{i}.unbind(0)" for i in crossing]
        lines += [f"r{i} = [None] * steps" for i in plan.recorded]
        lines += [f"q{self.state_index[name]} = [None] * steps" for name in plan.recorded_states]
        lines += [f"s{k} = states[{k}]" for k in range(len(program.states))]
        lines.append("for t in order:")
        inner = [f"q{self.state_index[name]}[t] = s{self.state_index[name]}" for name in plan.recorded_states]
        inner += [f"l{i} = p{i}[t]" for i in crossing]
        inner += self.phase(LOOP)
        inner += [f"r{i}[t] = l{i}" for i in plan.recorded]
        names = ", ".join(f"s{k}" for k in range(len(program.states)))
        values = ", ".join(self.inside(i) for i in program.next)
        inner.append(f"{names} = {values}")
        lines += [f"    {line}" for line in inner]
        lines += [f"v{i} = torch.stack(r{i})" for i in plan.recorded]
        for index, node in enumerate(program.nodes):
            if node.op == "state" and node.attribute in plan.recorded_states:
                lines.append(f"v{index} = torch.stack(q{self.state_index[str(node.attribute)]})")
        lines.append(f"final = ({names},)")
        return lines

    # --- phases and nodes

    def phase(self, phase: str) -> list[str]:
        """The lines of one phase."""
        lines: list[str] = []
        for index, node in enumerate(self.program.nodes):
            if self.plan.phases[index] != phase or index in self.written:
                continue
            if node.op == "state" and not self.single:
                continue
            lines += self.node(index, phase)
        return lines

    def inside(self, index: int) -> str:
        """A value as the loop sees it."""
        node = self.program.nodes[index]
        if self.plan.phases[index] == STATIC or self.single:
            return self.value(index)
        if node.op == "state":
            return f"s{self.state_index[str(node.attribute)]}"
        return f"l{index}"

    def value(self, index: int, tensor: bool = False) -> str:
        """A value outside the loop; numbers are written out unless a tensor is needed."""
        node = self.program.nodes[index]
        if node.op == "const" and not tensor:
            return f"({node.attribute!r})"
        return f"v{index}"

    def node(self, index: int, phase: str) -> list[str]:
        """The lines of one node; products with the same vector are one product."""
        node = self.program.nodes[index]
        in_loop = phase == LOOP and not self.single
        name = f"l{index}" if in_loop else f"v{index}"
        seen = self.inside if in_loop else self.value
        self.written.add(index)
        if node.op == "const":
            return [f"{name} = like.new_full((), {node.attribute!r})"]
        if node.op == "input":
            return [f"{name} = inputs[{self.input_index[str(node.attribute)]}]"]
        if node.op == "state":
            return [f"{name} = states[{self.state_index[str(node.attribute)]}]"]
        if node.op == "keep":
            return [f"{name} = masks[{index}]"]
        if node.op == "inverse_width":
            width = node.attribute if isinstance(node.attribute, str) else int(node.attribute)  # type: ignore[arg-type]
            return [f"{name} = 1.0 / {self.size(width)}"]
        if node.op == "param":
            return [f"{name} = {self.rows([str(node.attribute)])}"]
        if node.op == "linear":
            return self.linear(index, name, seen, phase)
        if node.op == "linear_t":
            return [self.linear_t(index, name, seen)]
        if node.op == "sum":
            return [f"{name} = {seen(node.args[0])}.sum(-1, keepdim=True)"]
        if node.op == "spread":
            return [self.spread(index, name, seen)]
        return [f"{name} = {self.pointwise(index, seen)}"]

    def pointwise(self, index: int, seen: Callable[[int], str]) -> str:
        """The table's torch form over the arguments' names."""
        node = self.program.nodes[index]
        row = OPERATIONS[node.op]
        names = [
            f"v{i}" if node.op in _NEEDS_TENSOR and self.program.nodes[i].op == "const" else seen(i)
            for i in node.args
        ]
        by_name = dict(zip(row.arguments, names, strict=True))
        return re.sub(r"\b([abc])\b", lambda match: by_name[match.group(1)], row.torch)

    def size(self, width: str | int) -> str:
        """The number behind a width."""
        return str(width) if isinstance(width, int) else f"w[{width!r}]"

    def spread(self, index: int, name: str, seen: Callable[[int], str]) -> str:
        """One value a row over all units."""
        node = self.program.nodes[index]
        size = self.size(node.width)
        if self.program.varies[node.args[0]]:
            value = seen(node.args[0])
            return f"{name} = {value}.expand(*{value}.shape[:-1], {size})"
        return f"{name} = torch.zeros({size}, dtype=like.dtype, device=like.device) + {seen(node.args[0])}"

    # --- matrices

    def rows(self, references: list[str]) -> str:
        """The stacked rows of some parts of one tensor."""
        spec = self.program.tensor(references[0].split(".")[0])
        base = f"tensors[{self.tensor_index[spec.name]}]"
        parts = [spec.part_index(r.split(".")[1]) for r in references]
        if parts == list(range(len(spec.parts))):
            return base
        offsets = ["0"]
        for _, width in spec.parts:
            offsets.append(f"{offsets[-1]} + {self.size(width)}")
        if parts == list(range(parts[0], parts[0] + len(parts))):
            return f"{base}[{offsets[parts[0]]}:{offsets[parts[-1] + 1]}]"
        pieces = ", ".join(f"{base}[{offsets[k]}:{offsets[k + 1]}]" for k in parts)
        return f"torch.cat([{pieces}])"

    def linear(self, index: int, name: str, seen: Callable[[int], str], phase: str) -> list[str]:
        """One product for all parts of a tensor that meet the same vector in this phase."""
        node = self.program.nodes[index]
        spec = self.program.tensor(str(node.attribute).split(".")[0])
        vector = node.args[0]
        if spec.blocks > 1:
            return [f"{name} = product({seen(vector)}, {self.rows([str(node.attribute)])}, {spec.blocks})"]
        group = {
            str(other.attribute): k
            for k, other in enumerate(self.program.nodes)
            if other.op == "linear" and other.args == node.args and self.plan.phases[k] == phase
            and str(other.attribute).split(".")[0] == spec.name
        }  # fmt: skip
        order = sorted(group, key=lambda reference: spec.part_index(reference.split(".")[1]))
        self.written.update(group.values())
        prefix = name[0]
        call = f"F.linear({seen(vector)}, {self.rows(order)})"
        if len(order) == 1:
            return [f"{name} = {call}"]
        names = ", ".join(f"{prefix}{group[reference]}" for reference in order)
        widths = dict(spec.parts)
        sizes = ", ".join(self.size(widths[reference.split(".")[1]]) for reference in order)
        return [f"{names} = {call}.split([{sizes}], -1)"]

    def linear_t(self, index: int, name: str, seen: Callable[[int], str]) -> str:
        """Transposed products over several parts: one product over the joined vectors."""
        node = self.program.nodes[index]
        references = [str(reference) for reference in node.attribute]  # type: ignore[union-attr]
        spec = self.program.tensor(references[0].split(".")[0])
        if spec.blocks > 1:
            terms = [
                f"product({seen(a)}, {self.rows([r])}, {spec.blocks}, True)"
                for a, r in zip(node.args, references, strict=True)
            ]
            return f"{name} = {' + '.join(terms)}"
        if len(references) == 1:
            return f"{name} = {seen(node.args[0])} @ {self.rows(references)}"
        listed = list(dict.fromkeys(references))
        if len(listed) < len(references):
            terms = [f"{seen(a)} @ {self.rows([r])}" for a, r in zip(node.args, references, strict=True)]
            return f"{name} = {' + '.join(terms)}"
        joined = ", ".join(seen(a) for a in node.args)
        return f"{name} = torch.cat([{joined}], -1) @ {self.rows(references)}"
