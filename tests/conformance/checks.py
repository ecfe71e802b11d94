"""What every cell must do, on every engine that runs programs. Used for the registered cells and for any other."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from gatewise.engines import StackCall, executor, recurrence, run, step
from gatewise.engines.launch import PROGRAM_ENGINES
from gatewise.engines.operators import _operator
from gatewise.engines.reference import unroll
from gatewise.spec import Program
from gatewise.spec.derivative import recorded
from gatewise.spec.program import bind
from tests.conformance.operands import SIZES, Operands, operands, variants

SEED = torch.tensor(20221122)
# Float64 sums of at most about a hundred terms of order one over a handful of steps: a few hundred roundings.
EXACT = 400 * torch.finfo(torch.float64).eps


def close(ours: Tensor, expected: Tensor, what: str, tolerance: float = EXACT) -> None:
    """Equal up to rounding, relative to the largest number."""
    assert ours.shape == expected.shape, f"{what}: {tuple(ours.shape)} is not {tuple(expected.shape)}"
    assert torch.isfinite(ours).all(), f"{what}: not finite"
    scale = max(1.0, expected.abs().max().item()) if expected.numel() else 1.0
    error = (ours - expected).abs().max().item() if expected.numel() else 0.0
    assert error <= tolerance * scale, f"{what}: off by {error:.3g} (allowed {tolerance * scale:.3g})"


def check_json(program: Program) -> None:
    """The JSON form is canonical and gives the program back."""
    for name, variant in variants(program).items():
        text = variant.to_json()
        again = Program.from_json(text)
        assert again == variant, name
        assert again.to_json() == text, name


def check_forward(program: Program) -> None:
    """Each engine gives the readable loop's numbers, both ways in time, however the program was prepared."""
    for name, variant in variants(program).items():
        given = operands(variant, steps=5)
        for reverse in (False, True):
            with torch.no_grad():
                expected, final = unroll(
                    variant, given.inputs, given.states, given.tensors, reverse=reverse, seed=SEED, stream=3
                )
            for engine in PROGRAM_ENGINES:
                for scan in (False, True) if engine.name == "reference" else (True,):
                    extra = {"allow_scan": scan} if engine.name == "reference" else {}
                    with torch.no_grad():
                        got = engine.run(
                            recorded(variant), given.inputs, given.states, given.tensors,
                            reverse=reverse, seed=SEED, stream=3, **extra,
                        )  # fmt: skip
                    where = f"{program.name}, {name}, {engine.name}, reverse={reverse}, scan={scan}"
                    for key, value in expected.items():
                        close(got.sequences[key], value, f"{where}: {key}")
                    for state, ours, theirs in zip(variant.states, got.states, final, strict=True):
                        close(ours, theirs, f"{where}: final {state.name}")


def check_gradients(program: Program) -> None:
    """The derived program gives autograd's gradients of the readable loop."""
    for name, variant in variants(program).items():
        given = operands(variant, steps=5)
        for reverse in (False, True):
            expected, final = unroll(
                variant, given.inputs, given.states, given.tensors, reverse=reverse, seed=SEED, stream=3
            )
            results = [*expected.values(), *final]
            weights = [torch.randn_like(r) for r in results]
            leaves = given.differentiable
            wanted = torch.autograd.grad(results, leaves, weights, allow_unused=True)
            got = recurrence(
                variant, given.inputs, given.states, given.tensors, reverse=reverse, seed=SEED, stream=3
            )
            ours = [got.sequences[key] for key in expected] + list(got.states)
            found = torch.autograd.grad(ours, leaves, weights, allow_unused=True)
            for position, (mine, theirs) in enumerate(zip(found, wanted, strict=True)):
                where = f"{program.name}, {name}, reverse={reverse}: operand {position}"
                zero = torch.zeros_like(leaves[position])
                close(zero if mine is None else mine, zero if theirs is None else theirs, where, 4 * EXACT)


