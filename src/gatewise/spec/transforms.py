"""Masks, resets, regularisers and traces, each as a change of the program.

Because they are written in the program's own operations, every engine runs them and the derivative rule
covers them: nothing else in the library treats a masked step or a zoned-out unit.

Added streams: ``mask`` (truth value: the step counts), ``reset`` (truth value: start afresh before this step) and
``initial:<state>`` (what to start from).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

from gatewise.errors import ArgumentError
from gatewise.spec.builder import Builder
from gatewise.spec.program import Program, Stream

__all__ = [
    "prepared", "with_gate_trace", "with_mask", "with_recurrent_dropout", "with_resets", "with_state_trace",
    "with_zoneout",
]  # fmt: skip

DROPOUT_SITE = 0
ZONEOUT_SITE = 64


class _Copy:
    """A program being copied node by node into a fresh builder, with some nodes replaced."""

    def __init__(self, program: Program, streams: Sequence[Stream] = ()) -> None:
        self.program = program
        self.builder = Builder(program.name, (*program.inputs, *streams), program.states, program.tensors)
        self.made: dict[int, int] = {}
        self.replace: Callable[[int, list[int]], int | None] = lambda index, args: None

    def run(self) -> _Copy:
        for index, node in enumerate(self.program.nodes):
            args = [self.made[i] for i in node.args]
            changed = self.replace(index, args)
            self.made[index] = self.builder.copy_node(node, args) if changed is None else changed
        return self

    def finish(self, next: Sequence[int], output: int, emits: Sequence[tuple[str, int]]) -> Program:
        labels = [replace(label, node=self.made[label.node]) for label in self.program.labels]
        return self.builder.finish(output=output, next=next, emits=emits, labels=labels, like=self.program)

    @property
    def output(self) -> int:
        if self.program.output is None:
            raise ArgumentError(
                f"program {self.program.name!r} is a derivative; transform the cell's own program"
            )
        return self.made[self.program.output]

    @property
    def next(self) -> list[int]:
        return [self.made[i] for i in self.program.next]

    @property
    def emits(self) -> list[tuple[str, int]]:
        return [(name, self.made[i]) for name, i in self.program.emits]


@lru_cache(maxsize=512)
def with_mask(program: Program) -> Program:
    """Where ``mask`` is false the state is kept and the output is zero; what the inputs hold there is not read."""
    copy = _Copy(program, [Stream("mask", 1, boolean=True)])
    builder = copy.builder
    mask, zero = builder.input("mask"), builder.const(0.0)

    def clean(index: int, args: list[int]) -> int | None:
        node = program.nodes[index]
        if node.op != "input" or node.boolean:
            return None
        return builder.apply("select", mask, builder.input(str(node.attribute)), zero)

    copy.replace = clean
    copy.run()
    states = [builder.state(state.name) for state in program.states]
    kept = [builder.apply("select", mask, new, old) for new, old in zip(copy.next, states, strict=True)]
    emits = [
        (name, node if builder.nodes[node].boolean else builder.apply("select", mask, node, zero))
        for name, node in copy.emits
    ]
    return copy.finish(kept, builder.apply("select", mask, copy.output, zero), emits)


@lru_cache(maxsize=512)
def with_resets(program: Program) -> Program:
    """Where ``reset`` is true the step starts from ``initial:<state>`` in place of the previous state."""
    streams = [Stream("reset", 1, boolean=True)]
    streams += [Stream(f"initial:{state.name}", state.width) for state in program.states]
    copy = _Copy(program, streams)
    builder = copy.builder

    def begin(index: int, args: list[int]) -> int | None:
        node = program.nodes[index]
        if node.op != "state":
            return None
        initial = builder.input(f"initial:{node.attribute}")
        return builder.apply("select", builder.input("reset"), initial, builder.state(str(node.attribute)))

    copy.replace = begin
    copy.run()
    return copy.finish(copy.next, copy.output, copy.emits)


@lru_cache(maxsize=512)
def with_zoneout(program: Program, probabilities: tuple[float, ...], training: bool) -> Program:
    """Zoneout (Krueger et al. 2017): each unit of a state keeps its old value with the given probability.

    Args:
        program: The cell's program.
        probabilities: One per state.
        training: Random keeps in training; their expectation otherwise.
    """
    copy = _Copy(program).run()
    builder = copy.builder
    new_states = []
    for k, (state, new) in enumerate(zip(program.states, copy.next, strict=True)):
        p = probabilities[k]
        old = builder.state(state.name)
        if p == 0.0:
            new_states.append(new)
        elif training:
            take = builder.keep(ZONEOUT_SITE + k, p, "step", state.width)
            new_states.append(builder.apply("select", take, new, old))
        else:
            mixed = builder.apply("mul", builder.const(p), old)
            fresh = builder.apply("mul", builder.const(1.0 - p), new)
            new_states.append(builder.apply("add", mixed, fresh))
    output = copy.output
    for old_node, new in zip(program.next, new_states, strict=True):
        if old_node == program.output:
            output = new
    return copy.finish(new_states, output, copy.emits)


@lru_cache(maxsize=512)
def with_recurrent_dropout(program: Program, probability: float) -> Program:
    """Variational recurrent dropout (Gal & Ghahramani 2016): one mask per sequence on what R multiplies.

    Raises:
        ArgumentError: The cell has no recurrent weight to drop from.
    """
    roles = {tensor.name: tensor.role for tensor in program.tensors}
    copy = _Copy(program)
    builder = copy.builder
    # At 1 the mask alone drops everything: a factor of 0 would fold into a number without the vector's width.
    scale = builder.const(1.0 / (1.0 - probability) if probability < 1.0 else 1.0)
    sites: dict[int, int] = {}

    def dropped(vector: int) -> int:
        if vector not in sites:
            take = builder.keep(
                DROPOUT_SITE + len(sites), probability, "sequence", builder.nodes[vector].width
            )
            scaled = builder.apply("mul", vector, scale)
            sites[vector] = builder.apply("select", take, scaled, builder.const(0.0))
        return sites[vector]

    def drop(index: int, args: list[int]) -> int | None:
        node = program.nodes[index]
        if node.op == "linear" and roles[str(node.attribute).split(".")[0]] == "recurrent":
            return builder.linear(dropped(args[0]), str(node.attribute))
        if node.op == "mul" and any(_is_diagonal(program, i) for i in node.args):
            weight = 0 if _is_diagonal(program, node.args[0]) else 1
            return builder.apply("mul", args[weight], dropped(args[1 - weight]))
        return None

    copy.replace = drop
    copy.run()
    if not sites:
        raise ArgumentError(
            f"recurrent_dropout: expected a cell with recurrent weights, got {program.name!r}, which has none; "
            "use dropout between layers or zoneout"
        )
    return copy.finish(copy.next, copy.output, copy.emits)


def _is_diagonal(program: Program, index: int) -> bool:
    node = program.nodes[index]
    return node.op == "param" and str(node.attribute).startswith("diagonal_hh.")


@lru_cache(maxsize=512)
def with_gate_trace(program: Program) -> Program:
    """Emits every gate at every step as ``gate:<name>``."""
    emits = tuple((f"gate:{label.name}", label.node) for label in program.labels)
    return replace(program, emits=program.emits + emits)


@lru_cache(maxsize=512)
def with_state_trace(program: Program) -> Program:
    """Emits every next state at every step as ``state:<name>``."""
    emits = ((f"state:{s.name}", node) for s, node in zip(program.states, program.next, strict=True))
    return replace(program, emits=program.emits + tuple(emits))


@lru_cache(maxsize=1024)
def prepared(
    program: Program,
    *,
    masked: bool = False,
    resets: bool = False,
    recurrent_dropout: float = 0.0,
    zoneout: tuple[float, ...] = (),
    training: bool = False,
    trace: bool = False,
) -> Program:
    """The program of a call: the cell's own with everything that the call asks for."""
    if recurrent_dropout and training:
        program = with_recurrent_dropout(program, recurrent_dropout)
    if any(zoneout):
        program = with_zoneout(program, zoneout, training)
    if trace:
        program = with_gate_trace(program)
    if masked:
        program = with_mask(program)
    if trace:
        program = with_state_trace(program)
    return with_resets(program) if resets else program
