"""Metrics against examples worked out by hand, and against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from gatewise.errors import ArgumentError
from gatewise.tasks.anomaly import (
    event_hits,
    point_adjusted_hits,
    point_hits,
    range_hits,
    vus_pr,
)
from gatewise.tasks.anomaly.events import best_threshold
from gatewise.tasks.anomaly.labels import spans_of
from gatewise.tasks.anomaly.vus import range_auc_pr, soft_labels


def marks(text: str) -> np.ndarray:
    return np.array([letter == "x" for letter in text])


def test_spans() -> None:
    assert spans_of(marks("xx..x")) == [(0, 2), (4, 5)]
    assert spans_of(marks(".....")) == []
    assert spans_of(marks("xxxx"), np.array([0, 2, 4])) == [(0, 2), (2, 4)]


def test_event_and_row_f1_by_hand() -> None:
    labels = marks("..xxxx...xx...x..")
    alarms = marks("x..x.x.....x..x..")
    # Five runs of alarms: at 0 (wrong), 3, 5 (in the first span), 11 (just behind the second), 14 (in the third).
    assert event_hits(alarms, labels).precision == 3 / 5
    assert event_hits(alarms, labels).recall == 2 / 3
    assert event_hits(alarms, labels).f1 == pytest.approx(2 * 0.6 * (2 / 3) / (0.6 + 2 / 3))
    assert point_hits(alarms, labels).precision == 3 / 5
    assert point_hits(alarms, labels).recall == 3 / 7
    adjusted = point_adjusted_hits(alarms, labels)
    assert adjusted.precision == 5 / 7
    assert adjusted.recall == 5 / 7


def test_point_adjustment_flatters_and_is_not_the_event_score() -> None:
    generator = np.random.default_rng(0)
    labels = np.zeros(10_000, dtype=bool)
    labels[4000:5000] = True
    alarms = generator.random(10_000) < 0.01
    assert point_adjusted_hits(alarms, labels).f1 > 0.9
    assert event_hits(alarms, labels).f1 < 0.25
    assert point_hits(alarms, labels).f1 < 0.05


def test_nothing_found_and_nothing_there() -> None:
    empty, some = marks("....."), marks("..x..")
    for hits in (
        event_hits(empty, some),
        event_hits(some, empty),
        range_hits(empty, some),
        range_hits(some, empty),
    ):
        assert hits.f1 == 0.0
    assert event_hits(some, some).f1 == range_hits(some, some).f1 == 1.0


def test_range_scores_by_hand() -> None:
    labels = marks("..xxxxxxxx..xx")
    alarms = marks(".xxx....xxx.x.")
    # First span of 8: two pieces cover rows 2, 3 and 8, 9: 4 / 8, by 2 pieces. Second of 2: one piece covers half.
    hits = range_hits(alarms, labels)
    assert hits.recall == pytest.approx((4 / 8 / 2 + 1 / 2) / 2)
    # Alarms: 1-3 (2 of 3 inside), 8-10 (2 of 3), 12 (whole).
    assert hits.precision == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    # Existence weighs 0.5: both spans are found.
    assert range_hits(alarms, labels, existence=0.5).recall == pytest.approx(0.5 + 0.5 * hits.recall)


def test_range_bias_by_hand() -> None:
    labels = marks("xxxx")
    early, late = marks("x..."), marks("...x")
    # Weights 4 3 2 1 from the front, 1 2 3 4 from the back, 1 2 2 1 in the middle.
    assert range_hits(early, labels, bias="front").recall == pytest.approx(4 / 10)
    assert range_hits(late, labels, bias="front").recall == pytest.approx(1 / 10)
    assert range_hits(late, labels, bias="back").recall == pytest.approx(4 / 10)
    assert range_hits(early, labels, bias="middle").recall == pytest.approx(1 / 6)
    with pytest.raises(ArgumentError, match="bias"):
        range_hits(early, labels, bias="sideways")
    with pytest.raises(ArgumentError, match="existence"):
        range_hits(early, labels, existence=2.0)


def test_series_end_spans() -> None:
    labels = marks("..xxxx..")
    starts = np.array([0, 4, 8])
    assert event_hits(marks("..x....."), labels, starts).recall == 0.5
    assert event_hits(marks("..x....."), labels).recall == 1.0


def test_soft_labels_by_hand() -> None:
    soft = soft_labels(marks(".....xx....."), 4)
    expected = [0, 0, 0, np.sqrt(0.5), np.sqrt(0.75), 1, 1, np.sqrt(0.75), np.sqrt(0.5), 0, 0, 0]
    np.testing.assert_allclose(soft, expected)
    np.testing.assert_allclose(soft_labels(marks("..xx"), 4, np.array([0, 2, 4])), [0, 0, 1, 1])
    assert soft_labels(marks("x.x"), 2).max() == 1.0  # overlapping slopes do not add up beyond 1


def range_auc_by_definition(scores, labels, buffer) -> float:
    """The area, threshold by threshold, from the definition."""
    soft = soft_labels(labels, buffer)
    spans = spans_of(soft > 0)
    area, before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        alarms = scores >= threshold
        caught = (soft * alarms).sum()
        found = np.mean([alarms[first:end].any() for first, end in spans])
        recall = min(caught / ((labels.sum() + soft.sum()) / 2), 1) * found
        area += (recall - before) * caught / alarms.sum()
        before = recall
    return area


@pytest.mark.parametrize("seed", range(20))
def test_range_auc_equals_its_definition(seed) -> None:
    generator = np.random.default_rng(seed)
    size = int(generator.integers(20, 120))
    labels = np.zeros(size, dtype=bool)
    for _ in range(int(generator.integers(1, 4))):
        first = int(generator.integers(0, size - 5))
        labels[first : first + int(generator.integers(1, 6))] = True
    scores = generator.normal(size=size) + 1.5 * labels
    if seed % 2:
        scores = scores.round()  # ties
    for buffer in (0, 1, 2, 5, 12):
        assert range_auc_pr(scores, labels, buffer) == pytest.approx(
            range_auc_by_definition(scores, labels, buffer), abs=1e-12
        )
    buffers = range(8)
    assert vus_pr(scores, labels, buffer=7) == pytest.approx(
        np.mean([range_auc_by_definition(scores, labels, b) for b in buffers]), abs=1e-12
    )


def test_without_a_buffer_and_with_one_span_it_is_average_precision() -> None:
    generator = np.random.default_rng(3)
    labels = marks("." * 30 + "x" * 1 + "." * 30)
    scores = generator.normal(size=61)
    assert vus_pr(scores, labels, buffer=0) == pytest.approx(average_precision_score(labels, scores))


def test_vus_of_perfect_reversed_and_unlabelled() -> None:
    labels = marks("....xxxx....")
    assert vus_pr(labels.astype(float), labels, buffer=0) == 1.0
    assert vus_pr(-labels.astype(float), labels) < 0.5
    assert np.isnan(vus_pr(labels.astype(float), marks("." * 12)))
    with_gap = np.where(np.arange(12) == 5, np.nan, labels.astype(float))
    assert vus_pr(with_gap, labels, buffer=0) < 1.0
    with pytest.raises(ArgumentError, match="buffer"):
        vus_pr(labels.astype(float), labels, buffer=-1)


@pytest.mark.parametrize("seed", range(10))
def test_best_threshold_is_the_best(seed) -> None:
    generator = np.random.default_rng(seed)
    labels = np.zeros(80, dtype=bool)
    labels[20:25], labels[60:63] = True, True
    scores = generator.normal(size=80) + labels
    chosen = best_threshold(scores, labels)
    best = max(event_hits(scores > value - 1e-12, labels).f1 for value in scores)
    assert event_hits(scores > chosen, labels).f1 == pytest.approx(best)
