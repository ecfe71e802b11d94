"""report.html and summary.json: the verdict, the curves, the tables, the settings."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

import gatewise
from gatewise.compare import figures
from gatewise.compare.problems import Problem
from gatewise.compare.reach import middle, reached
from gatewise.compare.scores import CellScore, ProblemScore
from gatewise.compare.settings import Plan
from gatewise.compare.verdict import judge, judge_lengths
from gatewise.report.environment import environment
from gatewise.report.page import definitions, page, section, table
from gatewise.report.pictures import picture
from gatewise.train.progress import clock

__all__ = ["by_length", "overall", "report_html", "summary", "table_rows"]

_REACH_NOTE = (
    " How much of a gradient arrives is measured in the trained network: the root mean square over random directions, "
    "the median over held-out sequences; its band spans the seeds."
)


def overall(scores: Sequence[ProblemScore]) -> str:
    """The whole comparison in a few sentences: lengths that are solved, or each problem's first sentences."""
    grouped = by_length(scores)
    apart = {id(score) for group, _ in grouped for score in group}
    said = [judge_lengths(group, lengths) for group, lengths in grouped]
    for score in scores:
        if id(score) not in apart:
            text = " ".join(judge(score)[:2])
            said.append(
                f"{score.problem.title[0].upper()}{score.problem.title[1:]}: {text[0].lower()}{text[1:]}"
            )
    return " ".join(said)


def by_length(scores: Sequence[ProblemScore]) -> list[tuple[list[ProblemScore], list[int]]]:
    """The problems that are there at several lengths: their scores from short to long, and the lengths."""
    groups: dict[str, list[tuple[int, ProblemScore]]] = {}
    for score in scores:
        options = score.problem.identity()
        steps = options.pop("steps", None)
        if isinstance(steps, int):
            groups.setdefault(f"{score.problem.kind} {options}", []).append((steps, score))
    found = []
    for members in groups.values():
        if len(members) > 1:
            members.sort(key=lambda pair: pair[0])
            found.append(([score for _, score in members], [steps for steps, _ in members]))
    return found


def table_rows(score: ProblemScore) -> list[list[str]]:
    """The table of one problem, a header first."""
    steps = score.problem.unit == "step"
    looked = _looked(score)
    rows = [["", "units", "parameters", "solved" if score.measure.goal is not None else "beats trivial",
             score.measure.title, *(["steps to the goal"] if steps else []),
             *(["1 % of a gradient after"] if looked else []), "time of a run", "ms a step"]]  # fmt: skip
    for cell in score.cells:
        if not cell.rows:
            rows.append([cell.name, *["not done"] * (len(rows[0]) - 1)])
            continue
        solved_at = f"{round(float(np.median(cell.solved_at))):,}" if cell.solved_at else "not reached"
        rows.append(
            [cell.name, _whole(cell, "hidden_size"), _whole(cell, "parameters"), f"{cell.solved} of {len(cell.rows)}",
             score.spread_text(cell.values), *([solved_at] if steps else []),
             *([_left_after(cell)] if looked else []), clock(cell.mean_of("train_seconds")),
             f"{1000 * cell.mean_of('step_seconds'):.1f}"]
        )  # fmt: skip
    if score.trivial is not None:
        worth = score.measure.text(score.trivial.value)
        rows.append([score.trivial.name, "", "0", "", worth, *[""] * (len(rows[0]) - 5)])
    return rows


def _looked(score: ProblemScore) -> bool:
    """Whether it is known of some run how far back its network looks."""
    return any(reached(cell.rows) for cell in score.cells)


def _left_after(cell: CellScore) -> str:
    found = reached(cell.rows)
    if not found:
        return "unknown"
    lag, beyond = middle(found)
    return f"beyond {found[0]['window']:,} steps" if beyond else f"{lag:.3g} steps"


def summary(plan: Plan, scores: Sequence[ProblemScore]) -> dict[str, Any]:
    """All that the report shows, as plain JSON values."""
    return {
        "title": plan.title,
        "verdict": overall(scores),
        "runs": sum(cell.wanted for score in scores for cell in score.cells),
        "done": sum(len(cell.rows) for score in scores for cell in score.cells),
        "budget": dataclasses.asdict(plan.budget),
        "training": dataclasses.asdict(plan.training),
        "seeds": list(plan.seeds),
        "problems": [
            {
                "problem": score.problem.title,
                "kind": score.problem.kind,
                "measure": score.measure.name,
                "goal": score.measure.goal,
                "trivial": None if score.trivial is None else dataclasses.asdict(score.trivial),
                "verdict": judge(score),
                "cells": [_cell_numbers(score, cell) for cell in score.cells],
            }
            for score in scores
        ],
        "environment": environment(),
    }


def report_html(plan: Plan, scores: Sequence[ProblemScore]) -> str:
    """The report as one self-contained page."""
    grouped = by_length(scores)
    sections = []
    if grouped:
        pictures = [
            picture(
                figures.plot_lengths(group, lengths), f"{group[0].problem.kind}: seeds that solve it, by cell"
            )
            for group, lengths in grouped
        ]
        note = "Each field: how many seeds met the goal on test data, and below it the median of optimiser steps until "
        note += "validation data met it first."
        sections.append(section("How far each cell reaches", *pictures, note=note))
    sections += [_problem_section(score) for score in scores]
    sections.append(_settings_section(plan, scores))
    footer = f"Made by Gatewise {gatewise.__version__} from results.jsonl; every number can be found there, run by run."
    return page(plan.title, _header(plan, scores), sections, footer)


