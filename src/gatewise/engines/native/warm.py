"""A prepared stack's steps, one after another: all that does not move from step to step is bound beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from gatewise.engines.native.library import threads
from gatewise.engines.native.memory import Plan, plan_of
from gatewise.engines.native.prepared import PreparedLayer
from gatewise.engines.native.single import Single
from gatewise.engines.plain import is_plain
from gatewise.spec.program import Program

__all__ = ["WarmStep", "warm_step"]


def warm_step(
    program: Program, x: Tensor, states: Sequence[Tensor], layers: Sequence[Sequence[Tensor]],
    prepared: Sequence[PreparedLayer],
) -> WarmStep | None:  # fmt: skip
    """What does the steps of these shapes from now on; None where torch must compute something before each step.

    Args:
        program: The step, of one stream and without random masks; :func:`can_step` has let it through.
        x: (batch, width).
        states: (layers, batch, width) each.
        layers: The parameters of each layer.
        prepared: The same, packed.
    """
    rows, width = x.shape
    plans = []
    for tensors in layers:
        plan = plan_of(program, [x.new_empty(rows, width)], [state[0] for state in states], tensors)
        if not plan.steps or plan.outer.order:
            return None
        plans.append(plan)
        width = plan.output_width
    return WarmStep(plans, x, states, layers, prepared)


class WarmStep:
    """The steps of one batch size. Several threads may use it; a copy of its module makes its own."""

    def __init__(
        self,
        plans: Sequence[Plan],
        x: Tensor,
        states: Sequence[Tensor],
        layers: Sequence[Sequence[Tensor]],
        prepared: Sequence[PreparedLayer],
    ) -> None:
        self.plans, self.layers, self.prepared = plans, layers, prepared
        self.dtype, self.size = x.dtype, plans[0].element
        self.shape, self.state_shapes = x.shape, [state.shape for state in states]
        self.output = x.new_empty(x.shape[0], plans[-1].output_width)
        self.idle: list[list[_Bound]] = []  # those that no thread is using

    def __call__(self, x: Tensor, state: Any) -> tuple[Tensor, tuple[Tensor, ...]] | None:
        """Output and next states; None for anything but plain tensors of these shapes that nobody differentiates."""
        states = (state,) if type(state) is Tensor else state
        if not self._serves(x, states):
            return None
        address, before = x.data_ptr(), [one.data_ptr() for one in states]
        for place in (address, *before):
            if not place or place % self.size:
                return None
        try:
            bound = self.idle.pop()
        except IndexError:
            bound = self._bind(x)
        # Allocated like another tensor: less than half the time of one from a shape.
        new = tuple([torch.empty_like(one) for one in states])
        output = torch.empty_like(self.output)
        after = [one.data_ptr() for one in new]
        for layer in bound[:-1]:
            layer.run(address, before, after, layer.between.data_ptr())
            address = layer.between.data_ptr()
        bound[-1].run(address, before, after, output.data_ptr())
        self.idle.append(bound)
        return output, new

    def _serves(self, x: Tensor, states: Any) -> bool:
        if (
            not isinstance(states, tuple)
            or len(states) != len(self.state_shapes)
            or not is_plain((x, *states))
        ):
            return False
        if forward_ad._current_level >= 0:
            return False
        graded = torch.is_grad_enabled()
        for tensor, shape in zip((x, *states), (self.shape, *self.state_shapes), strict=True):
            if tensor.shape != shape or tensor.dtype is not self.dtype:
                return False
            if not tensor.is_cpu or not tensor.is_contiguous() or (graded and tensor.requires_grad):
                return False
        return True

    def _bind(self, x: Tensor) -> list[_Bound]:
        rows = x.shape[0]
        return [
            _Bound(Single(plan, rows), k, [x], tensors, packed)
            for k, (plan, tensors, packed) in enumerate(
                zip(self.plans, self.layers, self.prepared, strict=True)
            )
        ]

    def __reduce__(self) -> tuple[Any, ...]:
        return _nothing, ()


class _Bound:
    """One layer's call, whose memory descriptors wait for the addresses that move."""

    def __init__(
        self, single: Single, layer: int, streams: list[Tensor], tensors: Sequence[Tensor], prepared: PreparedLayer
    ) -> None:  # fmt: skip
        plan = self.plan = single.plan
        single.fix(streams, tensors, prepared)
        self.buffers, self.call, self.prepared = single.buffers, single.call, prepared
        self.kept = single  # what the descriptors point into
        self.between = torch.empty((single.rows, plan.output_width), dtype=plan.dtype, device="cpu")
        self.inputs = [place for place, _ in single.moving["input"]]
        self.outputs = [place for place, _ in single.moving["sequence"]]
        sizes = [layer * single.rows * width * plan.element for width in plan.state_widths]
        self.initial = [(place, index, sizes[index]) for place, index in single.moving["initial"]]
        self.final = [(place, index, sizes[index]) for place, index in single.moving["final"]]
        self.run_plan, self.handle, self.reference = single.run_plan, plan.handle, single.reference
        self.check, self.parallel = plan.library.check, plan.library.parallel

    def run(self, x: int, before: list[int], after: list[int], output: int) -> None:
        """Runs the step on memory at these addresses."""
        self.prepared.refuse_changes()
        buffers = self.buffers
        for place in self.inputs:
            buffers[place] = x
        for place, index, offset in self.initial:
            buffers[place] = before[index] + offset
        for place, index, offset in self.final:
            buffers[place] = after[index] + offset
        for place in self.outputs:
            buffers[place] = output
        team = threads()
        call = self.call
        call.threads, call.parallel = team, self.parallel if team > 1 else None
        code = self.run_plan(self.handle, self.reference)
        if code:
            self.check(code)


def _nothing() -> None:
    """What a copy holds in place of a warm step: its module makes its own."""
