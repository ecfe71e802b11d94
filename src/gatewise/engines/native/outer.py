"""What torch computes around the kernel: products over all steps at once, before and after the time loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gatewise.engines.executor import RunResult, gradient, outer_products
from gatewise.engines.native.parts import PRODUCTS, InputProduct, Parts
from gatewise.engines.reference import product, random_masks, torch_form, weight_part
from gatewise.spec.operations import OPERATIONS
from gatewise.spec.program import Program, TensorSpec, bind

__all__ = ["Outer"]


@dataclass(frozen=True)
class _Joined:
    """An input product for given sizes.

    Attributes:
        vector: The node that is multiplied.
        position, spec: The matrix.
        names: Its parts that are used; ``whole`` where these are all of them in order.
        nodes: What comes out, by part.
        widths: By part.
        biases: Position of each vector that is added, and its parts by member; None for all of them in order.
    """

    vector: int
    position: int
    spec: TensorSpec
    names: tuple[str, ...]
    whole: bool
    nodes: tuple[int, ...]
    widths: list[int]
    biases: tuple[tuple[int, tuple[str | None, ...] | None], ...]


class Outer:
    """The parts of a program that lie outside its time loop, for given sizes."""

    def __init__(
        self, program: Program, division: Parts, sizes: dict[str, int], panels: tuple[tuple[int, ...], ...]
    ) -> None:
        self.program, self.parts, self.sizes, self.panels = program, division, sizes, panels
        self.specs = {spec.name: (k, spec) for k, spec in enumerate(program.tensors)}
        self.leaf_streams = {
            index: [stream.name for stream in program.inputs].index(str(program.nodes[index].attribute))
            for index in division.ready if program.nodes[index].op == "input"
        }  # fmt: skip
        steps: list[tuple[int, int | _Joined]] = [(index, index) for index in division.front]
        steps += [
            (min(m.chain[0] for m in group.members), self._joined(group))
            for group in division.inputs if not group.ahead
        ]  # fmt: skip
        self.order = [step for _, step in sorted(steps, key=lambda pair: pair[0])]
        self.ahead = {g: self._joined(group) for g, group in enumerate(division.inputs) if group.ahead}
        self.masked = any(
            program.nodes[i].op == "keep"
            for index in division.front + division.back
            for i in program.nodes[index].args
        )
        self.joined_sums = self._joined_sums()
        self.place = {
            index: (p, sum(bind(program.nodes[i].width, sizes) for i in group[:k]))
            for p, group in reversed(list(enumerate(panels))) for k, index in enumerate(group)
        }  # fmt: skip

    def _joined_sums(self) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
        """Gradients that are one product with one panel, or the sum of one: by tensor (panel, other factor)."""
        found = {}
        for spec in self.program.gradients:
            entries = [entry for entry in self.program.sums if entry.tensor == spec.name]
            by_part = {entry.part: entry for entry in entries}
            group = tuple(by_part[part].args[0] for part, _ in spec.parts if part in by_part)
            seconds = {entry.args[1:] for entry in entries}
            alone = len(entries) == len(spec.parts) == len(group) and len(seconds) == 1
            if alone and spec.blocks == 1 and group in self.panels:
                found[spec.name] = (group, next(iter(seconds)))
        return found

    def _joined(self, group: InputProduct) -> _Joined:
        """What a call needs to know of an input product."""
        position, spec = self.specs[group.tensor]
        names = tuple(member.part for member in group.members)
        widths = dict(spec.parts)
        biases: list[tuple[int, tuple[str | None, ...] | None]] = []
        for name in dict.fromkeys(b.partition(".")[0] for member in group.members for b in member.biases):
            own, bias_spec = self.specs[name]
            found = tuple(
                next((b for b in member.biases if b.startswith(f"{name}.")), None) for member in group.members
            )
            whole = [f"{name}.{part}" for part, _ in bias_spec.parts]
            biases.append((own, None if list(found) == whole else found))
        return _Joined(
            group.vector, position, spec, names, names == tuple(part for part, _ in spec.parts),
            tuple(member.chain[-1] for member in group.members),
            [bind(widths[name], self.sizes) for name in names], tuple(biases),
        )  # fmt: skip

    # --- before

    def static(self, tensors: Sequence[Tensor], dtype: torch.dtype) -> dict[int, Tensor]:
        """Values without a batch axis, by node: (width,), or one number."""
        values: dict[int, Tensor] = {}
        for index in self.parts.static:
            node = self.program.nodes[index]
            if node.op == "const":
                values[index] = torch.full((), float(node.attribute), dtype=dtype, device="cpu")  # type: ignore[arg-type]
            elif node.op == "inverse_width":
                width = node.attribute if isinstance(node.attribute, str) else int(node.attribute)  # type: ignore[arg-type]
                values[index] = torch.full((), 1.0 / bind(width, self.sizes), dtype=dtype, device="cpu")
            elif node.op == "param":
                values[index] = self._part(tensors, str(node.attribute))
            else:
                value = self._value(index, values, tensors)
                values[index] = value if node.width == 1 else value.expand(bind(node.width, self.sizes))
        return values

    def biases(self, tensors: Sequence[Tensor]) -> dict[int, Tensor]:
        """What is added to the products that the kernel runs ahead, by group."""
        found = {}
        for number, group in self.ahead.items():
            bias = self._bias(group, tensors)
            if bias is not None:
                found[number] = bias
        return found

    def front(
        self, inputs: Sequence[Tensor], tensors: Sequence[Tensor], static: Mapping[int, Tensor], steps: int,
        rows: int, seed: Tensor | None, stream: int, start: int,
    ) -> dict[int, Tensor]:  # fmt: skip
        """Values that are ready before the loop, by node: (time, batch, width), not always contiguous."""
        values = self.leaves(inputs, static)
        if self.masked:
            drawn = random_masks(self.program, seed, stream, start, steps, rows, self.sizes)
            values.update({node: mask.expand(steps, -1, -1) for node, mask in drawn.items()})
        for step in self.order:
            if isinstance(step, _Joined):
                self._input_product(step, values, tensors, steps, rows)
            else:
                value = self._value(step, values, tensors)
                values[step] = value.expand(steps, rows, value.shape[-1])
        return values

    def leaves(self, inputs: Sequence[Tensor], static: Mapping[int, Tensor]) -> dict[int, Tensor]:
        """What is there without any computation, by node."""
        values = dict(static)
        for index, position in self.leaf_streams.items():
            values[index] = inputs[position]
        return values

    def _input_product(
        self, group: _Joined, values: dict[int, Tensor], tensors: Sequence[Tensor], steps: int, rows: int
    ) -> None:
        """One product of all steps with all parts of a matrix that meet the same vector, biases included."""
        weight = tensors[group.position] if group.whole else self._rows(tensors[group.position], group)
        vector = values[group.vector]
        flat = vector.reshape(steps * rows, -1)
        bias = self._bias(group, tensors)
        joined = flat @ weight.t() if bias is None else torch.addmm(bias, flat, weight.t())
        pieces = joined.view(steps, rows, -1).split(group.widths, -1)
        for node, piece in zip(group.nodes, pieces, strict=True):
            values[node] = piece

    def _rows(self, tensor: Tensor, group: _Joined) -> Tensor:
        return torch.cat([weight_part(tensor, group.spec, name, self.sizes) for name in group.names])

    def _bias(self, group: _Joined, tensors: Sequence[Tensor]) -> Tensor | None:
        """All that is added to a joined product, side by side; None where nothing is."""
        total: Tensor | None = None
        for position, references in group.biases:
            if references is None:
                added = tensors[position]
            else:
                pieces = [
                    tensors[position].new_zeros(width)
                    if reference is None
                    else self._part(tensors, reference)
                    for reference, width in zip(references, group.widths, strict=True)
                ]
                added = torch.cat(pieces)
            total = added if total is None else total + added
        return total

    # --- after

    def results(
        self, ready: Mapping[int, Tensor], sequences: Mapping[int, Tensor], panels: Sequence[Tensor],
        finals: Sequence[Tensor], totals: Mapping[int, Tensor], tensors: Sequence[Tensor], steps: int, rows: int,
    ) -> RunResult:  # fmt: skip
        """All results of a run from what is ready and what the kernel wrote."""
        program = self.program
        values = dict(ready) | dict(sequences)
        for index, (p, column) in self.place.items():
            if index not in values:
                width = bind(program.nodes[index].width, self.sizes)
                values[index] = panels[p][..., column : column + width]
        by_panel = dict(zip(self.panels, panels, strict=True))
        for index in self.parts.back:
            values[index] = self._back(index, values, by_panel, tensors, steps, rows)

        def full(index: int) -> Tensor:
            if index in totals:
                return totals[index].unsqueeze(0)  # already added up over time
            value, shape = values[index], (steps, rows, bind(program.nodes[index].width, self.sizes))
            return (
                value if value.shape == shape else value.expand(shape)
            )  # a view could not be changed in place

        given = [] if program.output is None else [("output", program.output)]
        given += [(f"emit:{name}", node) for name, node in program.emits]
        gradients: dict[tuple[object, ...], Tensor] = {}
        nodes = [node for _, node in given]
        fresh = len(set(nodes)) == len(nodes) and all(node in sequences for node in nodes)
        return RunResult(
            {name: full(node) for name, node in given},
            tuple(finals),
            tuple(
                self._gradient(spec, full, by_panel, gradients, finals, sequences)
                for spec in program.gradients
            ),
            fresh,
        )

    def _back(
        self, index: int, values: Mapping[int, Tensor], panels: Mapping[tuple[int, ...], Tensor],
        tensors: Sequence[Tensor], steps: int, rows: int,
    ) -> Tensor:  # fmt: skip
        node = self.program.nodes[index]
        if node.op == "linear_t" and node.args in panels:
            references = [str(reference) for reference in node.attribute]  # type: ignore[union-attr]
            position, spec = self.specs[references[0].partition(".")[0]]
            names = [reference.partition(".")[2] for reference in references]
            if spec.blocks == 1:
                panel = panels[node.args]
                whole = names == [part for part, _ in spec.parts]
                parts = [tensors[position]] if whole else [self._part(tensors, r) for r in references]
                weight = parts[0] if len(parts) == 1 else torch.cat(parts)
                return (panel.view(steps * rows, -1) @ weight).view(steps, rows, -1)
        value = self._value(index, values, tensors)
        return value.expand(steps, rows, value.shape[-1])

    def _gradient(
        self, spec: TensorSpec, full: Callable[[int], Tensor], panels: Mapping[tuple[int, ...], Tensor],
        made: dict[tuple[object, ...], Tensor], finals: Sequence[Tensor], sequences: Mapping[int, Tensor],
    ) -> Tensor:  # fmt: skip
        """One parameter's gradient: outer products or values, summed over time and batch."""
        key = self.joined_sums.get(spec.name)
        if key is not None:
            group, second = key
            if key in made:
                return made[key].clone()
            panel = panels[group].flatten(0, 1)
            made[key] = outer_products(panel, full(second[0]).flatten(0, 1)) if second else panel.sum(0)
            return made[key]
        like = (*finals, *sequences.values(), *panels.values())[0]
        return gradient(self.program, spec, self.sizes, full, like)

    # --- nodes one by one

    def _value(self, index: int, values: Mapping[int, Tensor], tensors: Sequence[Tensor]) -> Tensor:
        """One node over all steps, or without time and batch, as its arguments are."""
        node = self.program.nodes[index]
        args = [values[i] for i in node.args]
        if node.op in OPERATIONS:
            result: Tensor = torch_form(node.op)(*args)
            return result
        if node.op == "sum":
            return args[0].sum(-1, keepdim=True)
        if node.op == "spread":
            width = bind(node.width, self.sizes)
            return args[0].expand(*args[0].shape[:-1], width) if args[0].dim() else args[0].expand(width)
        if node.op not in PRODUCTS:
            raise ValueError(f"program {self.program.name!r}: node {index} ({node.op}) is no operation")
        references = [str(node.attribute)] if node.op == "linear" else [str(r) for r in node.attribute]  # type: ignore[union-attr]
        spec = self.specs[references[0].partition(".")[0]][1]
        weights = [self._part(tensors, reference) for reference in references]
        terms = [
            product(a, weight, spec.blocks, transposed=node.op == "linear_t")
            for a, weight in zip(args, weights, strict=True)
        ]
        return sum(terms[1:], start=terms[0])

    def _part(self, tensors: Sequence[Tensor], reference: str) -> Tensor:
        name, _, part = reference.partition(".")
        position, spec = self.specs[name]
        return weight_part(tensors[position], spec, part, self.sizes)
