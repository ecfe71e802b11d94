"""The native engine: runs a program's time loop in the library, and the large products around it in torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gatewise.engines import executor
from gatewise.engines.executor import RunResult
from gatewise.engines.native.library import reason_absent
from gatewise.engines.native.memory import BYTES, Job, Plan, plan_of, run_jobs
from gatewise.engines.native.prepared import PreparedLayer
from gatewise.spec.program import Program

__all__ = ["can_run", "run", "run_together"]

_FIT = (*BYTES, torch.bool)
_CPU = torch.device("cpu")


def can_run(
    program: Program, inputs: Sequence[Tensor], states: Sequence[Tensor], tensors: Sequence[Tensor]
) -> str | None:
    """Why the native engine cannot run a program, or None."""
    missing = reason_absent()
    if missing is not None:
        return missing
    for tensor in (*states, *inputs, *tensors):
        if not tensor.is_cpu:
            return f"it runs on the CPU, the operands are on {tensor.device.type}"
        if tensor.dtype not in _FIT:
            return f"it computes in float32 and float64, the operands are {tensor.dtype}"
    return None


@dataclass(frozen=True)
class _Started:
    """A call whose memory is there and whose kernel is still to run."""

    plan: Plan
    job: Job
    values: dict[str, Any]
    tensors: Sequence[Tensor]
    steps: int
    rows: int

    def finish(self) -> RunResult:
        """The results, once the kernel has run."""
        values = self.values
        return self.plan.outer.results(
            values["value"],
            values["sequence"],
            values["panel"],
            values["final"],
            values["total"],
            self.tensors,
            self.steps,
            self.rows,
        )


def _start(
    program: Program, inputs: Sequence[Tensor], states: Sequence[Tensor], tensors: Sequence[Tensor], *,
    reverse: bool = False, seed: Tensor | None = None, stream: int = 0, start: int = 0,
    prepared: PreparedLayer | None = None,
) -> _Started:  # fmt: skip
    """What torch computes before the kernel, and memory for what comes out of it."""
    steps, rows = (inputs[0].shape[0], inputs[0].shape[1]) if inputs else (0, states[0].shape[0])
    plan = plan_of(program, inputs, states, tensors)
    outer, dtype = plan.outer, plan.dtype
    if prepared is None:
        packed, static, biases = None, outer.static(tensors, dtype), outer.biases(tensors)
    else:
        packed, static, biases = prepared.of(plan)
    number = 0 if seed is None else int(seed.item()) & (2**64 - 1)
    values: dict[str, Any] = {
        "input": inputs, "initial": states, "static": static, "bias": biases, "const": plan.constants,
        "value": outer.front(inputs, tensors, static, steps, rows, seed, stream, start),
        "panel": [torch.empty((steps, rows, width), dtype=dtype, device=_CPU) for width in plan.panel_widths],
        "total": {node: torch.zeros((rows, width), dtype=dtype, device=_CPU) for node, width in plan.totals},
        "final": [torch.empty((rows, width), dtype=dtype, device=_CPU) for width in plan.state_widths],
        "sequence": {
            node: torch.empty((steps, rows, width), dtype=kind, device=_CPU) for node, width, kind in plan.sequences
        },
    }  # fmt: skip
    job = Job(plan, values, tensors, steps, rows, start, number, stream, reverse, packed)
    return _Started(plan, job, values, tensors, steps, rows)


def _is_empty(inputs: Sequence[Tensor]) -> bool:
    return not inputs or 0 in inputs[0].shape[:2]


def run(
    program: Program,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    tensors: Sequence[Tensor],
    *,
    reverse: bool = False,
    seed: Tensor | None = None,
    stream: int = 0,
    start: int = 0,
    prepared: PreparedLayer | None = None,
) -> RunResult:
    """Runs a program over all steps; arguments as in :func:`gatewise.engines.executor.run`.

    ``prepared`` has the matrices of ``tensors`` packed.
    """
    options: dict[str, Any] = {"reverse": reverse, "seed": seed, "stream": stream, "start": start}
    if _is_empty(inputs):
        # Nothing to compute: the readable engine shapes the empty results.
        return executor.run(program, inputs, states, tensors, **options)
    started = _start(program, inputs, states, tensors, **options, prepared=prepared)
    started.job.run()
    return started.finish()


def run_together(calls: Sequence[tuple[tuple[Any, ...], dict[str, Any]]]) -> list[RunResult]:
    """Several runs by one team of threads, each as arguments and keywords of :func:`run`."""
    if any(_is_empty(given[1]) for given, _ in calls):
        return [run(*given, **options) for given, options in calls]
    started = [_start(*given, **options) for given, options in calls]
    run_jobs([one.job for one in started])
    return [one.finish() for one in started]
