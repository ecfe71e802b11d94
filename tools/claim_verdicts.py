"""The verdicts on the guide's claims: rules on the measured numbers, the same whatever these are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats

try:
    from tools import claim_lines as lines
except ImportError:
    import claim_lines as lines


# The claims as they are told, the verdict's name, and the part that measures it.
CLAIMS = (
    ("The LSTM keeps information longer than the plain RNN", "memory", "memory"),
    ("On long dependencies it also learns in fewer steps", "speed", "memory"),
    ("The plain RNN suffices for short ones", "short", "memory"),
    ("GRU equals LSTM with fewer parameters", "units", "units"),
    ("Peepholes help timing", "timing", "timing"),
    ("Context from both sides helps tagging", "tagging", "tagging"),
    ("CNN or LSTM for time series: which?", "activity", "activity"),
)


def verdicts() -> dict[str, Callable[[], str]]:
    """A sentence or two on each claim, by name."""
    return {
        "memory": memory_verdict,
        "speed": speed_verdict,
        "short": short_verdict,
        "units": units_verdict,
        "timing": timing_verdict,
        "tagging": tagging_verdict,
        "activity": activity_verdict,
    }


def summary_table() -> str:
    """All claims with their verdicts and commands."""
    rows = ["| what is said | what was measured | command |", "| --- | --- | --- |"]
    known = verdicts()
    for claim, verdict, part in CLAIMS:
        command = f"`python benchmarks/understanding.py --claims {part}`"
        rows.append(f"| {claim} | {known[verdict]()} | {command} |")
    return "\n".join(rows)


def memory_verdict() -> str:
    """Up to which length each solves the adding problem."""
    rows = lines.rows_of("memory")
    if not (lines.where(rows, cell="lstm") and lines.where(rows, cell="rnn_tanh")):
        return lines.MISSING
    plain = {cell: lines.reach(rows, cell) for cell in lines.RNN_TRIES if lines.where(rows, cell=cell)}
    best = max(plain, key=lambda cell: plain[cell])
    reach = {
        cell: lines.reach(rows, cell)
        for cell in ("lstm", "lstm+chrono", "gru")
        if lines.where(rows, cell=cell)
    }
    said = "holds" if reach["lstm"] > max(plain.values()) else "not seen here"
    others = ", ".join(f"{cell} {lines.up_to(steps)}" for cell, steps in reach.items())
    return (
        f"**{said}**: with every seed adding is solved by {others}; by the plain RNN, in the best of {len(plain)} "
        f"tries ({best}), {lines.up_to(plain[best])}; lengths {', '.join(map(str, lines.lengths(rows)))}, "
        f"{len({row['key']['seed'] for row in rows})} seeds"
    )


def speed_verdict() -> str:
    """Steps until the adding problem is solved, where both solve it."""
    rows = lines.rows_of("memory")
    parts, faster = [], []
    for steps in lines.lengths(rows):
        lstm, plain = lines.where(rows, steps=steps, cell="lstm"), _fastest(rows, steps)
        if not lines.always(lstm):
            continue
        own = lines.values(lstm, "solved_at")
        if plain is None:
            if any(lines.where(rows, steps=steps, cell=cell) for cell in lines.RNN_TRIES):
                parts.append(f"at {steps} after {np.mean(own):.0f}, the RNN not with every seed")
                faster.append(True)
            continue
        chance = lines.chance(list(np.log(own)), list(np.log(plain[1])))
        faster.append(lines.clear(chance) and float(np.mean(own)) < float(np.mean(plain[1])))
        level = "" if lines.clear(chance) else ", within the noise"
        parts.append(f"at {steps} after {np.mean(own):.0f} and {np.mean(plain[1]):.0f} ({plain[0]}){level}")
    if not parts:
        return lines.MISSING
    head = "holds" if all(faster) else "not seen here" if not any(faster) else "in part"
    return f"**{head}**: steps until it is solved, LSTM and the RNN's fastest try: {'; '.join(parts)}"


def _fastest(rows: list[dict], steps: int) -> tuple[str, list[float]] | None:
    """The plain RNN's fastest try of those that solve a length with every seed."""
    found = []
    for cell in lines.RNN_TRIES:
        own = lines.where(rows, steps=steps, cell=cell)
        if lines.always(own) and len(lines.values(own, "solved_at")) == len(own):
            found.append((cell, lines.values(own, "solved_at")))
    return min(found, key=lambda pair: float(np.mean(pair[1]))) if found else None


