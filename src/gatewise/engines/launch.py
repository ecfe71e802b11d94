"""Picks the engine that runs a program, at run time, inside the operator.

An engine that runs programs offers ``can_run`` (a reason why not, or None) and ``run``. A new one is a new row of
``PROGRAM_ENGINES``; nothing above this file changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from gatewise.engines import executor, native
from gatewise.engines.executor import RunResult
from gatewise.errors import EngineError
from gatewise.spec.program import Program

__all__ = ["PROGRAM_ENGINES", "ProgramEngine", "launch", "reasons_against"]


@dataclass(frozen=True)
class ProgramEngine:
    """An engine that runs any program.

    Attributes:
        name: As users name it.
        can_run: (program, inputs, states, tensors) -> why not, or None.
        run: The arguments of :func:`gatewise.engines.executor.run`.
    """

    name: str
    can_run: Callable[..., str | None]
    run: Callable[..., RunResult]


PROGRAM_ENGINES: list[ProgramEngine] = [
    ProgramEngine("native", native.can_run, native.run),
    ProgramEngine("reference", lambda *operands: None, executor.run),
]
"""In the order of preference; the reference engine runs everything and is last."""

KNOWN_BUT_ABSENT = {
    "cuda": "the CUDA engine is not part of this version",
}


def reasons_against(
    program: Program, inputs: Sequence[Tensor], states: Sequence[Tensor], tensors: Sequence[Tensor]
) -> dict[str, str | None]:
    """For each engine that runs programs, why it cannot run this one, or None where it can."""
    reasons: dict[str, str | None] = dict(KNOWN_BUT_ABSENT)
    for engine in PROGRAM_ENGINES:
        reasons[engine.name] = engine.can_run(program, inputs, states, tensors)
    return reasons


def launch(
    program: Program, inputs: Sequence[Tensor], states: Sequence[Tensor], tensors: Sequence[Tensor], *,
    engine: str, **options: Any,
) -> RunResult:  # fmt: skip
    """Runs a program on the engine of that name, or on the first that can.

    Raises:
        EngineError: The named engine cannot run it; the message says why.
    """
    why = KNOWN_BUT_ABSENT.get(engine, "no engine of that name")
    for candidate in PROGRAM_ENGINES:
        if engine in ("auto", candidate.name):
            reason = candidate.can_run(program, inputs, states, tensors)
            if reason is None:
                return candidate.run(program, inputs, states, tensors, **options)
            why = reason
    raise EngineError(f"engine: {engine!r} cannot run {program.name!r}: {why}; use engine='auto'")