def _header(plan: Plan, scores: Sequence[ProblemScore]) -> str:
    done = sum(len(cell.rows) for score in scores for cell in score.cells)
    wanted = sum(cell.wanted for score in scores for cell in score.cells)
    spent = sum(row["train_seconds"] for score in scores for cell in score.cells for row in cell.rows)
    tiles = [
        (f"{done} of {wanted}", "runs done", "" if done == wanted else "bad"),
        (str(len(plan.variants)), "cells", ""),
        (str(len(plan.problems)), "problems", ""),
        (str(len(plan.seeds)), "seeds each", "bad" if len(plan.seeds) == 1 else ""),
        (clock(spent), "of training", ""),
    ]
    boxes = "".join(
        f'<div class="tile"><b class="{kind}">{escape(big)}</b><span>{escape(small)}</span></div>'
        for big, small, kind in tiles
    )
    eyebrow = f"Comparison · {', '.join(one.name for one in plan.variants)} · {plan.budget.words()}"
    return (
        f'<p class="eyebrow">{escape(eyebrow)}</p><h1>{escape(plan.title)}</h1>'
        f'<p class="lede">{escape(overall(scores))}</p><div class="tiles">{boxes}</div>'
    )


def _problem_section(score: ProblemScore) -> str:
    title = score.problem.title
    verdict = f'<p class="lede">{escape(" ".join(judge(score)))}</p>'
    if not score.done:
        begun = any(cell.rows for cell in score.cells)
        return section(f"{title[0].upper()}{title[1:]}", verdict, table(table_rows(score)) if begun else "")
    goal = ""
    if score.measure.goal is not None:
        sign = "below" if score.measure.lower else "at least"
        goal = f" Solved: {score.measure.title} {sign} {score.measure.text(score.measure.goal)} on test data."
    band = (
        "Bands are one standard deviation over the seeds"
        if len(score.cells[0].rows) > 1
        else "One seed: no bands"
    )
    looked = _looked(score)
    band += ", of the logarithm" if score.measure.log and len(score.cells[0].rows) > 1 else ""
    return section(
        f"{title[0].upper()}{title[1:]}",
        verdict,
        '<div class="pair">',
        picture(figures.plot_curves(score), f"{title}: learning curves"),
        picture(figures.plot_values(score), f"{title}: values of all seeds in the end"),
        picture(figures.plot_reach(score), f"{title}: what of a gradient arrives, by lag") if looked else "",
        "</div>",
        table(table_rows(score)),
        note=f"{score.problem.source}.{goal} {band}; a run that ended keeps its last value."
        + (_REACH_NOTE if looked else ""),
    )


def _settings_section(plan: Plan, scores: Sequence[ProblemScore]) -> str:
    own = [
        f"{one.name}: {', '.join(f'{k} {v}' for k, v in one.training.items())}"
        for one in plan.variants
        if one.training
    ]
    training = dataclasses.asdict(plan.training)
    classic = any(isinstance(score.problem, Problem) for score in scores)
    pairs = [
        ("Budget", plan.budget.words()),
        ("Seeds", ", ".join(map(str, plan.seeds))),
        ("Training", ", ".join(f"{name} {value}" for name, value in training.items()) if classic else ""),
        ("Otherwise", "; ".join(own)),
        ("Held out", "The same sequences for all cells and seeds: 500 to look at while learning, 2,000 to test on "
                     "(MNIST: 5,000 and 10,000)." if classic else "A part of each table, the same for all."),
        ("Clear and level", "A difference is called clear where Welch's t test over the seeds, or Fisher's exact test "
                            "on how many solve it, gives it less than 5 % by chance; else cells are level within the "
                            "noise. Cells that always solve a problem are compared by their steps until then."),
        ("Environment", ", ".join(f"{name} {value}" for name, value in environment().items())),
    ]  # fmt: skip
    return section("Settings and environment", definitions(pairs))


def _cell_numbers(score: ProblemScore, cell: CellScore) -> dict[str, Any]:
    values, found = cell.values, reached(cell.rows)
    lag, beyond = middle(found) if found else (math.nan, None)
    return {
        "cell": cell.name,
        "runs": len(cell.rows),
        "wanted": cell.wanted,
        "solved": cell.solved,
        "hidden_size": cell.common("hidden_size"),
        "parameters": cell.common("parameters"),
        "values": values,
        "mean": score.center(values) if values else None,
        "spread": float(np.std(values, ddof=1)) if len(values) > 1 else None,
        "solved_at": cell.solved_at,
        "left_after": None if beyond or not found else lag,
        "left_beyond": beyond,
        "diverged": cell.diverged,
        "train_seconds": _number(cell.mean_of("train_seconds")),
        "step_seconds": _number(cell.mean_of("step_seconds")),
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)


def _whole(cell: CellScore, name: str) -> str:
    value = cell.common(name)
    return "" if value is None else f"{value:,}"
