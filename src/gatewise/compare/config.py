"""A comparison's configuration file (TOML): read strictly, every mistake named."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gatewise.compare.classify_table import ClassifyTable
from gatewise.compare.forecast_table import ForecastTable
from gatewise.compare.problems import PROBLEMS, Measure
from gatewise.compare.settings import Budget, Plan, Subject, Training
from gatewise.compare.suggest import check_keys, unknown
from gatewise.compare.tables import TableTask
from gatewise.compare.variants import Variant, cells_of_file, parse_variant
from gatewise.errors import ArgumentError, ArgumentTypeError, DataError

__all__ = ["EXAMPLE", "parse_plan", "read_plan"]

_TABLES: dict[str, type[TableTask]] = {one.kind: one for one in (ForecastTable, ClassifyTable)}
_KEYS = ("title", "problem", "cells", "cell", "cell_file", "seeds", "budget", "training")
# Values of these keys in a [[problem]] may be lists: one problem is made of each value.
_LISTED = ("steps", "order")
_MOST_SEEDS = 100

EXAMPLE = """\
# gatewise compare THIS.toml --out runs/compare
# Every run leaves one line in runs/compare/results.jsonl; the same command goes on where it was stopped.

title = "Which cell remembers longest?"

# Cells by name (gatewise cells list). Behind a plus sign: chrono (biases that keep states as long as the problem
# is; Tallec & Ollivier 2018), orthogonal (and forget bias 1), layer_norm.
cells = ["rnn_tanh", "lstm", "lstm+chrono", "gru"]
# cell_file = "my_cells.py"      # a Python file that declares cells with @gatewise.cell; then name them above

seeds = [0, 1, 2]                # weights and training sequences; held-out sequences are always the same

[budget]                         # what every cell gets alike
parameters = 10_000              # each cell's hidden size is solved from this; or hidden_size = 64 for all
# num_layers = 1
steps = 3000                     # optimiser steps at most
# seconds = 60                   # and, or instead, seconds of training at most

[training]                       # the same for all cells ...
learning_rate = 0.003
batch_size = 32
validate_every = 100             # steps between two looks at held-out sequences
# optimizer = "adam"             # "adamw", "adam" or "sgd"
# schedule = "constant"          # "constant", "cosine", "one_cycle" or "plateau"
# gradient_clip = 1.0
# dropout = 0.0
# stop_when_solved = true        # end a run when held-out sequences meet the goal

[cell.rnn_tanh]                  # ... but for what is said here
learning_rate = 0.001

[[problem]]                      # adding | adding-1997 | copying | temporal-order | dyck | sequential-mnist
kind = "adding"
steps = [10, 30]                 # one problem of each length, the shortest first
# goal = 0.01                    # what counts as solved, if not the published value

# [[problem]]
# kind = "dyck"
# steps = 50
# kinds = 2
# depth = 3

# [[problem]]
# kind = "sequential-mnist"
# order = ["row", "permuted"]

# [[problem]]                    # a table of yours, by gatewise.Forecaster
# kind = "forecast"
# data = "beijing-air"           # an example, or a file beside this one
# horizon = 24
# columns = { unique_id = "station", ds = "date", y = "pm25" }
# test_start = "2014-01-01"
# options = { max_epochs = 5 }   # further parameters of the estimator

