"""The detector end to end: it finds what was planted, streams what it scores, and does as it says."""

from __future__ import annotations

import signal

import numpy as np
import pandas as pd
import polars as pl
import pytest

import gatewise
from gatewise import cells
from gatewise.errors import DataError, StoreError
from gatewise.spec import sigmoid, tanh
from gatewise.tasks import AnomalyDetector
from gatewise.tasks.anomaly.training import StretchSource
from tests.tasks.anomaly.waves import FLAT, ROWS, SPIKE, broken, small, table, waves

METHODS = ("forecast", "reconstruction", "quantile")
ONE_STREAM = [name for name in cells.names() if len(cells.get(name).inputs) == 1]


def tolerance(detector, values) -> float:
    """How far rounding may part the stream from the batch.

    Both compute the network in float32, in different orders. A state is squashed at every step, so its error stays
    within a few roundings of sums over the units; it enters the error e of a scaled value of size s with at most
    c = 64 eps (1 + s). A squared distance e' P e then moves by at most 2 |e| |P| c sqrt(d) + |P| c^2 d.
    """
    eps = float(np.finfo(np.float32).eps)
    scaler = detector.fitted_.scaler
    size = float(np.nanmax(np.abs((values - scaler.level) / scaler.spread))) / 0.05
    step = 64 * eps * (1 + size)
    if detector.fitted_.gaussian is None:
        return step * 1e3  # by the band's half width, which is at least 1e-3
    precision = detector.fitted_.gaussian.precision
    strength, dimensions = float(np.linalg.norm(precision, 2)), len(precision)
    longest = np.sqrt(float(np.abs(detector.fitted_.score(detector._series(values)).scores).max()) / 1e-3)
    longest = min(longest, 2 * size * np.sqrt(dimensions))
    return strength * (2 * longest * step * np.sqrt(dimensions) + step**2 * dimensions)


@pytest.mark.parametrize("method", METHODS)
def test_finds_what_was_planted(fitted, method) -> None:
    values, marks = broken()
    scores = fitted[method].anomaly_scores(values)
    assert np.isfinite(scores).all()
    normal = np.median(scores[20:300])
    assert scores[SPIKE : SPIKE + 16].max() > 5 * max(normal, 0.1)
    assert scores[FLAT].max() > 5 * max(normal, 0.1)
    alarms = fitted[method].predict(values) == -1
    assert alarms[marks].any()
    assert alarms[:300].mean() < 0.05


@pytest.mark.parametrize("method", METHODS)
def test_the_stream_equals_the_batch(fitted, method) -> None:
    values = broken()[0]
    detector = fitted[method]
    expected, decisions = detector.score_samples(values), detector.decision_function(values)
    blame = detector.blame(values)
    detector.reset_stream()
    bound = tolerance(detector, values)
    got = np.empty(ROWS)
    for row in range(ROWS):
        step = detector.partial_step(values[row])
        got[row] = -step.score
        assert abs(-step.score - expected[row]) <= bound, row
        assert abs(step.threshold - step.score - decisions[row]) <= 2 * bound
        assert step.alarm == (step.score > step.threshold)
        np.testing.assert_allclose(list(step.blame.values()), blame[row], rtol=0, atol=bound)
    # Far closer in truth: a difference that anyone could see would be a bug.
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_scores_see_no_future(fitted, method) -> None:
    values = broken()[0]
    scores = fitted[method].score_samples(values)
    values[300:] = np.random.default_rng(5).normal(size=values[300:].shape) * 50
    np.testing.assert_allclose(fitted[method].score_samples(values)[:300], scores[:300], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_stream_goes_on_from_its_bytes(fitted, method) -> None:
    values = broken()[0]
    detector = fitted[method]
    whole = detector.stream()
    expected = [whole.step(row) for row in values]
    first = detector.stream()
    for row in values[:377]:
        first.step(row)
    second = detector.stream(first.to_bytes())
    assert second.rows == 377
    assert [second.step(row) for row in values[377:]] == expected[377:]
    with pytest.raises(StoreError):
        detector.stream(b"nonsense")


def test_a_state_of_another_detector_is_refused(fitted) -> None:
    other = small(max_epochs=1).fit(waves(channels=1))
    stream = other.stream()
    stream.step(1.0)
    with pytest.raises(StoreError, match="another detector"):
        fitted["forecast"].stream(stream.to_bytes())


@pytest.mark.parametrize(
    ("cell", "method"),
    [(cell, "forecast") for cell in ONE_STREAM]
    + [(cell, "reconstruction") for cell in ("gru", "lstm_projected", "slstm")],
)
def test_every_cell(cell, method) -> None:
    values = waves(60, 1)
    detector = small(cell=cell, method=method, max_epochs=1, batch_size=2, lookback=8).fit(values)
    expected = detector.score_samples(values[:30])
    got = [detector.partial_score(row) for row in values[:30]]
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-3)


