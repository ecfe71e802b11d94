"""Picks the engine for a call, and can say why. Never falls back in silence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from gatewise.engines import native, torch_engine
from gatewise.engines.call import StackCall, StackResult
from gatewise.engines.executor import run_step
from gatewise.engines.launch import PROGRAM_ENGINES, reasons_against
from gatewise.engines.reference import random_masks
from gatewise.engines.sizes import sizes_of
from gatewise.engines.stack import call_program, run_stack
from gatewise.engines.traced import run_traced, run_untraced
from gatewise.errors import ArgumentError, EngineError, meant
from gatewise.spec.program import Program

__all__ = [
    "ENGINES",
    "Explanation",
    "explain",
    "has_steps",
    "lean_step",
    "may_prepare",
    "observed",
    "run",
    "step",
    "step_kernel",
]

MOST_STEPS_OF_TORCH = 16

ENGINES = ("auto", "reference", "torch", "native", "cuda")


@dataclass(frozen=True)
class Explanation:
    """Which engine runs a call, and why not the others.

    Attributes:
        engine: The one that runs it.
        reasons: For every other engine, why not.
        derivatives: What computes the first derivative, and the derivative of that (a double backward).
    """

    engine: str
    reasons: dict[str, str]
    derivatives: str

    def __str__(self) -> str:
        lines = [f"engine: {self.engine}", f"  derivatives: {self.derivatives}"]
        return "\n".join(lines + [f"  not {name}: {reason}" for name, reason in self.reasons.items()])


_DERIVATIVES = {
    "torch": "first and second by torch's own autograd",
    # The derivative of a program is a program, of which the same holds: the operator's rule is the operator itself.
    "program": "first and second as programs generated from this one, on {engine} too",
}
_observer: ContextVar[list[Explanation] | None] = ContextVar("gatewise_observer", default=None)


@contextmanager
def observed() -> Iterator[list[Explanation]]:
    """Collects an explanation for every call that runs inside.

    Example:
        >>> with observed() as calls:
        ...     pass
        >>> calls
        []
    """
    collected: list[Explanation] = []
    token = _observer.set(collected)
    try:
        yield collected
    finally:
        _observer.reset(token)


def check_engine(engine: str) -> None:
    """Raises ArgumentError unless the name is one of an engine."""
    if engine not in ENGINES:
        raise ArgumentError(
            f"engine: expected one of {', '.join(ENGINES)}, got {engine!r}; pass 'auto'"
            + meant(engine, ENGINES)
        )


def _wants_torch(call: StackCall) -> tuple[bool, str | None]:
    """Whether torch's kernels run the call, and otherwise why not."""
    check_engine(call.engine)
    if call.prepared is not None:
        return False, f"its weights are prepared as {call.prepared[0].weights} for the native engine"
    if call.engine not in ("auto", "torch"):
        return False, f"engine={call.engine!r} was asked for"
    reason = torch_engine.can_run(call)
    if reason is not None and call.engine == "torch":
        raise EngineError(f"engine: 'torch' cannot run this call: {reason}; use engine='auto'")
    if reason is None and call.engine == "auto":
        reason = _outrun(call)
    return reason is None, reason


def _outrun(call: StackCall) -> str | None:
    """Why the native engine is the faster one for a call that torch's kernels can run, or None.

    The bounds are where the two crossed when both were measured (docs/results/native.md): torch starts a call
    sooner, the native engine takes less time for each step; except for large LSTMs whose units do not fill panels of
    16, where torch was the faster one.
    """
    x = call.inputs[0]
    if not x.is_cpu or native.reason_absent() is not None:
        return None
    ragged = call.lengths is not None or call.batch_sizes is not None
    steps = call.batch_sizes.shape[0] if call.batch_sizes is not None else x.shape[0]
    hidden = call.states[0].shape[-1]
    unfit = call.program.name.startswith("lstm") and hidden >= 512 and hidden % 16
    if steps < MOST_STEPS_OF_TORCH or (unfit and not ragged):
        return None
    return f"native takes less time from {MOST_STEPS_OF_TORCH} steps on"


