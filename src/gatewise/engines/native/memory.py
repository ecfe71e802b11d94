"""What a plan reads and writes, as the library takes it: addresses, strides and extents."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gatewise.engines.native.build import Kernel, build
from gatewise.engines.native.library import Call, Library, loaded, reason_absent, threads
from gatewise.engines.native.outer import Outer
from gatewise.engines.native.parts import parts
from gatewise.engines.plain import placed
from gatewise.engines.sizes import sizes_of
from gatewise.spec.program import Program, bind

__all__ = ["BYTES", "Job", "Plan", "plan_of", "run_jobs"]

BYTES = {torch.float32: 4, torch.float64: 8}
"""The numbers that the library computes with."""


class Plan:
    """A program for given sizes in the library's form, kept for as long as it is in use.

    Attributes:
        outer: What torch computes around the kernel.
        layout: By buffer: kind and number of its source, column, width, unit, whether it has steps.
        sequences: By new sequence: node, width, dtype.
        state_widths, panel_widths: Of new states and panels.
        constants: By value.
    """

    def __init__(self, program: Program, sizes: Mapping[str, int], element: int) -> None:
        self.program, self.parts = program, parts(program)
        self.kernel: Kernel = build(program, sizes, element)
        self.outer = Outer(program, self.parts, dict(sizes), self.kernel.panels)
        self.element = element
        self.dtype = torch.float32 if element == 4 else torch.float64
        self.panel_widths = [
            sum(bind(program.nodes[i].width, sizes) for i in group) for group in self.kernel.panels
        ]
        self.constants = {
            source.number: torch.full((1,), source.number, dtype=self.dtype, device="cpu")
            for source in self.kernel.sources if source.kind == "const"
        }  # fmt: skip
        self.library = _library()
        words = self.kernel.words.to_array()
        handle = ctypes.c_void_p()
        address, count = words.buffer_info()
        self.library.check(self.library.handle.gatewise_plan_make(address, count, ctypes.byref(handle)))
        self.handle = handle
        output = program.output
        self.output_width = 0 if output is None else bind(program.nodes[output].width, sizes)
        # Whether a step gives its output and nothing besides it but states.
        self.steps = output is not None and [
            source.index for source in self.kernel.sources if source.kind == "sequence"
        ] == [output]
        self.state_widths = [bind(state.width, sizes) for state in program.states]
        rows = list(zip(self.kernel.sources, self.kernel.words.buffers, strict=True))
        self.sequences = [
            (source.index, row[1], torch.bool if row[0] else self.dtype)
            for source, row in rows if source.kind == "sequence"
        ]  # fmt: skip
        self.totals = [(source.index, row[1]) for source, row in rows if source.kind == "total"]
        self.layout = [
            (source.kind, source.number if source.kind == "const" else source.index, source.column,
             width, unit, bool(per_step))
            for source, (_, width, unit, per_step) in rows
        ]  # fmt: skip

    def matrices(self, tensors: Sequence[Tensor], kept: list[Tensor]) -> array[int]:
        """The weights' addresses; what had to be copied for them goes into ``kept``."""
        listed: list[int] = []
        for position in self.kernel.weights:
            matrix = tensors[position]
            address = matrix.data_ptr()
            if not matrix.is_contiguous() or address % self.element or not address:
                matrix = placed(matrix.contiguous())
                kept.append(matrix)
                address = matrix.data_ptr()
            listed += (address, matrix.shape[1], matrix.numel())
        return array("q", listed)

    def pack(self, tensors: Sequence[Tensor], weight_format: int) -> Tensor:
        """The matrices, packed for many calls, in fewer bits if the format says so."""
        size = ctypes.c_int64()
        library, kept = self.library, list[Tensor]()
        library.check(library.handle.gatewise_prepared_size(self.handle, weight_format, ctypes.byref(size)))
        memory = torch.empty(size.value, dtype=torch.uint8, device="cpu")
        weights = self.matrices(tensors, kept)
        code = library.handle.gatewise_prepare(
            self.handle, weights.buffer_info()[0], weight_format, memory.data_ptr(), size.value
        )
        library.check(code)
        return memory

    def __del__(self) -> None:
        handle = getattr(self, "handle", None)
        if handle is not None:
            self.library.handle.gatewise_plan_free(handle)


