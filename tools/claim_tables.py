"""The measured tables of docs/results/claims.md. What has no lines is called "not measured yet"."""

from __future__ import annotations

import numpy as np

try:
    from tools import claim_lines as lines
except ImportError:
    import claim_lines as lines


def flow_table() -> str:
    """Where the norm of d h_T / d h_(T-k) falls under 1 %, by start."""
    rows = lines.rows_of("flow")
    if not rows:
        return lines.MISSING.capitalize() + "."
    table = ["| layer of 64 units | spectral radius | change a step | under 1 % at lag | verdict | runs |",
             "| --- | ---: | ---: | ---: | --- | ---: |"]  # fmt: skip
    for start in dict.fromkeys(row["key"]["start"] for row in rows):
        own = lines.where(rows, start=start)
        shown = _horizon([row["horizon"] for row in own], own[0]["lags"][-1])
        radius = lines.spread(lines.values(own, "radius"), 2)
        said = ", ".join(sorted({row["verdict"] for row in own}))
        rate = np.exp(np.median(lines.values(own, "rate")))
        table.append(f"| {start} | {radius} | × {rate:.3f} | {shown} | {said} | {len(own)} |")
    return "\n".join(table)


def _horizon(lags: list[float | None], window: int) -> str:
    """Median and range of where the norm fell under 1 %; None where it does not fall."""
    found = [np.inf if lag is None else lag for lag in lags]
    middle = float(np.median(found))
    if np.isinf(middle):
        return "it does not fall"
    if middle > window:
        return f"beyond {window}, about {middle:.0f}"
    return f"{middle:.0f} ({min(found):.0f} to {max(found):.0f})"


def memory_table() -> str:
    """Runs that solve the adding problem, and the steps until then, by cell and length."""
    rows = lines.rows_of("memory")
    if not rows:
        return lines.MISSING.capitalize() + "."
    lengths = lines.lengths(rows)
    table = [
        "| cell | units | " + " | ".join(f"{n} steps" for n in lengths) + " |",
        "| --- | ---: |" + " --- |" * len(lengths),
    ]
    for cell in lines.TRIES:
        own = lines.where(rows, cell=cell)
        shown = []
        for steps in lengths:
            here = lines.where(own, steps=steps)
            solved, count = lines.solved(here)
            if not here:
                shown.append(lines.MISSING)
            elif solved:
                shown.append(f"{solved} of {count}, after {lines.speed(here)}")
            else:
                shown.append(f"0 of {count}; error {lines.spread(lines.values(here, 'mse'), 3)}")
        table.append(f"| {cell} | {own[0]['hidden_size'] if own else ''} | " + " | ".join(shown) + " |")
    return "\n".join(table)


def reach_table() -> str:
    """Where a gradient's norm falls under 1 %, before and after training, and what is left over the whole length."""
    rows = lines.rows_of("memory")
    if not rows:
        return lines.MISSING.capitalize() + "."
    longest = max(lines.lengths(rows))
    table = [
        f"| cell, adding over {longest} steps | solved | under 1 % before training, at lag | left over {longest - 1} "
        "steps before | after |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for cell in lines.TRIES:
        own = lines.where(rows, cell=cell, steps=longest)
        if not own:
            table.append(f"| {cell} | {lines.MISSING} | | | |")
            continue
        shown = _horizon([row["before"]["horizon"] for row in own], longest - 1)
        left = [
            f"{np.exp(np.median([row[when]['log_norm'][-1] for row in own])):.2g}"
            for when in ("before", "after")
        ]
        table.append(f"| {cell} | {lines.solved(own)[0]} of {len(own)} | {shown} | {left[0]} | {left[1]} |")
    return "\n".join(table)


def timing_table() -> str:
    """Both tasks of timing with and without peepholes."""
    measured, made = lines.rows_of("measure"), lines.rows_of("generate")
    if not measured and not made:
        return lines.MISSING.capitalize() + "."
    table = ["| task | cell | parameters | solved | after steps |", "| --- | --- | ---: | --- | ---: |"]
    for title, rows, more in lines.timing_tasks(measured, made):
        for cell in ("lstm", "lstm_peephole"):
            own = lines.where(rows, cell=cell, **more)
            if own:
                solved, count = lines.solved(own)
                size = own[0]["parameters"]
                table.append(f"| {title} | {cell} | {size} | {solved} of {count} | {lines.speed(own)} |")
            else:
                table.append(f"| {title} | {cell} | | {lines.MISSING} | |")
    return "\n".join(table)


def units_table() -> str:
    """Errors of the forecasts by cell and width."""
    rows = lines.rows_of("units")
    if not rows:
        return lines.MISSING.capitalize() + "."
    table = [
        "| cell | units | parameters | MAE | RMSE | runs |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for cell, width in dict.fromkeys((row["key"]["cell"], row["key"]["width"]) for row in rows):
        own = lines.where(rows, cell=cell, width=width)
        errors = " | ".join(lines.spread(lines.values(own, name), 2) for name in ("mae", "rmse"))
        size = f"{own[0]['hidden_size']} | {own[0]['parameters']:,}"
        table.append(f"| {cell}, {width} | {size} | {errors} | {len(own)} |")
    trivial = rows[0]["trivial"]
    return "\n".join([*table, f"| {trivial['name']} | | | {trivial['value']:.2f} | | |"])


def tagging_table() -> str:
    """F1 of slots by direction."""
    rows = lines.rows_of("tagging")
    if not rows:
        return lines.MISSING.capitalize() + "."
    table = ["| the layer reads | numbers in layer and output | slot F1 | tags right | runs |",
             "| --- | ---: | ---: | ---: | ---: |"]  # fmt: skip
    for one in dict.fromkeys(row["key"]["direction"] for row in rows):
        own = lines.where(rows, direction=one)
        table.append(
            f"| {one} | {own[0]['parameters']:,} | {lines.spread(lines.values(own, 'f1'), 2, 100)} | "
            f"{lines.spread(lines.values(own, 'accuracy'), 2, 100)} | {len(own)} |"
        )
    return "\n".join(table)


def activity_table() -> str:
    """Accuracy by network."""
    rows = lines.rows_of("activity")
    if not rows:
        return lines.MISSING.capitalize() + "."
    table = ["| network | parameters | accuracy | folds | seeds |", "| --- | ---: | ---: | ---: | ---: |"]
    for one in dict.fromkeys(row["key"]["network"] for row in rows):
        own = lines.where(rows, network=one)
        found = lines.accuracies(own)
        folds = len({row["key"]["fold"] for row in own})
        table.append(
            f"| {one} | {own[0]['parameters']:,} | {lines.spread(found, 3)} | {folds} | {len(found)} |"
        )
    return "\n".join(table)


def machine_text() -> str:
    """Where the lines were measured."""
    parts = ("flow", "memory", "measure", "generate", "units", "tagging", "activity")
    places = [row["environment"] for part in parts for row in lines.rows_of(part)]
    if not places:
        return lines.MISSING.capitalize() + "."
    said = dict.fromkeys(place["text"].partition("; commit")[0].removeprefix("Machine: ") for place in places)
    commits = dict.fromkeys(place["commit"] for place in places)
    return f"{'; '.join(said)}. Commits {', '.join(commits)}. One thread, beside other work: nothing here is a speed."
