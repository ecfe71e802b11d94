"""The native engine: runs a program's time loop in the library, and the large products around it in torch."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from gatewise.engines import executor
from gatewise.engines.executor import RunResult
from gatewise.engines.native.build import Kernel, Source, build
from gatewise.engines.native.library import Buffer, Call, Library, Weight, library, reason_absent, threads
from gatewise.engines.native.outer import Outer
from gatewise.engines.native.parts import Parts, parts
from gatewise.engines.sizes import sizes_of
from gatewise.spec.program import Program, bind

__all__ = ["can_run", "run"]

_DTYPES = {torch.float32: 4, torch.float64: 8}


def can_run(
    program: Program, inputs: Sequence[Tensor], states: Sequence[Tensor], tensors: Sequence[Tensor]
) -> str | None:
    """Why the native engine cannot run a program, or None."""
    missing = reason_absent()
    if missing is not None:
        return missing
    for tensor in (*states, *inputs, *tensors):
        if tensor.device.type != "cpu":
            return f"it runs on the CPU, the operands are on {tensor.device.type}"
        if tensor.dtype not in _DTYPES and tensor.dtype != torch.bool:
            return f"it computes in float32 and float64, the operands are {tensor.dtype}"
    return None


class _Compiled:
    """A plan in the library's form, kept for as long as the plan is."""

    def __init__(self, program: Program, sizes: Mapping[str, int], element: int) -> None:
        self.program, self.parts = program, parts(program)
        self.kernel: Kernel = build(program, sizes, element)
        self.outer = Outer(program, self.parts, dict(sizes), self.kernel.panels)
        self.dtype = torch.float32 if element == 4 else torch.float64
        self.panel_widths = [
            sum(bind(program.nodes[i].width, sizes) for i in group) for group in self.kernel.panels
        ]
        self.constants = {
            source: torch.full((1,), source.number, dtype=self.dtype)
            for source in self.kernel.sources if source.kind == "const"
        }  # fmt: skip
        self.library = _library()
        words = self.kernel.words.to_array()
        handle = ctypes.c_void_p()
        address, count = words.buffer_info()
        self.library.check(self.library.handle.gatewise_plan_make(address, count, ctypes.byref(handle)))
        self.handle = handle
        self.buffer_array = Buffer * max(1, len(self.kernel.sources))
        self.weight_array = Weight * max(1, len(self.kernel.weights))

    def __del__(self) -> None:
        handle = getattr(self, "handle", None)
        if handle is not None:
            self.library.handle.gatewise_plan_free(handle)


def _library() -> Library:
    found = library()
    if found is None:
        raise RuntimeError(reason_absent())
    return found


@lru_cache(maxsize=1024)
def _compiled(program: Program, sizes: tuple[tuple[str, int], ...], element: int) -> _Compiled:
    return _Compiled(program, dict(sizes), element)


@dataclass
class _Values:
    """What is known of a run, by node."""

    ready: dict[int, Tensor]
    sequences: dict[int, Tensor]
    panels: list[Tensor]


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
) -> RunResult:
    """Runs a program over all steps; arguments as in :func:`gatewise.engines.executor.run`."""
    steps, rows = (inputs[0].shape[0], inputs[0].shape[1]) if inputs else (0, states[0].shape[0])
    if steps == 0 or rows == 0:
        # Nothing to compute: the readable engine shapes the empty results.
        return executor.run(
            program, inputs, states, tensors, reverse=reverse, seed=seed, stream=stream, start=start
        )
    sizes = sizes_of(program, inputs, states, tensors)
    dtype = (states or [x for x in inputs if x.is_floating_point()])[0].dtype
    plan = _compiled(program, tuple(sorted(sizes.items())), _DTYPES[dtype])
    outer = plan.outer
    static = outer.static(tensors, dtype)
    ready = outer.front(inputs, tensors, static, steps, rows, seed, stream, start)
    values = _Values(ready, {}, [])
    for width in plan.panel_widths:
        values.panels.append(torch.empty((steps, rows, width), dtype=dtype))
    finals = [torch.empty((rows, state.shape[1]), dtype=dtype) for state in states]
    kept: list[Tensor] = []
    buffers = plan.buffer_array()
    for buffer, source, row in zip(buffers, plan.kernel.sources, plan.kernel.words.buffers, strict=False):
        tensor = _tensor_of(plan, source, row, values, inputs, states, finals, steps, rows)
        kept.append(_describe(buffer, tensor, row, source.column))
    weights = plan.weight_array()
    for weight, position in zip(weights, plan.kernel.weights, strict=False):
        matrix = tensors[position]
        if matrix.stride(1) != 1 or matrix.stride(0) < matrix.shape[1]:
            matrix = matrix.contiguous()
        kept.append(matrix)
        weight.data, weight.leading = matrix.data_ptr(), matrix.stride(0)
        weight.size = (matrix.shape[0] - 1) * matrix.stride(0) + matrix.shape[1]
    count = threads()
    call = Call(
        buffers, weights, steps, rows, start, 0 if seed is None else int(seed.item()) & (2**64 - 1), stream,
        int(reverse), count, plan.library.parallel if count > 1 else None,
    )  # fmt: skip
    plan.library.check(plan.library.handle.gatewise_run(plan.handle, ctypes.byref(call)))
    return outer.results(ready, values.sequences, values.panels, finals, tensors, steps, rows)


def _tensor_of(
    plan: _Compiled, source: Source, row: tuple[int, int, int, int], values: _Values, inputs: Sequence[Tensor],
    states: Sequence[Tensor], finals: Sequence[Tensor], steps: int, rows: int,
) -> Tensor:  # fmt: skip
    """The memory of one buffer."""
    kind = source.kind
    if kind == "input":
        return inputs[source.index]
    if kind == "value":
        return values.ready[source.index]
    if kind == "panel":
        return values.panels[source.index]
    if kind == "sequence":
        dtype = torch.bool if row[0] else plan.dtype
        made = torch.empty((steps, rows, row[1]), dtype=dtype)
        values.sequences[source.index] = made
        return made
    if kind == "const":
        return plan.constants[source]
    if kind == "static":
        return values.ready[source.index]
    return states[source.index] if kind == "initial" else finals[source.index]


def _describe(buffer: Any, tensor: Tensor, row: tuple[int, int, int, int], column: int) -> Tensor:
    """Fills in a buffer: pointer, strides and extent. Returns the tensor that holds the memory."""
    _, width, unit, per_step = row
    if per_step:
        tensor = _fit(tensor, unit, tensor.stride(1), tensor.stride(2))
        step, along = tensor.stride(0), tensor.stride(1)
        last = (tensor.shape[0] - 1) * step + (tensor.shape[1] - 1) * along
    elif tensor.dim() == 2:
        tensor = _fit(tensor, unit, tensor.stride(0), tensor.stride(1))
        step, along = 0, tensor.stride(0)
        last = (tensor.shape[0] - 1) * along
    else:
        step, along, last = 0, 0, 0
        tensor = tensor.contiguous()
    if not unit and tensor.dim() > 1 and tensor.shape[-2] == 1:
        # The stride of a single row says nothing: it is that of many.
        along = 1
    buffer.data = tensor.data_ptr() + column * tensor.element_size()
    buffer.step, buffer.row, buffer.size = step, along, last + (width if unit else 1)
    return tensor


def _fit(tensor: Tensor, unit: int, row: int, inner: int) -> Tensor:
    """The tensor, copied where its strides are none that the library walks along."""
    good = inner == 1 or tensor.shape[-1] == 1 if unit else row == 1 or tensor.shape[-2] == 1
    return tensor if good else tensor.contiguous()