class Job:
    """One call of a plan, with all that must live until it has run.

    Args:
        plan: What to run.
        values: Memory by kind of source.
        tensors: The parameters.
        steps, rows, start, seed, stream, reverse: As in the library's call.
        packed: From :meth:`Plan.pack`, or None.
    """

    def __init__(
        self, plan: Plan, values: Mapping[str, Any], tensors: Sequence[Tensor], steps: int, rows: int, start: int,
        seed: int, stream: int, reverse: bool, packed: Tensor | None = None,
    ) -> None:  # fmt: skip
        self.plan, self.packed = plan, packed
        self.kept: list[Tensor] = []
        described: list[int] = []
        element = plan.element
        for kind, index, column, width, unit, per_step in plan.layout:
            tensor = values[kind][index]
            address = tensor.data_ptr()
            if not address or (address % element and tensor.dtype is plan.dtype):
                tensor = placed(tensor)
                self.kept.append(tensor)
                address = tensor.data_ptr()
            if tensor.is_contiguous():
                # The usual case, without asking for strides.
                whole = tensor.shape[-1] if tensor.dim() > 1 else 0
                step = rows * whole if per_step else 0
                described += (address + column * element, step, whole, tensor.numel() - column)
                continue
            tensor = _walkable(tensor, unit)
            self.kept.append(tensor)
            described += _strides(tensor, width, unit, per_step, column, element)
        self.buffers = array("q", described)
        self.weights = array("q") if packed is not None else plan.matrices(tensors, self.kept)
        count, library = threads(), plan.library
        self.call = Call(
            self.buffers.buffer_info()[0], self.weights.buffer_info()[0], steps, rows, start, seed, stream, reverse,
            count, library.parallel if count > 1 else None,
            None if packed is None else packed.data_ptr(), 0 if packed is None else packed.numel(),
        )  # fmt: skip

    def run(self) -> None:
        """Runs it alone."""
        library = self.plan.library
        library.check(library.handle.gatewise_run(self.plan.handle, ctypes.byref(self.call)))


def run_jobs(jobs: Sequence[Job]) -> None:
    """Runs several calls with one team of threads; they must not write what another one touches."""
    if len(jobs) == 1:
        jobs[0].run()
        return
    pointers = ctypes.c_void_p * len(jobs)
    plans = pointers(*[job.plan.handle.value for job in jobs])
    calls = pointers(*[ctypes.addressof(job.call) for job in jobs])
    library = jobs[0].plan.library
    library.check(library.handle.gatewise_run_together(plans, calls, len(jobs)))


def _library() -> Library:
    found = loaded()
    if found is None:
        raise RuntimeError(reason_absent())
    return found


_plans: dict[tuple[object, ...], Plan] = {}
MOST_PLANS = 1024


def plan_of(
    program: Program, inputs: Sequence[Tensor], states: Sequence[Tensor], tensors: Sequence[Tensor]
) -> Plan:
    """The plan for operands of these sizes; made once."""
    dtype = (states or [x for x in inputs if x.is_floating_point()])[0].dtype
    key = (program, dtype, *[x.shape[-1] for x in (*inputs, *states)], *[x.shape for x in tensors])
    found = _plans.get(key)
    if found is None:
        if len(_plans) >= MOST_PLANS:
            _plans.clear()
        found = _plans[key] = Plan(program, sizes_of(program, inputs, states, tensors), BYTES[dtype])
    return found


def _walkable(tensor: Tensor, unit: int) -> Tensor:
    """The tensor, copied where its strides are none that the library walks along."""
    if unit:
        good = tensor.stride(-1) == 1 or tensor.shape[-1] == 1
    else:
        good = tensor.dim() < 2 or tensor.stride(-2) == 1
    return tensor if good else tensor.contiguous()


def _strides(
    tensor: Tensor, width: int, unit: int, per_step: bool, column: int, element: int
) -> tuple[int, int, int, int]:
    """Pointer, strides and extent."""
    step = tensor.stride(0) if per_step else 0
    row = tensor.stride(-2) if tensor.dim() > 1 else 0
    last = (tensor.shape[0] - 1) * step if per_step else 0
    last += (tensor.shape[-2] - 1) * row if tensor.dim() > 1 else 0
    return tensor.data_ptr() + column * element, step, row, last + (width if unit else 1)