def check_second_derivatives(program: Program) -> None:
    """gradcheck and gradgradcheck in float64 through the operator."""
    # Undefined cotangents multiply the number of derived programs; small cells stand for all.
    small = len(program.nodes) < 30
    for variant in (program, variants(program)["masked and reset"]) if small else (program,):
        given = operands(variant, steps=3, rows=2)

        def function(*leaves: Tensor, variant: Program = variant, given=given) -> tuple[Tensor, ...]:
            taken = iter(leaves)
            flat = tuple(next(taken) if t.is_floating_point() else t for t in given.flat)
            result = recurrence(variant, *given.split(flat))
            return (result.sequences["output"], *result.states)

        leaves = tuple(given.differentiable)
        assert torch.autograd.gradcheck(function, leaves, fast_mode=True)
        assert torch.autograd.gradgradcheck(function, leaves, fast_mode=True, check_undefined_grad=small)


def check_streaming(program: Program) -> None:
    """One step at a time gives the whole sequence's numbers."""
    given = operands(program, steps=5)
    with torch.no_grad():
        expected, final = unroll(program, given.inputs, given.states, given.tensors)
        states = tuple(given.states)
        for t in range(5):
            output, states = step(program, [x[t] for x in given.inputs], states, given.tensors)
            close(output, expected["output"][t], f"{program.name}: step {t}")
    for ours, theirs in zip(states, final, strict=True):
        close(ours, theirs, f"{program.name}: final state")


def stack_call(program: Program, given, **options: object) -> StackCall:
    """One layer as a call; states with the stack's leading axis."""
    return StackCall(
        program=program, inputs=tuple(given.inputs), states=tuple(s.unsqueeze(0) for s in given.states),
        tensors=(tuple(given.tensors),), **options,
    )  # fmt: skip


def check_ragged(program: Program) -> None:
    """Lengths and masks give what a loop over single sequences gives, with nothing read from the padding."""
    given = operands(program, steps=6, rows=4)
    lengths = torch.tensor([6, 0, 3, 1])
    with torch.no_grad():
        for x in given.inputs:
            x[torch.arange(6)[:, None] >= lengths] = float("nan")
        for reverse in (False, True):
            result = run(stack_call(program, given, lengths=lengths, reverse=reverse, engine="reference"))
            for row, length in enumerate(lengths.tolist()):
                pieces = [x[:length, row : row + 1] for x in given.inputs]
                first = [s[row : row + 1] for s in given.states]
                where = f"{program.name}: row {row}, reverse={reverse}"
                if length:
                    alone, final = unroll(program, pieces, first, given.tensors, reverse=reverse)
                    close(result.output[:length, row : row + 1], alone["output"], where)
                else:
                    final = tuple(first)
                assert (result.output[length:, row] == 0).all(), f"{where}: padding is not zero"
                for ours, theirs in zip(result.states, final, strict=True):
                    close(ours[0, row : row + 1], theirs, f"{where}: state")


def check_mask(program: Program) -> None:
    """A step that is masked out is as if it had not been there."""
    given = operands(program, steps=6, rows=3)
    mask = torch.rand(6, 3, generator=torch.Generator().manual_seed(1)) < 0.5
    with torch.no_grad():
        for x in given.inputs:
            x[~mask] = float("nan")
        for reverse in (False, True):
            result = run(stack_call(program, given, mask=mask, reverse=reverse))
            for row in range(3):
                kept = mask[:, row]
                pieces = [x[kept, row : row + 1] for x in given.inputs]
                first = [s[row : row + 1] for s in given.states]
                alone, final = unroll(program, pieces, first, given.tensors, reverse=reverse)
                close(result.output[kept, row : row + 1], alone["output"], f"{program.name}: row {row}")
                assert (result.output[~kept, row] == 0).all()
                for ours, theirs in zip(result.states, final, strict=True):
                    close(ours[0, row : row + 1], theirs, f"{program.name}: row {row}, state")