# [[problem]]                    # sequences of yours, by gatewise.SequenceClassifier
# kind = "classify"
# data = "recordings.csv"
# columns = { id = "recording", time = "second", label = "activity" }
# group = "person"
"""


def read_plan(path: str | Path) -> Plan:
    """The comparison that a file describes.

    Args:
        path: a TOML file; paths in it are relative to its folder.

    Raises:
        DataError: there is no such file, or it is no TOML.
        ArgumentError, ArgumentTypeError: a key or value cannot be; the message says which.
    """
    file = Path(path)
    try:
        given = tomllib.loads(file.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"there is no file {str(file)!r}; `gatewise compare --example` prints a configuration to begin with"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{str(file)!r} cannot be read as TOML: {error}") from error
    return parse_plan(given, file.parent, title=file.stem)


def parse_plan(given: Mapping[str, Any], folder: Path | None = None, *, title: str = "comparison") -> Plan:
    """The comparison that a configuration describes, checked as a whole: budgets are solved for every cell.

    Args:
        given: what the TOML file holds.
        folder: what paths are relative to; None: the working directory.
        title: where the configuration has none.

    Raises:
        ArgumentError, ArgumentTypeError, DataError: a key or value cannot be; the message says which.

    Example:
        >>> plan = parse_plan(
        ...     {
        ...         "cells": ["lstm", "gru"],
        ...         "problem": [{"kind": "adding", "steps": [10, 30]}],
        ...         "budget": {"parameters": 1000, "steps": 100},
        ...     }
        ... )
        >>> [(run.key["problem"], run.key["cell"], run.hidden_size) for run in plan.runs()][:2]
        [('adding, 10 steps', 'lstm', 14), ('adding, 10 steps', 'gru', 16)]
    """
    check_keys("configuration", given, _KEYS)
    for key in ("problem", "cells", "budget"):
        if not given.get(key):
            raise ArgumentError(
                f"configuration: {key} is missing; `gatewise compare --example` prints one with everything"
            )
    place = folder or Path()
    training = Training().changed(_table(given, "training"), "training")
    budget_given = _table(given, "budget")
    check_keys("budget", budget_given, (one.name for one in dataclasses.fields(Budget)))
    plan = Plan(
        title=_text(given.get("title", title), "title"),
        problems=tuple(_problems(given["problem"], place)),
        variants=_variants(given, place),
        seeds=_seeds(given.get("seeds", 3)),
        budget=Budget(**budget_given),
        training=training,
    )
    plan.runs()
    for problem, _ in plan.problems:
        if isinstance(problem, TableTask):
            problem.check(plan.variants)
    return plan


def _table(given: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = given.get(key, {})
    if not isinstance(value, Mapping):
        raise ArgumentTypeError(f"{key}: a table, [{key}], is expected, came {value!r:.60}")
    return dict(value)


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise ArgumentTypeError(f"{where}: a text is expected, came {value!r:.60}")
    return value


def _seeds(value: object) -> tuple[int, ...]:
    """A number of seeds, counted from 0, or the seeds themselves."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= _MOST_SEEDS:
            raise ArgumentError(f"seeds: 1 to {_MOST_SEEDS} are expected, came {value}")
        return tuple(range(value))
    whole = isinstance(value, list) and all(
        isinstance(one, int) and not isinstance(one, bool) for one in value
    )
    if not isinstance(value, list) or not whole or not value:
        raise ArgumentTypeError(
            f"seeds: a number, or a list of whole numbers, is expected, came {value!r:.60}"
        )
    if len(set(value)) != len(value) or min(value) < 0:
        raise ArgumentError(f"seeds: different numbers of at least 0 are expected, came {value}")
    return tuple(value)


def _variants(given: Mapping[str, Any], folder: Path) -> tuple[Variant, ...]:
    names = given["cells"]
    if not isinstance(names, list):
        raise ArgumentTypeError(f'cells: a list such as ["lstm", "gru"] is expected, came {names!r:.60}')
    file = given.get("cell_file")
    own = {} if file is None else cells_of_file(folder / _text(file, "cell_file"))
    changes = _table(given, "cell")
    check_keys("cell", changes, [str(name) for name in names])
    variants = tuple(parse_variant(name, own, _table(changes, str(name))) for name in names)
    if len({one.name for one in variants}) != len(variants):
        raise ArgumentError(f"cells: each is expected once, came {names}")
    return variants


def _problems(given: object, folder: Path) -> list[tuple[Subject, Measure]]:
    if not isinstance(given, list) or not all(isinstance(one, Mapping) for one in given):
        raise ArgumentTypeError(f"problem: tables, [[problem]], are expected, came {given!r:.60}")
    found: list[tuple[Subject, Measure]] = []
    for entry in given:
        options = dict(entry)
        kind = _text(options.pop("kind", ""), "problem: kind")
        if kind not in PROBLEMS and kind not in _TABLES:
            raise unknown("problem: kind", kind, [*PROBLEMS, *_TABLES])
        goal = options.pop("goal", None)
        if goal is not None and (not isinstance(goal, int | float) or isinstance(goal, bool)):
            raise ArgumentTypeError(f"problem: {kind}: goal: a number is expected, came {goal!r}")
        for chosen in _each(options):
            problem = _problem(kind, chosen, folder)
            measure = (
                problem.measure if goal is None else dataclasses.replace(problem.measure, goal=float(goal))
            )
            found.append((problem, measure))
    titles = [problem.title for problem, _ in found]
    for one in titles:
        if titles.count(one) > 1:
            raise ArgumentError(f"problem: {one!r} is there {titles.count(one)} times; each is expected once")
    return found


def _each(options: dict[str, Any]) -> list[dict[str, Any]]:
    """One set of options for each value of what is listed."""
    made = [options]
    for name in _LISTED:
        if isinstance(options.get(name), list):
            made = [{**one, name: value} for one in made for value in options[name]]
    return made


def _problem(kind: str, options: dict[str, Any], folder: Path) -> Subject:
    known: Any = PROBLEMS.get(kind) or _TABLES[kind]
    check_keys(f"problem: {kind}", options, (one.name for one in dataclasses.fields(known)))
    if kind in _TABLES:
        if "data" not in options:
            raise ArgumentError(f"problem: {kind}: data is missing; name a file")
        for name in ("data", "test_data"):
            path = options.get(name)
            if isinstance(path, str) and (folder / path).is_file():
                options = {**options, name: str(folder / path)}
    made: Subject = known(**options)
    return made
