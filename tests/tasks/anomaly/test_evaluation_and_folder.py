"""What an evaluation says, and a detector through its folder."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import gatewise
from gatewise.errors import StoreError
from gatewise.spec import sigmoid, tanh
from gatewise.store import load_model, save_model
from gatewise.tasks import AnomalyDetector
from gatewise.tasks.anomaly import event_hits, range_hits, vus_pr
from gatewise.tasks.anomaly.baselines import (
    GAUSSIAN,
    LAST_VALUE,
    last_value_scores,
    windowed_gaussian_scores,
)
from gatewise.tasks.anomaly.card import CardNotes
from gatewise.tasks.anomaly.persistence import KIND
from gatewise.tasks.anomaly.report import report_html
from tests.tasks.anomaly.waves import broken, small, waves


@pytest.mark.parametrize("method", ["forecast", "reconstruction", "quantile"])
def test_a_loaded_detector_is_the_same(fitted, method, tmp_path) -> None:
    detector, (values, marks) = fitted[method], broken()
    detector.save(tmp_path / "model")
    loaded = AnomalyDetector.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.score_samples(values), detector.score_samples(values))
    np.testing.assert_array_equal(loaded.decision_function(values), detector.decision_function(values))
    assert loaded.evaluate(values, marks).to_dict() == detector.evaluate(values, marks).to_dict()
    assert loaded.history_ == detector.history_
    assert loaded.offset_ == detector.offset_
    ours, theirs = detector.stream(), loaded.stream()
    for row in values[:50]:
        assert repr(ours.step(row)) == repr(theirs.step(row))
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "card.md", "config.json", "model.safetensors",
    ]  # fmt: skip
    assert method in (tmp_path / "model" / "card.md").read_text()


def test_a_cell_of_ones_own_loads_where_its_source_is_not(tmp_path) -> None:
    @gatewise.cell(states="h", gates="f n")
    def notebook_cell(gate, state):
        f = sigmoid(gate.f)
        return f * state.h + (1 - f) * tanh(gate.n)

    values = waves(100)
    model = small(cell=notebook_cell, max_epochs=1).fit(values)
    model.save(tmp_path / "model")
    np.save(tmp_path / "values.npy", values)
    code = (
        "import sys, numpy as np, gatewise\n"
        "model = gatewise.AnomalyDetector.load(sys.argv[1] + '/model')\n"
        "np.save(sys.argv[1] + '/scores.npy', model.score_samples(np.load(sys.argv[1] + '/values.npy')))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    # Another process may use another number of threads, and so another order of summation.
    np.testing.assert_allclose(
        np.load(tmp_path / "scores.npy"), model.score_samples(values), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("damage", ["network", "judging", "threshold", "parameters", "columns", "kind"])
def test_a_folder_whose_parts_do_not_fit_is_refused(fitted, tmp_path, damage) -> None:
    fitted["forecast"].save(tmp_path / "model")
    stored = load_model(tmp_path / "model")
    config = json.loads(json.dumps(stored.config))
    if damage == "network":
        config["network"]["hidden_size"] = 9
    elif damage == "columns":
        config["columns"] = ["only"]
    elif damage == "parameters":
        config["parameters"]["unheard_of"] = 1
    elif damage == "threshold":
        config["threshold"] = {"kind": "guess"}
    else:
        del config[damage]
    save_model(tmp_path / "model", kind=KIND, config=config, tensors=stored.tensors, card="")
    with pytest.raises(StoreError):
        AnomalyDetector.load(tmp_path / "model")


def test_another_kind_is_refused(tmp_path) -> None:
    save_model(tmp_path / "other", kind="other", config={}, tensors={}, card="")
    with pytest.raises(StoreError, match="other"):
        AnomalyDetector.load(tmp_path / "other")


def test_baselines_by_hand() -> None:
    values = np.random.default_rng(0).normal(size=60)
    scores = windowed_gaussian_scores(values, window=10)
    from scipy.stats import norm

    for row in (3, 10, 47):
        window = values[max(0, row - 10) : row]
        tail = norm.sf(abs(values[row] - window.mean()) / window.std())
        assert scores[row] == pytest.approx(-np.log10(tail), rel=1e-6)
    np.testing.assert_array_equal(last_value_scores(np.array([1.0, 4.0, np.nan, 2.0])), [0, 3, 0, 0])


def test_evaluation_measures_what_it_says(fitted) -> None:
    values, marks = broken()
    found = fitted["forecast"].evaluate(values, marks, start=300)
    assert list(found.measures) == ["lstm", GAUSSIAN, LAST_VALUE]
    assert (found.rows, found.labelled) == (200, 2)
    own = found.measures["lstm"]
    alarms, scores = found.judged.alarms[300:], found.judged.scored.scores[300:]
    assert own.event_f1 == event_hits(alarms, marks[300:]).f1
    assert own.range_recall == range_hits(alarms, marks[300:]).recall
    assert own.vus_pr == vus_pr(scores, marks[300:])
    assert found.span == ("300", "499")
    text = str(found)
    assert text.splitlines()[0].split()[-2:] == ["(point-adjusted", "F1)"]
    assert found.verdict in text
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_network_that_loses_says_so() -> None:
    generator = np.random.default_rng(0)
    values = np.cumsum(generator.normal(size=(600, 1)), axis=0)  # nothing beats the last value here
    values[500] += 30
    marks = np.zeros(600, dtype=bool)
    marks[500] = True
    # A threshold that nothing reaches: no alarm, so nothing found.
    found = small(threshold=1e12, max_epochs=1).fit(values[:300]).evaluate(values, marks, start=300)
    assert not found.beats_trivial
    assert "NOT beat" in found.verdict
    unlabelled = small(max_epochs=1).fit(values[:300]).evaluate(values, start=300)
    assert unlabelled.measures["lstm"].event_f1 is None
    assert "cannot be told" in unlabelled.verdict
    assert unlabelled.beats_trivial == ("below that of the last value" in unlabelled.verdict)


@pytest.mark.parametrize("labelled", [True, False])
def test_the_report_stands_alone(fitted, labelled) -> None:
    detector, (values, marks) = fitted["forecast"], broken()
    evaluation = detector.evaluate(values, marks if labelled else None, start=300)
    page = report_html(detector, CardNotes(data="waves", evaluation=evaluation), folder="runs/x", seconds=1.0)
    assert page.count("data:image/svg+xml;base64,") >= 4
    assert "http" not in page
    assert "<script" not in page
    for words in (
        "point-adjusted" if labelled else "alarm rate",
        "windowed Gaussian",
        "waves",
        "Environment",
    ):
        assert words in page
    assert detector.plot(values, marks).axes
