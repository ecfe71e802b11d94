"""The way through torch.compile: the stack as one call that Dynamo does not look into.

What lies behind it is traced by AOTAutograd, which sees our operator; a program travels as its JSON text, since
only tensors and plain values may cross.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from torch import Tensor

from gatewise.engines.call import StackCall, StackResult
from gatewise.engines.stack import run_stack
from gatewise.spec.program import Program

__all__ = ["run_traced", "run_untraced"]

Maybe = tuple[Tensor, ...]
"""No tensor or one: None may not cross."""


def _run(
    text: str, rates: str, settings: dict[str, Any], inputs: Maybe, states: Maybe, tensors: tuple[Maybe, ...],
    optional: dict[str, Maybe], reset_states: Maybe,
) -> tuple[Tensor, Maybe, tuple[dict[str, Tensor], ...]]:  # fmt: skip
    found: dict[str, Any] = {name: given[0] if given else None for name, given in optional.items()}
    dropout, recurrent_dropout, *zoneout = [float(rate) for rate in rates.split(",")]
    call = StackCall(
        program=_program(text),
        inputs=inputs,
        states=states,
        tensors=tensors,
        reset_states=reset_states or None,
        dropout=dropout,
        recurrent_dropout=recurrent_dropout,
        zoneout=tuple(zoneout),
        **settings,
        **found,
    )
    result = run_stack(call)
    return result.output, result.states, result.trace or ()


@lru_cache(maxsize=256)
def _program(text: str) -> Program:
    return Program.from_json(text)


_opaque: Any = None
_eager: Any = None


def _prepare() -> int:
    """Marks the calls that Dynamo leaves whole, or alone. Done while tracing, so that no import pays for Dynamo."""
    global _opaque, _eager
    if _opaque is None:
        import torch._dynamo

        _opaque = torch._dynamo.nonstrict_trace(_run)
        _eager = torch._dynamo.disable(run_stack)
    return 0


# As torch.compiler.assume_constant_result marks it, without importing Dynamo.
_prepare._dynamo_marked_constant = True  # type: ignore[attr-defined]


def run_traced(call: StackCall) -> StackResult:
    """Runs a stack while Dynamo traces."""
    _prepare()
    settings = {
        "num_layers": call.num_layers, "bidirectional": call.bidirectional, "reverse": call.reverse,
        "training": call.training, "residual": call.residual, "return_gates": call.return_gates,
        "engine": call.engine,
    }  # fmt: skip
    if call.checkpoint_every is not None:
        settings["checkpoint_every"] = call.checkpoint_every
    optional = {
        "batch_sizes": () if call.batch_sizes is None else (call.batch_sizes,),
        "lengths": () if call.lengths is None else (call.lengths,),
        "mask": () if call.mask is None else (call.mask,),
        "resets": () if call.resets is None else (call.resets,),
        "seed": () if call.seed is None else (call.seed,),
    }
    from torch.fx.experimental.symbolic_shapes import guard_scalar

    # With dynamic shapes Dynamo makes variables of numbers; these are fixed for a graph.
    rates = ",".join([repr(guard_scalar(r)) for r in (call.dropout, call.recurrent_dropout, *call.zoneout)])
    output, states, trace = _opaque(
        call.program.text,
        rates,
        settings,
        call.inputs,
        call.states,
        call.tensors,
        optional,
        call.reset_states or (),
    )
    return StackResult(output, states, trace if call.return_gates else None)


def run_untraced(call: StackCall) -> StackResult:
    """Runs a stack past Dynamo, which breaks its graph here.

    In forward mode: what Dynamo traces carries no tangents, and they would be zeros in silence.
    """
    _prepare()
    result: StackResult = _eager(call)
    return result
