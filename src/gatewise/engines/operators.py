"""The one operator: ``gatewise::recurrence`` runs a program over time.

Its derivative is the same operator on the derivative's program, so every order of derivative comes by the same
rule. It is registered with torch.library (shapes under fake tensors, autograd, vmap) for torch.compile and
torch.export; in eager mode an autograd.Function stands before it, because ``register_autograd`` alone does not
serve torch.func. Eager inference on plain tensors calls the engine directly: there the dispatcher would cost more
than a step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from gatewise.engines.derivatives import Derivative, Tangent
from gatewise.engines.executor import RunResult
from gatewise.engines.flat import RecurrenceCall, RecurrenceResult, sequence_names
from gatewise.engines.launch import launch
from gatewise.engines.native import PreparedLayer
from gatewise.engines.plain import is_legacy_batched, is_plain, is_traced, resolved
from gatewise.engines.sizes import sizes_of, template
from gatewise.errors import EngineError
from gatewise.spec.derivative import recorded
from gatewise.spec.program import Program, bind

__all__ = ["apply_call", "carries_tangents", "may_differentiate", "recurrence", "unshared"]


@lru_cache(maxsize=1024)
def _program(text: str) -> Program:
    return Program.from_json(text)


# --- running


def _run_flat(call: RecurrenceCall, operands: Sequence[Tensor], **extra: Any) -> tuple[Tensor, ...]:
    """Runs the chosen engine; no output shares memory with another or with an operand."""
    inputs, states, tensors, seed = call.split(operands)
    result = launch(
        call.program, inputs, states, tensors,
        reverse=call.reverse, seed=seed, stream=call.stream, start=call.start, engine=call.engine, **extra,
    )  # fmt: skip
    return unshared(result, operands)


def unshared(result: RunResult, operands: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """All outputs of a run, copied where one shares memory with another or with an operand."""
    outputs = (*result.sequences.values(), *result.states, *result.gradients)
    if result.fresh:
        return outputs
    taken = {tensor.untyped_storage().data_ptr() for tensor in operands}
    fresh = []
    for tensor in outputs:
        address = tensor.untyped_storage().data_ptr()
        if address in taken or not tensor.is_contiguous():
            tensor = tensor.clone(memory_format=torch.contiguous_format)
            address = tensor.untyped_storage().data_ptr()
        if tensor.numel():
            taken.add(address)
        fresh.append(tensor)
    return tuple(fresh)


@torch.library.custom_op(
    "gatewise::recurrence",
    mutates_args=(),
    schema="(Tensor[] inputs, Tensor[] states, Tensor[] tensors, Tensor? seed, str program, bool reverse, "
    "int stream, int start, str engine) -> Tensor[]",
)
def _operator(
    inputs: list[Tensor], states: list[Tensor], tensors: list[Tensor], seed: Tensor | None, program: str,
    reverse: bool, stream: int, start: int, engine: str,
) -> list[Tensor]:  # fmt: skip
    call = RecurrenceCall(_program(program), reverse, stream, start, engine, seed is not None)
    return list(_run_flat(call, [*inputs, *states, *tensors, *([] if seed is None else [seed])]))


def _through_operator(call: RecurrenceCall, operands: Sequence[Tensor]) -> tuple[Tensor, ...]:
    inputs, states, tensors, seed = call.split(operands)
    return tuple(
        _operator(
            inputs,
            states,
            tensors,
            seed,
            call.program.text,
            call.reverse,
            call.stream,
            call.start,
            call.engine,
        )
    )


@_operator.register_fake
def _fake(  # type: ignore[no-untyped-def]
    inputs, states, tensors, seed, program, reverse, stream, start, engine
) -> list[Tensor]:
    parsed = _program(program)
    sizes = sizes_of(parsed, inputs, states, tensors)
    like = template(inputs, states)
    steps, rows = (inputs[0].shape[0], inputs[0].shape[1]) if inputs else (0, states[0].shape[0])
    nodes = ([] if parsed.output is None else [parsed.output]) + [node for _, node in parsed.emits]
    made = [like.new_empty((steps, rows, bind(parsed.nodes[node].width, sizes))) for node in nodes]
    made += [state.new_empty(state.shape) for state in states]
    return made + [like.new_empty(parsed.shape(spec, sizes)) for spec in parsed.gradients]


# --- the derivative


class _Recurrence(torch.autograd.Function):
    """The operator under eager autograd and torch.func; its backward is the same function again."""

    generate_vmap_rule = True

    @classmethod
    def apply_plain(cls, *args: Any) -> Any:
        """``apply`` outside torch.func, without its costly look at the signature of ``forward``."""
        return super(torch.autograd.Function, cls).apply(*args)  # type: ignore[misc]

    @staticmethod
    def forward(call: RecurrenceCall, plain: bool, *operands: Tensor) -> tuple[Tensor, ...]:
        return _run_flat(call, operands) if plain else _through_operator(call, operands)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        call, _, *operands = inputs
        ctx.call = call
        ctx.sequences = len(sequence_names(call.program))
        ctx.operands = len(operands)
        ctx.save_for_backward(*operands, *output[: ctx.sequences])
        ctx.save_for_forward(*operands)
        ctx.set_materialize_grads(False)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[Tensor | None, ...]:
        operands, given = ctx.saved_tensors[: ctx.operands], tangents[2:]
        moved = Tangent.of(
            ctx.call, operands, given, may_differentiate([*operands, *(x for x in given if x is not None)])
        )
        return tuple(moved.changes(apply_call(moved.call, moved.operands)))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:
        saved = ctx.saved_tensors
        operands, outputs = saved[: ctx.operands], saved[ctx.operands :]
        again = torch.is_grad_enabled()
        derivative = Derivative.of(ctx.call, operands, outputs, gradients, ctx.needs_input_grad[2:], again)
        found = derivative.cotangents(apply_call(derivative.call, derivative.operands))
        return (None, None, *found, *([None] if ctx.call.has_seed else []))


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    streams, states, tensors, seed, program, reverse, stream, start, engine = inputs
    ctx.call = RecurrenceCall(_program(program), reverse, stream, start, engine, seed is not None)
    ctx.sequences = len(sequence_names(ctx.call.program))
    operands = [*streams, *states, *tensors, *([] if seed is None else [seed])]
    ctx.operands = len(operands)
    ctx.save_for_backward(*operands, *output[: ctx.sequences])
    ctx.set_materialize_grads(False)


def _operator_backward(ctx: Any, gradients: list[Tensor | None]) -> tuple[Any, ...]:
    saved = ctx.saved_tensors
    operands, outputs = saved[: ctx.operands], saved[ctx.operands :]
    needed = [flag for group in ctx.needs_input_grad[:3] for flag in group]
    call: RecurrenceCall = ctx.call
    if call.has_seed:
        needed.append(False)
    derivative = Derivative.of(call, operands, outputs, gradients, needed, False)
    found = derivative.cotangents(_through_operator(derivative.call, derivative.operands))
    i, s, _ = call.counts
    return found[:i], found[i : i + s], found[i + s :], None, None, None, None, None, None


_operator.register_autograd(_operator_backward, setup_context=_setup_context)


@_operator.register_vmap
def _vmap(info: Any, in_dims: Any, *args: Any) -> tuple[list[Tensor], list[int]]:
    """Folds the mapped axis into the batch where rows stay independent, otherwise runs entry by entry."""
    inputs, states, tensors, seed, program, reverse, stream, start, engine = args
    call = RecurrenceCall(_program(program), reverse, stream, start, engine, seed is not None)
    drawn = [] if seed is None else [seed]
    dims = [d for group in in_dims[:3] for d in group] + [in_dims[3] for _ in drawn]
    outputs, axes = _mapped(
        _through_operator, call, [*inputs, *states, *tensors, *drawn], dims, info.batch_size
    )
    return list(outputs), axes


def _mapped(
    run: Callable[[RecurrenceCall, Sequence[Tensor]], tuple[Tensor, ...]], call: RecurrenceCall,
    operands: Sequence[Tensor], dims: Sequence[int | None], size: int,
) -> tuple[tuple[Tensor, ...], list[int]]:  # fmt: skip
    """Outputs of a call on operands with a further axis here and there, and where their own new axis is."""
    i, s, _ = call.counts
    if not call.has_seed and not call.program.gradients and all(d is None for d in dims[i + s :]):
        folded = [_fold(x, d, size, axis=1) for x, d in zip(operands[:i], dims[:i], strict=True)]
        folded += [
            _fold(x, d, size, axis=0) for x, d in zip(operands[i : i + s], dims[i : i + s], strict=True)
        ]
        outputs = run(call, [*folded, *operands[i + s :]])
        sequences = len(sequence_names(call.program))
        axes = [1] * sequences + [0] * (len(outputs) - sequences)
        return tuple([x.unflatten(axis, (size, -1)) for x, axis in zip(outputs, axes, strict=True)]), axes
    rows = [
        run(call, [x if d is None else x.select(d, k) for x, d in zip(operands, dims, strict=True)])
        for k in range(size)
    ]
    return tuple([torch.stack(column) for column in zip(*rows, strict=True)]), [0] * len(rows[0])


def _fold(x: Tensor, dim: int | None, size: int, axis: int) -> Tensor:
    moved = (
        x.unsqueeze(axis).expand(*x.shape[:axis], size, *x.shape[axis:])
        if dim is None
        else x.movedim(dim, axis)
    )
    return moved.flatten(axis, axis + 1)


# --- the way in


def apply_call(call: RecurrenceCall, operands: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Runs a call, differentiably where an operand asks for it."""
    if torch.compiler.is_compiling():
        return _through_operator(call, operands)
    plain = is_plain(operands)
    if plain and not may_differentiate(operands):
        with torch.no_grad():
            return _run_flat(call, operands)
    if not plain:
        if torch._C._get_tracing_state() is not None or _functionalizes():
            return _through_operator(call, operands)  # which know operators, and no autograd.Function
        if is_legacy_batched(operands):
            return _over_legacy_batch(call, operands)
    apply: Any = _Recurrence.apply_plain if plain else _Recurrence.apply
    result: tuple[Tensor, ...] = apply(call, plain, *operands)
    return result


