"""The native engine: runs a program's time loop in the library, and the large products around it in torch."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gatewise.engines import executor
from gatewise.engines.executor import RunResult
from gatewise.engines.native.build import Kernel, build
from gatewise.engines.native.library import Call, Library, loaded, reason_absent, threads
from gatewise.engines.native.outer import Outer
from gatewise.engines.native.parts import parts
from gatewise.engines.sizes import sizes_of
from gatewise.spec.program import Program, bind

__all__ = ["can_run", "run"]

_DTYPES = {torch.float32: 4, torch.float64: 8}
_FIT = (torch.float32, torch.float64, torch.bool)


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
            source.number: torch.full((1,), source.number, dtype=self.dtype)
            for source in self.kernel.sources if source.kind == "const"
        }  # fmt: skip
        self.library = _library()
        words = self.kernel.words.to_array()
        handle = ctypes.c_void_p()
        address, count = words.buffer_info()
        self.library.check(self.library.handle.gatewise_plan_make(address, count, ctypes.byref(handle)))
        self.handle = handle
        self.element = element
        self.state_widths = [bind(state.width, sizes) for state in program.states]
        rows = list(zip(self.kernel.sources, self.kernel.words.buffers, strict=True))
        self.sequences = [
            (source.index, row[1], torch.bool if row[0] else self.dtype)
            for source, row in rows if source.kind == "sequence"
        ]  # fmt: skip
        self.layout = [
            (source.kind, source.number if source.kind == "const" else source.index, source.column,
             width, unit, bool(per_step))
            for source, (_, width, unit, per_step) in rows
        ]  # fmt: skip

    def launch(
        self, values: Mapping[str, Any], tensors: Sequence[Tensor], steps: int, rows: int, start: int, seed: int,
        stream: int, reverse: bool,
    ) -> None:  # fmt: skip
        """Runs the kernel on memory that is found in ``values`` by kind of source."""
        described: list[int] = []
        kept: list[Tensor] = []
        for kind, index, column, width, unit, per_step in self.layout:
            tensor = values[kind][index]
            if tensor.is_contiguous():
                # The usual case, without asking for strides.
                whole = tensor.shape[-1] if tensor.dim() > 1 else 0
                step = rows * whole if per_step else 0
                described += (tensor.data_ptr() + column * self.element, step, whole, tensor.numel() - column)
                continue
            tensor = _walkable(tensor, unit)
            kept.append(tensor)
            described += _strides(tensor, width, unit, per_step)
        matrices: list[int] = []
        for position in self.kernel.weights:
            matrix = tensors[position]
            if not matrix.is_contiguous():
                matrix = matrix.contiguous()
                kept.append(matrix)
            matrices += (matrix.data_ptr(), matrix.shape[1], matrix.numel())
        buffers, weights = array("q", described), array("q", matrices)
        count = threads()
        call = Call(
            buffers.buffer_info()[0], weights.buffer_info()[0], steps, rows, start, seed, stream, reverse, count,
            self.library.parallel if count > 1 else None,
        )  # fmt: skip
        self.library.check(self.library.handle.gatewise_run(self.handle, ctypes.byref(call)))

    def __del__(self) -> None:
        handle = getattr(self, "handle", None)
        if handle is not None:
            self.library.handle.gatewise_plan_free(handle)


def _library() -> Library:
    found = loaded()
    if found is None:
        raise RuntimeError(reason_absent())
    return found


_plans: dict[tuple[object, ...], _Compiled] = {}
MOST_PLANS = 1024


def _plan(
    program: Program, inputs: Sequence[Tensor], states: Sequence[Tensor], tensors: Sequence[Tensor]
) -> _Compiled:
    """The plan for operands of these sizes; made once."""
    dtype = (states or [x for x in inputs if x.is_floating_point()])[0].dtype
    key = (program, dtype, *[x.shape[-1] for x in (*inputs, *states)], *[x.shape for x in tensors])
    found = _plans.get(key)
    if found is None:
        if len(_plans) >= MOST_PLANS:
            _plans.clear()
        found = _plans[key] = _Compiled(program, sizes_of(program, inputs, states, tensors), _DTYPES[dtype])
    return found


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
    plan = _plan(program, inputs, states, tensors)
    outer, dtype = plan.outer, plan.dtype
    static, biases = outer.static(tensors, dtype), outer.biases(tensors)
    panels = [torch.empty((steps, rows, width), dtype=dtype) for width in plan.panel_widths]
    sequences = {node: torch.empty((steps, rows, width), dtype=kind) for node, width, kind in plan.sequences}
    number = 0 if seed is None else int(seed.item()) & (2**64 - 1)
    ready = outer.front(inputs, tensors, static, steps, rows, seed, stream, start)
    finals = [torch.empty((rows, width), dtype=dtype) for width in plan.state_widths]
    values = {
        "input": inputs, "initial": states, "value": ready, "static": static, "bias": biases, "panel": panels,
        "final": finals, "sequence": sequences, "const": plan.constants,
    }  # fmt: skip
    plan.launch(values, tensors, steps, rows, start, number, stream, reverse)
    return outer.results(ready, sequences, panels, finals, tensors, steps, rows)


def _walkable(tensor: Tensor, unit: int) -> Tensor:
    """The tensor, copied where its strides are none that the library walks along."""
    if unit:
        good = tensor.stride(-1) == 1 or tensor.shape[-1] == 1
    else:
        good = tensor.dim() < 2 or tensor.stride(-2) == 1
    return tensor if good else tensor.contiguous()


def _strides(tensor: Tensor, width: int, unit: int, per_step: bool) -> tuple[int, int, int, int]:
    """Pointer, strides and extent."""
    step = tensor.stride(0) if per_step else 0
    row = tensor.stride(-2) if tensor.dim() > 1 else 0
    last = (tensor.shape[0] - 1) * step if per_step else 0
    last += (tensor.shape[-2] - 1) * row if tensor.dim() > 1 else 0
    return tensor.data_ptr(), step, row, last + (width if unit else 1)
