"""When each value of a program is computed: once, for all steps at once, in the loop, or after it.

Nothing here is declared by a cell; all of it follows from what depends on what. Input products leave the time
loop because they depend on no state; weight gradients and input cotangents are computed after the loop because
no next state needs them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from gatewise.spec.program import Program

__all__ = ["LOOP", "POST", "PRE", "STATIC", "Schedule", "schedule"]

STATIC, PRE, LOOP, POST = "static", "pre", "loop", "post"


@dataclass(frozen=True)
class Schedule:
    """The phase of every node, and what crosses from the loop to what follows it.

    Attributes:
        phases: STATIC (no batch axis), PRE (all steps at once, before), LOOP, POST (all steps at once, after).
        recorded: Loop values that are needed after the loop.
        recorded_states: Names of the states whose previous values are needed after the loop.
        wanted: Values that leave the program as whole sequences: output, emits and the arguments of sums.
    """

    phases: tuple[str, ...]
    recorded: tuple[int, ...]
    recorded_states: tuple[str, ...]
    wanted: tuple[int, ...]


@lru_cache(maxsize=4096)
def schedule(program: Program, scan: bool = False) -> Schedule:
    """Puts every node into a phase.

    Args:
        program: What will run.
        scan: Whether a parallel scan gives the states: then nothing stays in the loop.
    """
    in_loop: set[int] = set()
    stack = [] if scan else [i for i in program.next if program.depends_on_state[i]]
    while stack:
        index = stack.pop()
        if index not in in_loop:
            in_loop.add(index)
            stack.extend(i for i in program.nodes[index].args if program.depends_on_state[i])
    phases = []
    for index in range(len(program.nodes)):
        if not program.varies[index]:
            phases.append(STATIC)
        elif not program.depends_on_state[index]:
            phases.append(PRE)
        else:
            phases.append(LOOP if index in in_loop else POST)
    wanted = [] if program.output is None else [program.output]
    wanted += [node for _, node in program.emits]
    wanted += [argument for entry in program.sums for argument in entry.args]
    after = {i for i, phase in enumerate(phases) if phase == POST and program.nodes[i].op != "state"}
    read = {argument for i in after for argument in program.nodes[i].args} | set(wanted)
    states = {str(program.nodes[i].attribute) for i in read if program.nodes[i].op == "state"}
    recorded = sorted(i for i in read if phases[i] == LOOP and program.nodes[i].op != "state")
    names = tuple(state.name for state in program.states if state.name in states)
    return Schedule(tuple(phases), tuple(recorded), names, tuple(dict.fromkeys(wanted)))