def check_resets(program: Program) -> None:
    """A reset cuts the sequence in two, forwards and backwards."""
    given = operands(program, steps=6, rows=2)
    fresh = operands(program, steps=1, rows=2, seed=5).states
    resets = torch.zeros(6, 2, dtype=torch.bool)
    resets[4] = True
    with torch.no_grad():
        for reverse in (False, True):
            start = tuple(s.unsqueeze(0) for s in fresh)
            result = run(stack_call(program, given, resets=resets, reset_states=start, reverse=reverse))
            early, late = [x[:4] for x in given.inputs], [x[4:] for x in given.inputs]
            first_half, second_half = (fresh, given.states) if reverse else (given.states, fresh)
            one, one_final = unroll(program, early, first_half, given.tensors, reverse=reverse)
            two, two_final = unroll(program, late, second_half, given.tensors, reverse=reverse)
            expected = torch.cat([one["output"], two["output"]])
            close(result.output, expected, f"{program.name}: reset, reverse={reverse}")
            for ours, theirs in zip(result.states, one_final if reverse else two_final, strict=True):
                close(ours[0], theirs, f"{program.name}: state after reset, reverse={reverse}")


def check_segments(program: Program) -> None:
    """checkpoint_every changes memory, not numbers."""
    given = operands(program, steps=7)

    def outcome(**options: object) -> list[Tensor]:
        result = run(stack_call(program, given, engine="reference", return_gates=True, **options))
        total = result.output.square().sum() + sum(s.sum() for s in result.states)
        found = torch.autograd.grad(total, given.differentiable, allow_unused=True)
        gates = [value for entry in result.trace or () for value in entry.values()]
        return [result.output, *result.states, *gates, *(g for g in found if g is not None)]

    for reverse in (False, True):
        for ours, theirs in zip(
            outcome(checkpoint_every=3, reverse=reverse), outcome(reverse=reverse), strict=True
        ):
            close(ours, theirs, f"{program.name}: segments, reverse={reverse}")


def check_dtypes(program: Program) -> None:
    """Every float dtype runs; the error is that of the dtype."""
    given = operands(program, steps=4)
    with torch.no_grad():
        expected, _ = unroll(program, given.inputs, given.states, given.tensors)
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            small = given.to(dtype)
            got = executor.run(program, small.inputs, small.states, small.tensors)
            assert got.sequences["output"].dtype == dtype
            # Four steps of some twenty roundings each on numbers of order one; layer norm divides by a spread
            # of four units, which may be small.
            tolerance = 400 * torch.finfo(dtype).eps
            close(got.sequences["output"].double(), expected["output"], f"{program.name}: {dtype}", tolerance)


def check_torch_func(program: Program) -> None:
    """vmap, grad, jacrev and vmap of grad."""
    given = operands(program, steps=3, rows=2)
    flat = [t.detach() for t in given.flat]
    last = len(flat) - 1

    def loss(*values: Tensor) -> Tensor:
        result = recurrence(program, *given.split(values))
        return result.sequences["output"].square().sum() + sum(s.sum() for s in result.states)

    def at(x: Tensor) -> tuple[Tensor, ...]:
        return (x, *flat[1:])

    expected = torch.autograd.grad(loss(*given.flat), given.flat, allow_unused=True)
    found = torch.func.grad(loss, argnums=tuple(range(len(flat))))(*flat)
    for ours, theirs in zip(found, expected, strict=True):
        close(ours, torch.zeros_like(ours) if theirs is None else theirs, f"{program.name}: func.grad")
    batch = torch.stack([flat[0], flat[0] * 0.5])
    mapped = torch.func.vmap(lambda x: recurrence(program, *given.split(at(x))).sequences["output"])(batch)
    mapped_gradient = torch.func.vmap(lambda x: torch.func.grad(loss, argnums=last)(*at(x)))(batch)
    for k in range(2):
        one = recurrence(program, *given.split(at(batch[k]))).sequences["output"]
        close(mapped[k], one, f"{program.name}: vmap")
        gradient = torch.func.grad(loss, argnums=last)(*at(batch[k]))
        close(mapped_gradient[k], gradient, f"{program.name}: vmap of grad")
    jacobian = torch.func.jacrev(
        lambda x: recurrence(program, *given.split(at(x))).sequences["output"].sum((0, 1))
    )(flat[0])
    row = torch.func.grad(
        lambda x: recurrence(program, *given.split(at(x))).sequences["output"][..., 0].sum()
    )(flat[0])
    close(jacobian[0], row, f"{program.name}: jacrev")
    twice = torch.func.grad(lambda x: torch.func.grad(lambda y: loss(*at(y)))(x).square().sum())(flat[0])
    assert torch.isfinite(twice).all()


