"""Users' own tables in a comparison: equal budgets on the estimators' networks, trivial methods, the same lines."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from gatewise.compare import compare, parse_plan
from gatewise.errors import ArgumentError, DataError
from tests.compare.test_comparison import timeless
from tests.tasks.classify.waves import table


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with hourly.csv and waves.csv."""
    place = tmp_path_factory.mktemp("tables")
    hours = np.arange(300)
    noise = np.random.default_rng(0).normal(0, 0.1, 300)
    pd.DataFrame({
        "date": pd.date_range("2024-01-01", periods=300, freq="h"), "load": np.sin(hours * np.pi / 12) + noise,
        "temperature": np.cos(hours * np.pi / 12),
    }).to_csv(place / "hourly.csv", index=False)  # fmt: skip
    waves = table(40)
    waves["site"] = waves["sensor"].str[1:].astype(int) % 8
    waves.to_csv(place / "waves.csv", index=False)
    return place


def settings(**changes) -> dict:
    made = {
        "cells": ["rnn_tanh", "gru"],
        "seeds": 1,
        "budget": {"parameters": 6000},  # epochs end it
        "problem": [
            {
                "kind": "forecast", "data": "hourly.csv", "horizon": 3, "columns": {"ds": "date", "y": "load"},
                "options": {"lookback": 12, "max_epochs": 2, "batch_size": 16},
            },
            {
                "kind": "classify", "data": "waves.csv", "group": "site",
                "columns": {"id": "sensor", "time": "clock", "label": "kind"}, "options": {"max_epochs": 2},
            },
        ],
    }  # fmt: skip
    return {**made, **changes}


def test_both_kinds(folder, tmp_path) -> None:
    result = compare(parse_plan(settings(), folder), tmp_path, progress=False)
    assert (result.stopped, len(result.done)) == ("finished", 4)
    rows = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    for row in rows:
        assert abs(row["parameters"] / 6000 - 1) < 0.03
        assert [point[0] for point in row["curve"]] == [1, 2]
    forecasts, classes = rows[:2], rows[2:]
    for row in forecasts:
        assert row["trivial"]["name"] in ("last value", "seasonal naive")
        assert row["solved"] == (row["value"] < 0.99 * row["trivial"]["value"])
    for row in classes:
        assert row["trivial"] == {"name": "majority class", "value": row["trivial"]["value"]}
        assert 0 <= row["value"] <= 1
    page = (tmp_path / "report.html").read_text()
    assert "seasonal naive" in page or "last value" in page
    assert "beats trivial" in page
    # The same runs elsewhere give the same numbers.
    again = compare(parse_plan(settings(), folder), tmp_path / "again", progress=False)
    assert timeless([row for _, row in again.done]) == timeless(rows)


def test_a_cell_that_diverges_on_a_table_is_a_result(folder, tmp_path, capsys) -> None:
    wild = {"lookback": 12, "max_epochs": 2, "batch_size": 16, "learning_rate": 1e30}
    forecast, classify = settings()["problem"]
    problems = [
        {**forecast, "options": wild},
        {**classify, "options": {"max_epochs": 2, "learning_rate": 1e30}},
    ]
    result = compare(parse_plan(settings(problem=problems), folder), tmp_path)
    assert (result.stopped, len(result.done)) == ("finished", 4)
    assert "seed 0: diverged, mean absolute error" in capsys.readouterr().err
    for row in (json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()):
        assert (row["stopped"], row["value"], row["solved"]) == ("diverged", None, False)
        assert "not finite" in row["diverged"]
        assert abs(row["parameters"] / 6000 - 1) < 0.03
    page = (tmp_path / "report.html").read_text()
    assert "not finite: rnn_tanh (1 of 1) and gru (1 of 1)" in page
    # A cell that learns takes part beside one that did not.
    tame = compare(
        parse_plan(settings(problem=[forecast, problems[1]], cells=["gru"]), folder),
        tmp_path / "tame",
        progress=False,
    )
    assert [row["stopped"] == "diverged" for _, row in tame.done] == [False, True]


def test_a_width_is_the_nearest(folder) -> None:
    plan = parse_plan(settings(), folder)
    for problem, _ in plan.problems:
        for variant in plan.variants:
            width = problem.width(variant, 6000, 1)
            counts = {}
            for own in (width - 1, width, width + 1):
                estimator = problem.estimator(variant, hidden_size=own, max_time=1e-6, progress=False)
                problem.fit(estimator)
                counts[own] = sum(one.numel() for one in estimator.fitted_.network.parameters())
            assert min(counts, key=lambda own, counts=counts: abs(counts[own] - 6000)) == width


def test_files_are_told_apart_by_their_content_not_by_their_place(folder, tmp_path, monkeypatch) -> None:
    problem = {**settings()["problem"][1], "test_data": "other.csv"}
    for place in (folder, tmp_path):
        (place / "other.csv").write_bytes((folder / "waves.csv").read_bytes())
    (tmp_path / "waves.csv").write_bytes((folder / "waves.csv").read_bytes())

    def identities(place) -> list[dict]:
        return [run.identity for run in parse_plan(settings(problem=[problem]), place).runs()]

    known = identities(folder)
    assert identities(tmp_path) == known
    monkeypatch.chdir(tmp_path)
    assert identities(None) == known
    with (tmp_path / "other.csv").open("a") as file:
        file.write((folder / "waves.csv").read_text().splitlines()[-1] + "\n")
    assert identities(tmp_path) != known


def test_what_cannot_be_is_said_before_anything_is_trained(folder) -> None:
    forecast, classify = settings()["problem"]
    for problem, cells, message in (
        ({**forecast, "columns": {"ds": "when", "y": "load"}}, ["gru"], "no column 'when'"),
        ({**forecast, "columns": {"stamp": "date"}}, ["gru"], "columns: 'stamp' is not known"),
        ({**forecast, "test_start": "2031-01-01"}, ["gru"], "test_start: '2031-01-01' leaves no rows"),
        ({**forecast}, ["lstm+chrono"], r"leave \+chrono out where a table is compared"),
        ({**classify, "group": "town"}, ["gru"], "no column 'town'"),
        ({**classify, "test_data": "none.csv"}, ["gru"], "test_data: there is no file"),
    ):
        with pytest.raises((ArgumentError, DataError), match=message):
            parse_plan(settings(problem=[problem], cells=cells), folder)