def test_a_cell_of_ones_own() -> None:
    @gatewise.cell(states="h", gates="f n")
    def own(gate, state):
        f = sigmoid(gate.f)
        return f * state.h + (1 - f) * tanh(gate.n)

    assert small(cell=own, max_epochs=1).fit(waves(100)).fitted_.plan.program.name == "own"


def test_ragged_series_are_scored_as_if_alone(fitted) -> None:
    series = [waves(90, seed=3), waves(40, seed=4), waves(140, seed=5)]
    for detector in fitted.values():
        together = detector.score_samples(series)
        alone = np.concatenate([detector.score_samples(one) for one in series])
        np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-4)
    same = np.stack([waves(50, seed=3), waves(50, seed=4)])
    np.testing.assert_array_equal(
        fitted["forecast"].score_samples(same), fitted["forecast"].score_samples(list(same))
    )
    assert small().fit(series).fitted_.columns == ("x0", "x1")


@pytest.mark.parametrize("make", [lambda t: t, pl.from_pandas], ids=["pandas", "polars"])
def test_tables(make) -> None:
    frame = table()
    detector = small().fit(make(frame))
    found = detector.detect(make(frame))
    assert type(found) is type(make(frame))
    found = found if isinstance(found, pd.DataFrame) else found.to_pandas()
    assert found.columns.to_list() == [
        "unique_id", "timestamp", "score", "threshold", "alarm", "blame_load", "blame_heat",
    ]  # fmt: skip
    assert (found["timestamp"].to_numpy() == frame["timestamp"].to_numpy()).all()
    # Rows of two series in turns come back in their own order.
    mixed = frame.sort_values("timestamp", kind="stable")
    again = detector.detect(mixed).sort_values(["unique_id", "timestamp"])["score"].to_numpy()
    np.testing.assert_allclose(again, found["score"].to_numpy(), rtol=1e-12)
    by_array = [frame.loc[frame["unique_id"] == name, ["load", "heat"]].to_numpy() for name in ("a", "b")]
    np.testing.assert_allclose(
        found["score"].to_numpy(), detector.anomaly_scores(by_array), rtol=1e-5, atol=1e-6
    )


def test_one_series_of_stamps_and_values_as_in_nab() -> None:
    frame = table(names=("a",))[["timestamp", "load"]].rename(columns={"load": "value"})
    frame["timestamp"] = frame["timestamp"].astype(str)
    found = small(max_epochs=1).fit(frame).detect(frame)
    assert found.columns.to_list()[:2] == ["timestamp", "score"]


def test_missing_values_are_left_out() -> None:
    values = waves(300)
    values[50:55, 0] = np.nan
    values[100] = np.nan
    detector = small(missing="mask", max_epochs=2).fit(values)
    scores = detector.score_samples(values)
    assert np.isnan(scores[100])
    assert np.isfinite(np.delete(scores, 100)).all()
    assert detector.predict(values)[100] == 1
    # A channel that is missing blames nobody but is not to blame itself.
    assert (detector.blame(values)[50:55, 0] == 0).all()
    got = np.array([detector.partial_score(row) for row in values])
    np.testing.assert_allclose(got, scores, rtol=1e-3, atol=1e-3)


def test_blame_names_the_channel_and_sums_to_the_score() -> None:
    detector = small(max_epochs=6).fit(waves(channels=3))
    values = waves(channels=3, seed=2)
    values[200, 1] += 5
    blame = detector.blame(values)
    assert blame[200].argmax() == 1
    np.testing.assert_allclose(
        np.maximum(blame.sum(axis=1), 0), detector.anomaly_scores(values), rtol=1e-9, atol=1e-9
    )