def check_tangents(program: Program) -> None:
    """Forward-mode derivatives are those of the readable loop, on every engine, over and under backward ones too."""
    for place, (name, variant) in enumerate(variants(program).items()):
        given = operands(variant, steps=4)
        leaves = tuple(t.detach() for t in given.differentiable)
        directions = tuple(torch.randn_like(leaf) for leaf in leaves)
        run = partial(_results, variant, given, bool(place % 2))
        known, expected = torch.func.jvp(partial(run, None), leaves, directions)
        for engine in PROGRAM_ENGINES:
            values, changes = torch.func.jvp(partial(run, engine.name), leaves, directions)
            for ours, theirs in zip([*values, *changes], [*known, *expected], strict=True):
                close(ours, theirs, f"{program.name}, {name}, {engine.name}: tangent")
    given = operands(program, steps=3, rows=2)
    leaves = tuple(t.detach() for t in given.differentiable)
    directions = tuple(torch.randn_like(leaf) for leaf in leaves)
    every = tuple(range(len(leaves)))

    def total(engine: str | None, *values: Tensor) -> Tensor:
        return torch.stack(
            [one.square().sum() for one in _results(program, given, False, engine, *values)]
        ).sum()

    def change(*values: Tensor) -> Tensor:
        return torch.func.jvp(partial(total, "auto"), values, directions)[1]

    expected, forward_over = (
        torch.func.jvp(torch.func.grad(partial(total, engine), argnums=every), leaves, directions)[1]
        for engine in (None, "auto")
    )
    backward_over = torch.func.grad(change, argnums=every)(*leaves)
    for known, ours, theirs in zip(expected, forward_over, backward_over, strict=True):
        close(ours, known, f"{program.name}: forward over backward", 4 * EXACT)
        close(theirs, known, f"{program.name}: backward over forward", 4 * EXACT)


def _results(
    program: Program, given: Operands, reverse: bool, engine: str | None, *values: Tensor
) -> list[Tensor]:
    """What a program gives for other numbers than the given ones; no engine: by the readable loop."""
    rest = iter(values)
    flat = tuple(next(rest) if t.is_floating_point() else t for t in given.flat)
    options = {"reverse": reverse, "seed": SEED, "stream": 3}
    if engine is None:
        sequences, states = unroll(program, *given.split(flat), **options)
        return [*sequences.values(), *states]
    got = recurrence(program, *given.split(flat), engine=engine, **options)
    names = ["output", *(f"emit:{name}" for name, _ in program.emits)]
    return [*(got.sequences[name] for name in names), *got.states]


def check_operator(program: Program) -> None:
    """opcheck: schema, fake tensors, autograd registration, aot dispatch with dynamic shapes."""
    given = operands(program, steps=3, rows=2)
    torch.library.opcheck(
        _operator,
        (given.inputs, given.states, given.tensors, None, recorded(program).to_json(), False, 0, 0, "auto"),
    )


def check_widths(program: Program) -> None:
    """The output has the width that the program states."""
    given = operands(program)
    result = executor.run(program, given.inputs, given.states, given.tensors)
    assert result.sequences["output"].shape[-1] == bind(program.output_width, SIZES)


CHECKS = (
    check_json, check_widths, check_forward, check_gradients, check_second_derivatives, check_streaming, check_ragged,
    check_mask, check_resets, check_segments, check_dtypes, check_torch_func, check_tangents, check_operator,
)  # fmt: skip
