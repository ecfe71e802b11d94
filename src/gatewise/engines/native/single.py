"""One step of a stack of layers with as little around the kernel as possible: for streams."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from gatewise.engines.native.library import Call, reason_absent, threads
from gatewise.engines.native.memory import BYTES, Plan, plan_of
from gatewise.engines.native.prepared import PreparedLayer
from gatewise.engines.plain import is_plain, placed
from gatewise.spec.program import Program

__all__ = ["MOST_ROWS", "Single", "can_step", "step"]

MOST_ROWS = 5
"""More rows than these are packed in each call, so that torch's product is the faster one for a single step."""
_MOVING = ("input", "initial", "final", "sequence")


class Single:
    """Descriptors of a plan's memory for one step of so many rows. One thread uses it at a time."""

    def __init__(self, plan: Plan, rows: int) -> None:
        self.plan, self.rows = plan, rows
        self.owner: PreparedLayer | None = None  # whose weights the descriptors name
        described: list[int] = []
        # Where in `described` an address stands, and whose: of what moves from call to call, and of the weights.
        self.moving: dict[str, list[tuple[int, int]]] = {kind: [] for kind in _MOVING}
        self.fixed: list[tuple[int, str, int, int]] = []
        for kind, index, column, width, unit, _ in plan.layout:
            own = width if unit else 1
            if kind == "const":
                described += (plan.constants[index].data_ptr(), 0, 0, 1)
                continue
            if kind in _MOVING:
                self.moving[kind].append((len(described), int(index)))
            else:
                self.fixed.append((len(described), kind, int(index), column * plan.element))
            described += (0, 0, 0 if kind in ("static", "bias") else own, rows * own)
        self.buffers = array("q", described)
        self.call = Call(self.buffers.buffer_info()[0], None, 1, rows)
        self.reference = ctypes.byref(self.call)
        self.run_plan = plan.library.handle.gatewise_run

    def run(
        self, inputs: list[int], initial: list[int], final: list[int], output: int, streams: Sequence[Tensor],
        tensors: Sequence[Tensor], prepared: PreparedLayer | None,
    ) -> None:  # fmt: skip
        """Runs the step on memory at these addresses; ``streams`` are the tensors that lie at ``inputs``."""
        plan, buffers, call = self.plan, self.buffers, self.call
        if prepared is None or prepared is not self.owner or plan.outer.order:
            self.fix(streams, tensors, prepared)
            self.owner = None if plan.outer.order else prepared
        else:
            prepared.refuse_changes()
        for addresses, kind in ((inputs, "input"), (initial, "initial"), (final, "final")):
            for place, index in self.moving[kind]:
                buffers[place] = addresses[index]
        for place, _ in self.moving["sequence"]:
            buffers[place] = output
        team = threads()
        call.threads, call.parallel = team, plan.library.parallel if team > 1 else None
        code = self.run_plan(plan.handle, self.reference)
        if code:
            plan.library.check(code)

    def fix(
        self, streams: Sequence[Tensor], tensors: Sequence[Tensor], prepared: PreparedLayer | None
    ) -> None:
        """Puts in the addresses of what belongs to the weights, and of what torch computes before the step."""
        plan, outer, call = self.plan, self.plan.outer, self.call
        kept: list[Any] = []
        if prepared is None:
            static, biases = outer.static(tensors, plan.dtype), outer.biases(tensors)
            weights = plan.matrices(tensors, kept)
            call.weights, call.prepared, call.prepared_size = weights.buffer_info()[0], None, 0
            kept.append(weights)
        else:
            packed, static, biases = prepared.of(plan)
            call.prepared, call.prepared_size = packed.data_ptr(), packed.numel()
        ready = static
        if outer.order:
            front = outer.front([x.unsqueeze(0) for x in streams], tensors, static, 1, self.rows, None, 0, 0)
            ready = {node: value.contiguous() for node, value in front.items()}
        values = {"static": static, "bias": biases, "value": ready}
        for place, kind, index, offset in self.fixed:
            tensor = values[kind][index]
            self.buffers[place] = tensor.data_ptr() + offset
            self.buffers[place + 3] = tensor.numel() - offset // plan.element
        kept.append(values)
        self.kept = kept  # what the descriptors point into, until the next call


@lru_cache(maxsize=256)
def _idle(plan: Plan, rows: int) -> list[Single]:
    """Those that no thread is using."""
    return []


def can_step(
    inputs: Sequence[Tensor], states: Sequence[Tensor], layers: Sequence[Sequence[Tensor]], prepared: bool
) -> bool:
    """Whether a step is one of plain tensors that nobody differentiates, and worth a call of the library.

    Args:
        inputs: (batch, width) each.
        states: (layers, batch, width) each.
        layers: The parameters of each layer.
        prepared: Whether the parameters are packed.
    """
    x = inputs[0]
    if not x.is_cpu or x.dtype not in BYTES or reason_absent() is not None or not x.shape[0]:
        return False
    if not prepared and x.shape[0] > MOST_ROWS:
        return False
    if forward_ad._current_level >= 0:
        return False
    tensors = [*inputs, *states]
    if not prepared:  # whose weights were looked at when they were packed
        for layer in layers:
            tensors += layer
    if not is_plain(tensors):
        return False
    dtype, graded = x.dtype, torch.is_grad_enabled()
    for tensor in tensors:  # noqa: SIM110 (quicker than a generator)
        if tensor.dtype is not dtype or (graded and tensor.requires_grad):
            return False
    return True


def step(
    program: Program, inputs: Sequence[Tensor], states: Sequence[Tensor], layers: Sequence[Sequence[Tensor]],
    prepared: Sequence[PreparedLayer] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]] | None:  # fmt: skip
    """One step of all layers: (output, next states); None where the program's output is no value of the step.

    The program is one without random masks; the other arguments are as in :func:`can_step`. Nothing is differentiable.
    """
    streams = [x.contiguous() for x in inputs]
    states = [x.contiguous() for x in states]
    given, before = [x.data_ptr() for x in streams], [x.data_ptr() for x in states]
    element = BYTES[streams[0].dtype]
    for address in (*given, *before):
        if not address or address % element:
            return step(program, [placed(x) for x in streams], [placed(x) for x in states], layers, prepared)
    new = tuple([torch.empty_like(x) for x in states])
    after = [x.data_ptr() for x in new]
    rows = streams[0].shape[0]
    own_states = states if len(layers) == 1 else None
    for k, tensors in enumerate(layers):
        own = own_states or [x[k] for x in states]
        plan = plan_of(program, streams, own, tensors)
        if not plan.steps:
            return None
        idle = _idle(plan, rows)
        try:
            single = idle.pop()
        except IndexError:
            single = Single(plan, rows)
        offsets = [k * rows * width * plan.element for width in plan.state_widths]
        output = streams[0].new_empty((rows, plan.output_width))
        single.run(
            given,
            [address + at for address, at in zip(before, offsets, strict=True)],
            [address + at for address, at in zip(after, offsets, strict=True)],
            output.data_ptr(), streams, tensors, None if prepared is None else prepared[k],
        )  # fmt: skip
        idle.append(single)
        streams, given = [output], [output.data_ptr()]
    return streams[0], new