def test_rescaling_follows_drift() -> None:
    drift = waves(2000) + np.linspace(0, 60, 2000)[:, None]
    history = drift[:500]
    fixed = small(max_epochs=4).fit(history)
    moving = small(max_epochs=4, rescale=50).fit(history)
    late = slice(1500, 2000)
    assert (moving.predict(drift)[late] == -1).mean() < 0.02
    # Scores at the end are like those at the beginning only where drift is followed.
    scores = [detector.anomaly_scores(drift) for detector in (moving, fixed)]
    growth = [np.median(one[late]) / np.median(one[100:400]) for one in scores]
    assert growth[0] < 2
    assert growth[0] < growth[1]


def test_labels_set_the_threshold_and_nothing_else() -> None:
    values, marks = broken()
    plain = small(threshold="rate").fit(values)
    told = small(threshold="labels").fit(values, marks)
    np.testing.assert_array_equal(plain.score_samples(values), told.score_samples(values))
    assert told.offset_ != plain.offset_
    assert told.evaluate(values, marks).measures["lstm"].event_recall == 1.0
    # Labels in another form are the same labels.
    spans = [(SPIKE, SPIKE), (FLAT.start, FLAT.stop - 1)]
    assert small(threshold="labels").fit(values, spans).offset_ == told.offset_
    with pytest.raises(DataError, match="needs y"):
        small(threshold="labels").fit(values)


def test_a_number_is_a_threshold(fitted) -> None:
    values = broken()[0]
    detector = small(threshold=7.5, max_epochs=1).fit(waves())
    assert detector.offset_ == -7.5
    np.testing.assert_array_equal(detector.predict(values) == -1, detector.anomaly_scores(values) > 7.5)
    assert (detector.decision_function(values) == detector.score_samples(values) + 7.5).all()


def test_level_joins_the_distance_from_the_level_to_the_error() -> None:
    values = broken()[0]
    plain, joint = (small(max_epochs=1, level=level).fit(waves()) for level in (False, True))
    scaler = joint.fitted_.scaler
    distance = (values - scaler.level) / scaler.spread
    wanted = (1 + np.maximum(plain.blame(values), 0)) * (1 + distance**2) - 1
    np.testing.assert_allclose(joint.blame(values), wanted, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(joint.anomaly_scores(values), wanted.sum(axis=1), rtol=1e-5, atol=1e-5)


def test_level_as_a_stream_from_bytes_and_from_a_folder(fitted, tmp_path) -> None:
    values, detector = broken()[0], fitted["level"]
    expected = detector.anomaly_scores(values)
    first = detector.stream()
    got = [first.step(row).score for row in values[:377]]
    detector.save(tmp_path / "model")
    second = AnomalyDetector.load(tmp_path / "model").stream(first.to_bytes())
    got += [second.step(row).score for row in values[377:]]
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-3)
    assert detector.fitted_.judging.quiet == ROWS // 10


def test_tolerance_makes_little_of_small_errors() -> None:
    values = np.sin(np.arange(ROWS) * 0.4)[:, None]
    strict, easy = (small(max_epochs=4, tolerance=one).fit(values) for one in (1e-3, 1.0))
    assert easy.anomaly_scores(values).max() < 1 < strict.anomaly_scores(values).max()


def test_quiet_as_a_share_is_that_share_of_the_longest_series() -> None:
    values = broken()[0]
    share = small(max_epochs=1, quiet=0.2).fit([waves(), waves(200)])
    rows = small(max_epochs=1, quiet=100).fit([waves(), waves(200)])
    assert share.fitted_.judging.quiet == 100
    np.testing.assert_array_equal(share.score_samples(values), rows.score_samples(values))
    assert (share.anomaly_scores(values) > 0).sum() < 30


def test_the_same_seed_gives_the_same_detector() -> None:
    values = waves(200)
    scores = [small(random_state=seed).fit(values).score_samples(values) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])


@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_a_run_that_was_cut_off_goes_on_to_the_same_bits(tmp_path) -> None:
    values = waves(200)
    whole = small(max_epochs=3).fit(values).score_samples(values)
    detector = small(max_epochs=3, checkpoint_folder=tmp_path / "checkpoints")
    batch = StretchSource.batch

    def interrupted(self, epoch, step):
        if (epoch, step) == (1, 5):
            signal.raise_signal(signal.SIGINT)
        return batch(self, epoch, step)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StretchSource, "batch", interrupted)
        assert detector.fit(values).stopped_ == "interrupted"
    assert detector.fit(values).stopped_ == "finished"
    np.testing.assert_array_equal(detector.score_samples(values), whole)
