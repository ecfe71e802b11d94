"""Several recurrences at once, such as the two directions of a layer: one team of threads runs them all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gatewise.engines import native
from gatewise.engines.derivatives import Derivative, Tangent
from gatewise.engines.flat import RecurrenceCall, RecurrenceResult, sequence_names
from gatewise.engines.operators import apply_call, may_differentiate, unshared
from gatewise.engines.plain import is_plain
from gatewise.spec.derivative import recorded

__all__ = ["can_run_together", "run_together"]


def can_run_together(calls: Sequence[RecurrenceCall], operands: Sequence[Sequence[Tensor]]) -> bool:
    """Whether the native engine can run these calls at once: plain tensors in eager mode that it computes with."""
    if torch.compiler.is_compiling():
        return False
    for call, given in zip(calls, operands, strict=True):
        inputs, states, tensors, _ = call.split(given)
        if call.engine not in ("auto", "native") or not is_plain(given):
            return False
        if native.can_run(call.program, inputs, states, tensors) is not None:
            return False
    return True


def run_together(
    calls: Sequence[RecurrenceCall], operands: Sequence[Sequence[Tensor]]
) -> list[RecurrenceResult]:
    """Runs calls at once, differentiably. Each call's operands are its inputs, states, tensors and seed."""
    flat = [x for given in operands for x in given]
    if may_differentiate(flat):
        calls = [
            RecurrenceCall(recorded(c.program), c.reverse, c.stream, c.start, c.engine, c.has_seed)
            for c in calls
        ]
        outputs = _Together.apply(tuple(calls), *flat)  # type: ignore[no-untyped-call]
        return [call.result(own) for call, own in zip(calls, _split(outputs, _counts(calls)), strict=True)]
    with torch.no_grad():
        return [call.result(own) for call, own in zip(calls, _run(calls, operands), strict=True)]


def _run(calls: Sequence[RecurrenceCall], operands: Sequence[Sequence[Tensor]]) -> list[tuple[Tensor, ...]]:
    jobs = []
    for call, given in zip(calls, operands, strict=True):
        inputs, states, tensors, seed = call.split(given)
        options = {"reverse": call.reverse, "seed": seed, "stream": call.stream, "start": call.start}
        jobs.append(((call.program, inputs, states, tensors), options))
    results = native.run_together(jobs)
    return [unshared(result, given) for result, given in zip(results, operands, strict=True)]


def _counts(calls: Sequence[RecurrenceCall]) -> list[int]:
    """How many outputs each call has."""
    return [
        len(sequence_names(call.program)) + len(call.program.states) + len(call.program.gradients)
        for call in calls
    ]


def _split(values: Sequence[Any], counts: Sequence[int]) -> list[Sequence[Any]]:
    found, first = [], 0
    for count in counts:
        found.append(values[first : first + count])
        first += count
    return found


class _Together(torch.autograd.Function):
    """Calls at once under eager autograd; the derivative runs at once as well."""

    @staticmethod
    def forward(ctx: Any, calls: tuple[RecurrenceCall, ...], *flat: Tensor) -> tuple[Tensor, ...]:
        sizes = [sum(call.counts) + call.has_seed for call in calls]
        results = _run(calls, _split(flat, sizes))
        kept = [
            x
            for call, own in zip(calls, results, strict=True)
            for x in own[: len(sequence_names(call.program))]
        ]
        ctx.calls, ctx.sizes = calls, sizes
        ctx.save_for_backward(*flat, *kept)
        ctx.save_for_forward(*flat)
        ctx.set_materialize_grads(False)
        return tuple([x for own in results for x in own])

    @staticmethod
    def jvp(ctx: Any, _: Any, *tangents: Tensor | None) -> tuple[Tensor | None, ...]:
        found: list[Tensor | None] = []
        flat = ctx.saved_tensors[: sum(ctx.sizes)]
        for call, given, changes in zip(
            ctx.calls, _split(flat, ctx.sizes), _split(tangents, ctx.sizes), strict=True
        ):
            again = may_differentiate([*given, *(x for x in changes if x is not None)])
            moved = Tangent.of(call, given, changes, again)
            found += moved.changes(apply_call(moved.call, moved.operands))
        return tuple(found)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:
        calls, sizes, saved, again = ctx.calls, ctx.sizes, ctx.saved_tensors, torch.is_grad_enabled()
        operands = _split(saved, sizes)
        kept = _split(saved[sum(sizes) :], [len(sequence_names(call.program)) for call in calls])
        needed, given = _split(ctx.needs_input_grad[1:], sizes), _split(gradients, _counts(calls))
        derivatives = [
            Derivative.of(*each, again) for each in zip(calls, operands, kept, given, needed, strict=True)
        ]
        if again or not is_plain([x for d in derivatives for x in d.operands]):
            results = [apply_call(d.call, d.operands) for d in derivatives]
        else:
            results = _run([d.call for d in derivatives], [d.operands for d in derivatives])
        found: list[Any] = [None]
        for derivative, outputs, call in zip(derivatives, results, calls, strict=True):
            found += derivative.cotangents(outputs) + [None] * call.has_seed
        return tuple(found)