def _functionalizes() -> bool:
    level = torch._C._functorch.peek_interpreter_stack()
    return level is not None and level.key() == torch._C._functorch.TransformType.Functionalize


def _over_legacy_batch(call: RecurrenceCall, operands: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """A call on batches of the vmap before torch.func, which runs no operator but torch's own."""
    level = torch._C._vmapmode_increment_nesting() - 1
    torch._C._vmapmode_decrement_nesting()
    dims = [0 if is_legacy_batched([x]) else None for x in operands]
    taken = [
        x if d is None else torch._remove_batch_dim(x, level, 0, 0)
        for x, d in zip(operands, dims, strict=True)
    ]
    size = next(x.shape[0] for x, d in zip(taken, dims, strict=True) if d == 0)
    outputs, axes = _mapped(apply_call, call, taken, dims, size)
    return tuple([torch._add_batch_dim(x, axis, level) for x, axis in zip(outputs, axes, strict=True)])


def carries_tangents(operands: Sequence[Tensor]) -> bool:
    """Whether forward-mode differentiation is on and one of these has a tangent."""
    if forward_ad._current_level < 0 or torch.compiler.is_compiling():
        return False
    if torch._C._functorch.maybe_current_level() is not None:
        return True  # whose tangents cannot be looked at from here
    return any(forward_ad.unpack_dual(x).tangent is not None for x in operands)


def may_differentiate(operands: Sequence[Tensor]) -> bool:
    """Whether a derivative of a call on these may be asked for."""
    if carries_tangents(operands):
        return True
    if not torch.is_grad_enabled():
        return False
    if not torch.compiler.is_compiling() and torch._C._functorch.maybe_current_level() is not None:
        return True
    return any(x.requires_grad for x in operands)


def recurrence(
    program: Program,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    tensors: Sequence[Tensor],
    *,
    reverse: bool = False,
    seed: Tensor | None = None,
    stream: int = 0,
    start: int = 0,
    engine: str = "auto",
    prepared: PreparedLayer | None = None,
) -> RecurrenceResult:
    """Runs a program over time, differentiably.

    Args:
        program: What to run.
        inputs: One (time, batch, width) for each of the program's inputs.
        states: The initial states, (batch, width).
        tensors: The program's parameters, in its order.
        reverse: Whether to run from the last step to the first.
        seed: int64 tensor of shape () for random masks; it stays an operand under torch.compile.
        stream: Which random masks: layer and direction in one number below 2**24.
        start: The time of the first step, for random masks.
        engine: "auto" or the name of an engine.
        prepared: The parameters, packed for inference on the native engine.

    Raises:
        EngineError: Prepared weights where a derivative or a transformation of the call is asked for.

    Example:
        >>> from gatewise import cells
        >>> program = cells.get("min_gru")
        >>> weights = [torch.ones(8, 3), torch.zeros(8)]
        >>> result = recurrence(program, [torch.ones(5, 2, 3)], [torch.zeros(2, 4)], weights)
        >>> result.sequences["output"].shape
        torch.Size([5, 2, 4])
    """
    operands = [*inputs, *states, *tensors]
    if prepared is not None:
        if (
            is_traced()
            or may_differentiate(operands)
            or not (is_plain(operands) or is_plain(operands := resolved(operands)))
        ):
            raise EngineError(
                "weights: a prepared module computes outputs alone, in eager mode; for derivatives, torch.func, "
                "torch.compile, torch.export or torch.jit.trace use the original module, or detach the input"
            )
        call = RecurrenceCall(program, reverse, stream, start, "native", seed is not None)
        operands += [] if seed is None else [seed]
        with torch.no_grad():
            return call.result(_run_flat(call, operands, prepared=prepared))
    if may_differentiate(operands) or torch._C._get_tracing_state() is not None:
        program = recorded(program)  # a trace may be differentiated later
    call = RecurrenceCall(program, reverse, stream, start, engine, seed is not None)
    return call.result(apply_call(call, [*operands, *([] if seed is None else [seed])]))
