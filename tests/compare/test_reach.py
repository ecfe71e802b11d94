"""How far back trained networks look: planted decays, what is left out, and what is said of it."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from gatewise import nn
from gatewise.compare import compare, parse_plan
from gatewise.compare.figures import plot_reach
from gatewise.compare.problems import Adding
from gatewise.compare.reach import middle, reach_of, reached, watched
from gatewise.compare.report import table_rows
from gatewise.compare.scores import CellScore, ProblemScore
from gatewise.compare.verdict import judge
from gatewise.tasks import SequenceClassifier


def decaying(*factors: float) -> nn.RNN:
    """A stack whose state is multiplied by a factor at each step, as long as nothing comes in."""
    layers = nn.RNN(2, 3, num_layers=len(factors), bias=False)
    with torch.no_grad():
        for weight in layers.parameters():
            weight.zero_()
        for place, factor in enumerate(factors):
            getattr(layers, f"weight_hh_l{place}").copy_(factor * torch.eye(3))
    return layers


def test_a_planted_decay_is_measured_and_nothing_is_left_behind() -> None:
    layer, x = decaying(0.5), torch.zeros(12, 2, 2)
    before = torch.get_rng_state()
    found = reach_of([(layer, x, None)])
    assert found is not None
    assert found["window"] == 11
    np.testing.assert_allclose(found["share"], 0.5 ** np.array(found["lags"]), rtol=1e-4)
    assert found["lag"] == pytest.approx(math.log(0.01) / math.log(0.5), abs=0.01)
    assert not found["beyond"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert all(weight.grad is None for weight in layer.parameters())
    assert torch.equal(before, torch.get_rng_state())
    far = reach_of([(decaying(0.9), x, None)])
    assert far is not None
    assert far["beyond"]
    assert far["lag"] == pytest.approx(math.log(0.01) / math.log(0.9), abs=0.01)


def test_the_layer_that_remembers_longest_counts_and_steps_that_do_not_are_none() -> None:
    x = torch.zeros(12, 2, 2)
    found = reach_of([(decaying(0.1), x, None), (decaying(0.2, 0.6), x, None)])
    assert found is not None
    assert found["layer"] == "layer 1"
    assert found["share"][1] == pytest.approx(0.6, rel=1e-4)
    mask = torch.ones(12, 2, dtype=torch.bool)
    mask[6:] = False
    masked = reach_of([(decaying(0.5), x, mask)])
    assert masked is not None
    assert masked["window"] == 5


def test_what_says_nothing_is_left_out() -> None:
    assert reach_of([]) is None
    assert reach_of([(decaying(0.5), torch.zeros(4, 2, 2), None)]) is None
    torn = decaying(0.5)
    with torch.no_grad():
        torn.weight_hh_l0[0, 0] = math.nan
    assert reach_of([(torn, torch.zeros(12, 2, 2), None)]) is None


def cell(name: str, *lags: float | None, window: int = 50) -> CellScore:
    """Of as many runs, whose gradients fall to 1 % after so many steps; None: they do not."""
    rows = []
    for lag in lags:
        places = [0, 1, 10, window]
        shares = [1.0 if lag is None else 0.01 ** (place / lag) for place in places]
        reach = {
            "lags": places,
            "share": shares,
            "window": window,
            "lag": lag,
            "beyond": lag is None or lag > window,
        }
        rows.append({
            "value": 0.1, "solved": False, "solved_at": None, "parameters": 10, "hidden_size": 3,
            "stopped": "max_steps", "train_seconds": 1.0, "step_seconds": 0.01, "curve": [[5, 1.0, 0.1, 0.1]],
            "reach": reach,
        })  # fmt: skip
    return CellScore(name, tuple(rows), len(rows))


def adding(*cells: CellScore) -> ProblemScore:
    return ProblemScore(Adding(51), Adding(51).measure, Adding(51).trivial(), cells)


def test_the_verdict_says_where_gradients_vanish() -> None:
    score = adding(cell("rnn", 8.0, 6.0, 7.0), cell("lstm", None, 900.0, 20.0), cell("gru", 12.0, 11.0, 90.0))
    text = judge(score)[-1]
    assert text == (
        "Of a gradient 1 % is left after 7 steps in rnn and 12 steps in gru; in lstm more than that over all 50."
    )
    header, rnn, lstm, gru, _ = table_rows(score)
    place = header.index("1 % of a gradient after")
    assert [row[place] for row in (rnn, lstm, gru)] == ["7 steps", "beyond 50 steps", "12 steps"]
    assert not any("gradient" in one for one in judge(adding(cell("lstm", None), cell("gru", 80.0))))


def test_lines_without_it_are_told_without_it() -> None:
    old = cell("rnn", 8.0)
    bare = CellScore("rnn", tuple({k: v for k, v in row.items() if k != "reach"} for row in old.rows), 1)
    assert reached(bare.rows) == []
    assert all(len(row) == len(table_rows(adding(old))[0]) - 1 for row in table_rows(adding(bare)))
    both = table_rows(adding(old, CellScore("lstm", bare.rows, 1)))
    assert "unknown" in both[2]


def test_the_middle_of_an_even_number_is_the_shorter() -> None:
    assert middle(reached(cell("one", 15.0, None).rows)) == (15.0, False)
    assert middle(reached(cell("one", None, None).rows)) == (math.inf, True)


def test_the_picture_draws_the_shares() -> None:
    axes = plot_reach(adding(cell("rnn", 8.0, 6.0, 7.0), cell("lstm", None, None, None))).axes[0]
    rnn, lstm = (line for line in axes.lines if line.get_label() in ("rnn", "lstm"))
    np.testing.assert_allclose(rnn.get_ydata(), 0.01 ** (np.array([0, 1, 10, 50]) / 7))
    assert lstm.get_ydata()[-1] == 1.0
    assert axes.get_yscale() == "log"
    assert axes.get_ylim()[0] == pytest.approx(1e-8)


def test_a_run_s_line_holds_it(tmp_path) -> None:
    plan = parse_plan({
        "cells": ["rnn_tanh", "lstm+chrono"], "seeds": 1, "budget": {"parameters": 400, "steps": 2},
        "training": {"validate_every": 2}, "problem": [{"kind": "adding-1997", "steps": 40}],
    })  # fmt: skip
    compare(plan, tmp_path, progress=False)
    rnn, lstm = (json.loads(line)["reach"] for line in (tmp_path / "results.jsonl").read_text().splitlines())
    assert rnn["lag"] < 20 < lstm["lag"]
    page = (tmp_path / "report.html").read_text()
    assert "what of a gradient arrives, by lag" in page
    [cells] = [one["cells"] for one in json.loads((tmp_path / "summary.json").read_text())["problems"]]
    assert (cells[0]["left_after"], cells[0]["left_beyond"]) == (rnn["lag"], False)


def test_an_estimator_is_watched_and_says_the_same() -> None:
    generator = np.random.default_rng(0)
    series = [generator.normal(size=(30, 1)) for _ in range(12)]
    model = SequenceClassifier(cell="rnn_tanh", hidden_size=4, max_epochs=1, random_state=0, progress=False)
    model.fit(series, np.arange(12) % 2)
    known = model.predict_proba(series)
    shown, found = watched(model, lambda: model.predict_proba(series))
    np.testing.assert_array_equal(shown, known)
    assert found is not None
    assert 0 < found["lag"] < found["window"] == 29
    assert watched(torch.nn.Linear(1, 1), lambda: 7) == (7, None)
