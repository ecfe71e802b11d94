"""What a layer's constructor asks for, checked as a whole: the program and the sizes of every layer."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from gatewise import cells
from gatewise.errors import ArgumentError, ArgumentTypeError
from gatewise.nn import arguments as check
from gatewise.nn.init import check_init
from gatewise.spec import Cell, Program
from gatewise.spec.program import bind

__all__ = ["Plan", "plan_layers"]


class Plan(NamedTuple):
    """A layer's program, the sizes of each layer of the stack and the widths of its states."""

    program: Program
    layers: tuple[dict[str, int], ...]
    state_widths: tuple[int, ...]
    zoneout: tuple[float, ...]


@check.no_type_check
def plan_layers(
    cell: Any,
    input_size: Any,
    hidden_size: Any,
    num_layers: Any,
    bias: Any,
    batch_first: Any,
    dropout: Any,
    bidirectional: Any,
    device: Any,
    dtype: Any,
    *,
    proj_size: Any,
    recurrent_dropout: Any,
    zoneout: Any,
    weight_drop: Any,
    layer_norm: Any,
    residual: Any,
    learn_initial_state: Any,
    init: Any,
    chrono_steps: Any,
    checkpoint_every: Any,
    engine: Any,
    reverse: Any,
    options: dict[str, Any],
) -> Plan:
    """Checks every argument of :class:`gatewise.nn.Recurrent` and says what to make.

    Raises:
        ArgumentError: A value out of range, or values that do not go together.
        ArgumentTypeError: A wrong type.
    """
    check.check_rate("dropout", dropout)
    for name, flag in (
        ("bias", bias), ("batch_first", batch_first), ("bidirectional", bidirectional), ("layer_norm", layer_norm),
        ("residual", residual), ("learn_initial_state", learn_initial_state), ("reverse", reverse),
    ):  # fmt: skip
        check.check_flag(name, flag)
    for name, size in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
        check.check_size(name, size)
    check.check_proj_size(proj_size, hidden_size)
    check.check_rate("recurrent_dropout", recurrent_dropout)
    check.check_rate("weight_drop", weight_drop)
    check.check_optional_count("checkpoint_every", checkpoint_every, 1)
    check.check_device(device)
    check.check_dtype(dtype)
    if not isinstance(engine, str):
        raise ArgumentTypeError(f"engine: expected an engine's name, got {engine!r:.60}; pass 'auto'")
    if reverse and bidirectional:
        raise ArgumentError(
            "reverse: expected False beside bidirectional=True, got True; it already runs both ways"
        )
    if not isinstance(cell, str | Cell | Program):
        raise ArgumentTypeError(
            f"cell: expected a name, a Cell or a Program, got {type(cell).__name__}; see gatewise.cells.names()"
        )
    program = cells.get(cell, bias=bias, layer_norm=layer_norm, **options)
    rates = check.zoneout_rates(zoneout, tuple(state.name for state in program.states))
    check_init(init, chrono_steps, program)
    layers, widths = _sizes(
        program, input_size, hidden_size, proj_size, num_layers, 2 if bidirectional else 1, device, dtype
    )
    _check_drops(program, float(recurrent_dropout), float(weight_drop))
    check.warn_of_lone_dropout(float(dropout), num_layers)
    return Plan(program, layers, widths, rates)


def _sizes(
    program: Program, input_size: int, hidden_size: int, proj_size: int, num_layers: int, directions: int,
    device: Any, dtype: Any,
) -> tuple[tuple[dict[str, int], ...], tuple[int, ...]]:  # fmt: skip
    groups = [s.width for s in program.inputs] + [s.width for s in program.states]
    groups += [width for tensor in program.tensors for _, width in tensor.parts]
    projects = "proj" in groups
    if projects and proj_size == 0:
        raise ArgumentError(
            f"proj_size: expected a size for the cell {program.name!r}, which projects, got 0; pass proj_size="
        )
    if proj_size and not projects:
        raise ArgumentError(
            f"proj_size: expected 0 for the cell {program.name!r}, which does not project, got {proj_size}; "
            "use the cell 'lstm_projected', or one of your own with project(...)"
        )
    sizes = {"input": input_size, "hidden": hidden_size}
    if projects:
        sizes["proj"] = proj_size
    unknown = sorted({w for w in groups if isinstance(w, str)} - set(sizes))
    if unknown:
        raise ArgumentError(
            f"cell: expected widths input, hidden and proj, got {', '.join(unknown)} in {program.name!r}; "
            "name those, or give numbers in the cell"
        )
    _check_blocks(program, sizes)
    deeper = {**sizes, "input": bind(program.output_width, sizes) * directions}
    layers = (sizes, *([deeper] * (min(num_layers, check.MAX_TENSORS) - 1)))
    first, other = (sum(math.prod(program.shape(t, s)) for t in program.tensors) for s in (sizes, deeper))
    elements = directions * (first + (num_layers - 1) * other)
    check.check_limits(num_layers * directions * len(program.tensors), elements, device, dtype)
    _check_stack(program, sizes, deeper, num_layers)
    return layers, tuple(bind(state.width, sizes) for state in program.states)


def _check_blocks(program: Program, sizes: dict[str, int]) -> None:
    for spec in program.tensors:
        widths = [*(width for _, width in spec.parts), *([] if spec.columns is None else [spec.columns])]
        if any(bind(width, sizes) % spec.blocks for width in widths):
            raise ArgumentError(
                f"hidden_size: expected a multiple of {spec.blocks}, the number of blocks of {spec.name} in the cell "
                f"{program.name!r}, got {sizes['hidden']}; change hidden_size or the number of heads"
            )


def _check_stack(program: Program, sizes: dict[str, int], deeper: dict[str, int], num_layers: int) -> None:
    if num_layers == 1:
        return
    if len(program.inputs) > 1:
        raise ArgumentError(
            f"num_layers: expected 1 for the cell {program.name!r}, which reads several inputs, got {num_layers}; "
            "put layers of another cell on top of it"
        )
    for state in program.states:
        if bind(state.width, sizes) != bind(state.width, deeper):
            raise ArgumentError(
                f"num_layers: expected 1, since the state {state.name} of the cell {program.name!r} is as wide as its "
                f"input and layers would differ, got {num_layers}; put one layer on top of another"
            )


def _check_drops(program: Program, recurrent_dropout: float, weight_drop: float) -> None:
    roles = {spec.role for spec in program.tensors}
    diagonal = any(spec.name.startswith("diagonal") for spec in program.tensors)
    if weight_drop and "recurrent" not in roles:
        raise ArgumentError(
            f"weight_drop: expected 0 for the cell {program.name!r}, which has no recurrent matrix, got {weight_drop}; "
            "use dropout between layers or zoneout"
        )
    if recurrent_dropout and "recurrent" not in roles and not diagonal:
        raise ArgumentError(
            f"recurrent_dropout: expected 0 for the cell {program.name!r}, which has no recurrent weight, got "
            f"{recurrent_dropout}; use dropout between layers or zoneout"
        )