def short_verdict() -> str:
    """Whether the plain RNN solves the shortest lengths."""
    rows = lines.rows_of("memory")
    plain = {cell: lines.reach(rows, cell) for cell in lines.RNN_TRIES if lines.where(rows, cell=cell)}
    if not plain:
        return lines.MISSING
    longest = max(plain.values())
    if not longest:
        return f"**not seen here**: no try of the plain RNN solves even {lines.lengths(rows)[0]} steps with every seed"
    sure = [cell for cell in plain if plain[cell] == longest]
    if longest == max(lines.lengths(rows)):
        return f"**holds**, and at every length tried: {lines.up_to(longest)} by {' and '.join(sure)}"
    return (
        f"**holds**, {lines.up_to(longest)}, if rate and start suit it: with every seed by {' and '.join(sure)}, of "
        f"{len(plain)} tries; none at the next length tried"
    )


def units_verdict() -> str:
    """Whether GRU and LSTM of one width differ, and how many parameters are saved."""
    rows = lines.rows_of("units")
    lstm, gru = (lines.where(rows, cell=cell, width="equal units") for cell in ("lstm", "gru"))
    if not (lstm and gru):
        return lines.MISSING
    saved = 1 - gru[0]["parameters"] / lstm[0]["parameters"]
    one, two = lines.values(lstm, "mae"), lines.values(gru, "mae")
    chance = lines.chance(one, two)
    better = "GRU" if np.mean(two) < np.mean(one) else "LSTM"
    head = f"{better} is better" if lines.clear(chance) else "no difference beyond the noise"
    return (
        f"**{head}** on Beijing's air with as many units, GRU with {saved:.0%} fewer parameters: MAE "
        f"{lines.spread(two, 2)} (GRU) and {lines.spread(one, 2)} (LSTM), {lines.odds(chance)}, {len(one)} seeds"
    )


def timing_verdict() -> str:
    """What peepholes do on each task."""
    said, helped, measured_any = [], [], False
    for title, rows, more in lines.timing_tasks(lines.rows_of("measure"), lines.rows_of("generate")):
        plain, peep = (lines.where(rows, cell=cell, **more) for cell in ("lstm", "lstm_peephole"))
        if not (plain and peep):
            continue
        measured_any = True
        (a, n), (b, m) = lines.solved(plain), lines.solved(peep)
        table = [[b, m - b], [a, n - a]]
        if a == n and b == m:
            one, two = lines.values(plain, "solved_at"), lines.values(peep, "solved_at")
            chance = lines.chance(list(np.log(one)), list(np.log(two)))
            better = float(np.mean(two)) < float(np.mean(one))
            text = f"solved by both, after {np.mean(two):.0f} steps with and {np.mean(one):.0f} without"
        else:
            chance, better = float(stats.fisher_exact(table)[1]), b / m > a / n
            text = f"{b} of {m} seeds with, {a} of {n} without"
        clear = lines.clear(chance)
        helped.append(clear and better)
        said.append(f"{title}: {text}{'' if clear else ' (within the noise)'}")
    if not measured_any:
        return lines.MISSING
    head = "holds" if all(helped) else "in part" if any(helped) else "not seen here"
    return f"**{head}**: {'; '.join(said)}"


def tagging_verdict() -> str:
    """Whether both directions beat one."""
    rows = lines.rows_of("tagging")
    both, one = (lines.where(rows, direction=name) for name in ("both, equal parameters", "forward"))
    if not (both and one):
        return lines.MISSING
    a, b = lines.values(both, "f1"), lines.values(one, "f1")
    chance = lines.chance(a, b)
    head = "holds" if lines.clear(chance) and np.mean(a) > np.mean(b) else "not seen here"
    return (
        f"**{head}**: slot F1 on ATIS {lines.spread(a, 2, 100)} with both and {lines.spread(b, 2, 100)} forward alone, "
        f"as many parameters, {lines.odds(chance)}, {len(a)} seeds"
    )


def activity_verdict() -> str:
    """LSTM, convolutions, both, and the control that sees no order at all."""
    rows = lines.rows_of("activity")
    found = {
        name: lines.accuracies(lines.where(rows, network=name))
        for name in ("LSTM", "CNN", "CNN, then LSTM", "neither")
    }
    if not all(found.values()):
        return lines.MISSING
    chance = lines.chance(found["LSTM"], found["CNN"])
    better = "the LSTM" if np.mean(found["LSTM"]) > np.mean(found["CNN"]) else "the CNN"
    head = f"{better} here" if lines.clear(chance) else "level here"
    best = max(np.mean(found[name]) for name in ("LSTM", "CNN", "CNN, then LSTM"))
    ordered = lines.clear(lines.chance(found["LSTM"], found["neither"])) or lines.clear(
        lines.chance(found["CNN"], found["neither"])
    )
    decides = ordered and best > np.mean(found["neither"])
    control = "" if decides else "; the set does not decide it: the control that sees no order does as well"
    shown = ", ".join(f"{name} {lines.spread(values, 3)}" for name, values in found.items())
    return f"**{head}**: accuracy on AReM: {shown} ({len(found['LSTM'])} seeds){control}"