def run(call: StackCall) -> StackResult:
    """Runs a stack of layers on the engine that the call names, or on the fastest that can.

    Raises:
        ArgumentError: No engine of that name.
        EngineError: The named engine cannot run it.
    """
    if torch.compiler.is_dynamo_compiling() and call.prepared is None:
        check_engine(call.engine)
        return run_traced(call) if forward_ad._current_level < 0 else run_untraced(call)
    if forward_ad._current_level >= 0 and torch._C._dynamo.eval_frame.get_eval_frame_callback() is not None:
        return run_untraced(call)  # Dynamo has given this frame up, and would try the next ones
    if not torch.compiler.is_compiling() and _observer.get() is not None:
        collected = _observer.get()
        if collected is not None:
            collected.append(explain(call))
    if torch.autograd._profiler_enabled():  # type: ignore[no-untyped-call, attr-defined, unused-ignore]
        with torch.profiler.record_function(f"gatewise::{call.program.name}"):
            return _run(call)
    return _run(call)


def _run(call: StackCall) -> StackResult:
    return torch_engine.run(call) if _wants_torch(call)[0] else run_stack(call)


def explain(call: StackCall) -> Explanation:
    """Which engine would run the call, and why not the others."""
    wants, reason = _wants_torch(call)
    operands = (call_program(call), call.inputs, call.states, call.tensors[0] if call.tensors else ())
    reasons = reasons_against(*operands)
    chosen = "torch"
    if not wants:
        able = [
            e.name for e in PROGRAM_ENGINES if call.engine in ("auto", e.name) and reasons[e.name] is None
        ]
        if not able:
            raise EngineError(f"engine: {call.engine!r} cannot run this call: {reasons.get(call.engine)}")
        chosen = able[0]
    why: dict[str, str] = {} if wants else {"torch": reason or ""}
    for name, text in reasons.items():
        if name != chosen:
            why[name] = text or f"{chosen} comes first"
    return Explanation(chosen, why, _DERIVATIVES.get(chosen, _DERIVATIVES["program"]).format(engine=chosen))


def step_kernel(program: Program, engine: str) -> Any:
    """A function that runs plain steps of a cell with biases in eager mode, past all choice; None where there is none.

    It takes (x, state, weight_ih, weight_hh, bias_ih, bias_hh), the state a tuple where the cell has several.
    """
    check_engine(engine)
    return torch_engine.cell_kernel(program) if engine in ("auto", "torch") else None


def has_steps(engine: str) -> bool:
    """Whether an engine offers differentiable single steps; the native one differentiates whole calls alone."""
    check_engine(engine)
    return engine != "native"


def may_prepare(engine: str) -> bool:
    """Whether a layer on this engine can have its weights prepared."""
    return engine in ("auto", "native")


def lean_step(
    program: Program,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    layers: Sequence[Sequence[Tensor]],
    engine: str = "auto",
    prepared: Sequence[native.PreparedLayer] | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]] | None:
    """One step of all layers that nobody differentiates, by a call of the native library for each.

    Args:
        program: The step, without random masks.
        inputs: One (batch, width) per stream, checked.
        states: One (layers, batch, width) per state, checked.
        layers: The parameters of each layer.
        engine: As in a call.
        prepared: The parameters of each layer, packed; steps of many rows are then the library's as well.

    Returns:
        The output and the next states; None where the step is not the library's.
    """
    if engine not in ("auto", "native") or not native.can_step(inputs, states, layers, prepared is not None):
        return None
    return native.step(program, inputs, states, layers, prepared)


def step(
    program: Program,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    tensors: Sequence[Tensor],
    engine: str = "auto",
    *,
    seed: Tensor | None = None,
    stream: int = 0,
    time: int = 0,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """One step of one layer, without the dispatcher's cost; differentiable by torch's own autograd.

    Args:
        program: The step.
        inputs: One (batch, width) per stream.
        states: One (batch, width) per state.
        tensors: Its parameters.
        engine: As in a call.
        seed, stream, time: For random masks.

    Returns:
        The output and the next states.
    """
    check_engine(engine)
    if engine in ("auto", "torch"):
        reason = torch_engine.can_step(program, inputs[0])
        if reason is None:
            return torch_engine.step(program, inputs[0], tuple(states), tuple(tensors))
        if engine == "torch":
            raise EngineError(f"engine: 'torch' cannot run this step: {reason}; use engine='auto'")
    elif engine != "reference":
        why = (
            reasons_against(program, inputs, states, tensors)[engine] or "it differentiates whole calls alone"
        )
        raise EngineError(f"engine: {engine!r} cannot run this step: {why}; use engine='auto'")
    sizes = sizes_of(program, inputs, states, tensors)
    masks = {}
    if seed is not None:
        drawn = random_masks(program, seed, stream, time, 1, inputs[0].shape[0], sizes)
        masks = {node: mask[0] for node, mask in drawn.items()}
    return run_step(program, inputs, states, tensors, sizes, masks)
