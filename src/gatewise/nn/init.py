"""How parameters start: torch's draws, orthogonal recurrent blocks with an open forget gate, or chrono biases.

Sources: He et al. / torch.nn.RNNBase for U(-1/sqrt(hidden), 1/sqrt(hidden)); Saxe et al. 2014 (orthogonal); Glorot &
Bengio 2010 (input weights beside it); Gers et al. 2000 and Jozefowicz et al. 2015 (forget bias 1); Tallec & Ollivier
2018, section 2.2 (chrono: b_f = log U(1, T - 1), b_i = -b_f).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from gatewise.errors import ArgumentError, ArgumentTypeError, meant
from gatewise.spec.program import Program, TensorSpec

__all__ = ["INITS", "check_init", "initialise"]

INITS = ("torch", "orthogonal", "chrono")


def check_init(init: object, chrono_steps: object, program: Program) -> None:
    """Raises unless the initialiser is known and the cell has the gates that it sets.

    Raises:
        ArgumentError: Unknown, or ``chrono`` without steps or without a gate and bias to set.
        ArgumentTypeError: Not a text, or steps that are no whole number.
    """
    if not isinstance(init, str):
        raise ArgumentTypeError(f"init: expected one of {INITS}, got {init!r:.60}; pass a text")
    if init not in INITS:
        raise ArgumentError(
            f"init: expected one of {INITS}, got {init!r:.60}; pick one of them" + meant(init, INITS)
        )
    if init != "chrono":
        if chrono_steps is not None:
            raise ArgumentError(
                f"chrono_steps: expected None beside init={init!r}, got {chrono_steps!r:.60}; "
                "pass init='chrono' with it"
            )
        return
    if chrono_steps is None:
        raise ArgumentError(
            "chrono_steps: expected the longest dependency in steps for init='chrono', got None; "
            "pass an int of at least 3"
        )
    if not isinstance(chrono_steps, int) or isinstance(chrono_steps, bool):
        raise ArgumentTypeError(
            f"chrono_steps: expected a whole number, got {chrono_steps!r:.60}; pass an int"
        )
    if chrono_steps < 3:
        raise ArgumentError(f"chrono_steps: expected at least 3 steps, got {chrono_steps}; pass more")
    gates = [gate for gate in (program.retain, program.admit) if gate is not None]
    if not any(True for gate in gates for _ in _bias_parts(program, gate)):
        raise ArgumentError(
            f"init: expected a cell with a bias on a gate that keeps its state for 'chrono', got {program.name!r}; "
            "use another init, or bias=True"
        )


def initialise(
    program: Program,
    layers: Sequence[Sequence[Tensor]],
    hidden_size: int,
    init: str = "torch",
    chrono_steps: int | None = None,
) -> None:
    """Draws the parameters of all layers in place, in order, from torch's generator.

    Args:
        program: The cell.
        layers: Per layer and direction the tensors in the program's order.
        hidden_size: Sets the bound of torch's uniform draw.
        init: "torch", "orthogonal" or "chrono".
        chrono_steps: The longest dependency in steps, for "chrono".
    """
    bound = 1.0 / math.sqrt(hidden_size)
    with torch.no_grad():
        for tensors in layers:
            for spec, tensor in zip(program.tensors, tensors, strict=True):
                if init == "orthogonal" and spec.init == "uniform" and spec.role != "unit":
                    _orthogonal(program, spec, tensor)
                else:
                    _plain(spec, tensor, bound)
            if init == "orthogonal":
                _open_gates(program, tensors)
            elif init == "chrono" and chrono_steps is not None:
                _chrono(program, tensors, chrono_steps)


def _plain(spec: TensorSpec, tensor: Tensor, bound: float) -> None:
    if spec.init == "uniform":
        tensor.uniform_(-bound, bound)
    elif spec.init == "normal":
        tensor.normal_(0.0, bound)
    else:
        tensor.fill_(1.0 if spec.init == "ones" else 0.0)


def _orthogonal(program: Program, spec: TensorSpec, tensor: Tensor) -> None:
    """Each gate's block by itself; biases zero. QR needs float32."""
    if spec.role == "bias":
        tensor.zero_()
        return
    for rows in _part_rows(spec, tensor):
        for block in tensor[rows].chunk(spec.blocks):
            fresh = torch.empty(block.shape, dtype=torch.float32, device=block.device)
            if spec.role in ("recurrent", "projection"):
                torch.nn.init.orthogonal_(fresh)
            else:
                torch.nn.init.xavier_uniform_(fresh)
            block.copy_(fresh)


def _part_rows(spec: TensorSpec, tensor: Tensor) -> Iterator[slice]:
    """The rows of each part. Parts of one tensor that differ in width are placed by the numbers among them."""
    count = len(spec.parts)
    numbers = [width for _, width in spec.parts if isinstance(width, int)]
    symbols = {width for _, width in spec.parts if isinstance(width, str)}
    if len(symbols) > 1:  # nothing here knows their sizes: the tensor is taken as one block
        yield slice(0, tensor.shape[0])
        return
    share = (tensor.shape[0] - sum(numbers)) // max(count - len(numbers), 1)
    start = 0
    for _, width in spec.parts:
        size = width if isinstance(width, int) else share
        yield slice(start, start + size)
        start += size


def _bias_parts(program: Program, gate: str) -> Iterator[tuple[int, int]]:
    """(tensor, part) of each bias of a gate, in the program's order."""
    for index, spec in enumerate(program.tensors):
        if spec.role == "bias":
            for part, (name, _) in enumerate(spec.parts):
                if name == gate:
                    yield index, part


def _set_bias(program: Program, tensors: Sequence[Tensor], gate: str | None, value: float | Tensor) -> None:
    """Puts a value into the first bias of a gate and zero into its others, so that their sum is the value."""
    if gate is None:
        return
    for position, (index, part) in enumerate(_bias_parts(program, gate)):
        rows = list(_part_rows(program.tensors[index], tensors[index]))[part]
        tensors[index][rows] = value if position == 0 else 0.0


def _open_gates(program: Program, tensors: Sequence[Tensor]) -> None:
    if program.retain is not None:
        _set_bias(program, tensors, program.retain, 1.0)
    else:
        _set_bias(program, tensors, program.admit, -1.0)


def _chrono(program: Program, tensors: Sequence[Tensor], steps: int) -> None:
    gate = program.retain if program.retain is not None else program.admit
    if gate is None:
        return
    index, part = next(_bias_parts(program, gate))
    rows = list(_part_rows(program.tensors[index], tensors[index]))[part]
    like = tensors[index][rows]
    keep = torch.empty(like.shape, dtype=torch.float32, device=like.device).uniform_(1.0, steps - 1.0).log()
    keep = keep.to(like.dtype)
    _set_bias(program, tensors, program.retain, keep)
    _set_bias(program, tensors, program.admit, -keep)
