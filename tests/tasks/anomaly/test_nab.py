"""NAB's scores: by hand, by brute force, and against what the benchmark publishes."""

from __future__ import annotations

import csv
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.csv
import pytest
from scipy.stats import norm

from gatewise.errors import ArgumentError, DataError
from gatewise.tasks.anomaly import NabFile, best_nab, score_nab
from gatewise.tasks.anomaly.nab import PROFILES, Profile, _normalised, probation

# nab_windowed_gaussian.csv: from numenta/NAB (MIT), windowedGaussian_standard_scores.csv of commit
# de8e91a4: each file's score, TP, TN, FP and FN at threshold 1, and here its total. 39.6 is what NAB's README lists.
PUBLISHED = Path(__file__).parent / "nab_windowed_gaussian.csv"
PUBLISHED_TOTAL, PUBLISHED_SCORE = -24.0131054891, 39.6
# config/thresholds.json and results/final_results.json of commit 001b3eb7: what raw scores sum to, and the final score.
FINAL = [
    ("standard", 35.432068022614295, 65.272443113189652),
    ("reward_low_FP_rate", 19.920558339682692, 58.586447560215518),
    ("reward_low_FN_rate", 9.432068022614288, 69.377031040979887),
]
# README and results/null of numenta/NAB: 58 files, 116 windows.
WINDOWS = 116


def test_probation() -> None:
    assert probation(1127) == 169
    assert probation(4032) == 604
    assert probation(5000) == probation(50_000) == 750


def test_null_is_zero_and_perfect_is_a_hundred() -> None:
    files = [NabFile(np.zeros(400), [(100, 139), (300, 339)]), NabFile(np.zeros(100), [])]
    perfect = [NabFile(np.isin(np.arange(400), (100, 300)).astype(float), files[0].windows), files[1]]
    for profile in PROFILES:
        assert score_nab(files, 0.5, profile)[0] == 0.0
        assert score_nab(perfect, 0.5, profile)[0] == pytest.approx(100.0)
        assert best_nab(files, profile)[1] == 0.0
        assert best_nab(perfect, profile) == (1.0, pytest.approx(100.0))


def test_places_by_hand() -> None:
    def sigmoid(place):
        return 2 / (1 + np.exp(5 * place)) - 1

    window = [(50, 59)]

    def raw(row, profile="standard"):
        scores = np.zeros(200)
        scores[row] = 1
        return score_nab([NabFile(scores, window)], 1.0, profile)[1][0]

    # In the window: -(last - row + 1) / width, by the value at the first row.
    assert raw(50) == pytest.approx(1.0)
    assert raw(59) == pytest.approx(sigmoid(-0.1) / sigmoid(-1.0))
    assert raw(54) == pytest.approx(sigmoid(-0.6) / sigmoid(-1.0))
    # Behind it: (row - last) / (width - 1) from its end, and -1 from three widths on; before any window -1.
    assert raw(60) == pytest.approx(-1 + 0.11 * sigmoid(1 / 9))
    assert raw(120) == pytest.approx(-1.11)
    assert raw(45) == pytest.approx(-1.11)
    assert raw(45, "reward_low_FP_rate") == pytest.approx(-1.22)
    assert raw(45, "reward_low_FN_rate") == pytest.approx(-2.11)
    # In the probation nothing counts.
    assert raw(29) == pytest.approx(-1.0)


def test_only_the_earliest_detection_of_a_window_counts() -> None:
    scores = np.zeros(200)
    scores[[52, 53, 58]] = 1
    alone = np.zeros(200)
    alone[52] = 1
    window = [(50, 59)]
    assert score_nab([NabFile(scores, window)], 1.0)[1] == score_nab([NabFile(alone, window)], 1.0)[1]
    counts = score_nab([NabFile(scores, window)], 1.0)[2][0]
    assert (counts.true_positives, counts.false_negatives) == (3, 7)
    assert (counts.false_positives, counts.true_negatives) == (0, 160)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("profile", [*PROFILES, Profile(1.0, 0.5, 0.7)])
def test_the_best_threshold_is_the_best_of_all(seed, profile) -> None:
    generator = np.random.default_rng(seed)
    files = []
    for _ in range(3):
        scores = generator.normal(size=150).round(1)
        windows = [(40, 49), (100, 119)]
        scores[44] += 2
        files.append(NabFile(scores, windows[: int(generator.integers(1, 3))]))
    threshold, best = best_nab(files, profile)
    tried = [*np.unique(np.concatenate([file.scores for file in files])), np.inf]
    assert best == pytest.approx(max(score_nab(files, value, profile)[0] for value in tried))
    assert score_nab(files, threshold, profile)[0] == pytest.approx(best)


def test_labels_as_windows_and_what_is_refused() -> None:
    marks = np.zeros(100, dtype=bool)
    marks[40:50] = True
    assert NabFile.of_labels(np.zeros(100), marks).windows == [(40, 49)]
    with pytest.raises(ArgumentError, match="profile"):
        score_nab([NabFile(np.zeros(10), [(5, 6)])], 1.0, "reward_me")
    with pytest.raises(DataError, match="windows"):
        score_nab([NabFile(np.zeros(10), [(5, 10)])], 1.0)
    with pytest.raises(DataError, match="nothing to find"):
        score_nab([NabFile(np.zeros(10), [])], 1.0)


@pytest.fixture(scope="module")
def corpus() -> dict[str, NabFile]:
    """The whole benchmark, without scores."""
    root = os.environ.get("GATEWISE_DATA")
    archive = Path(root or ".") / "anomaly-detection/nab/nab-data-labels.tar.gz"
    if not archive.is_file():
        pytest.skip("needs the NAB archive: set GATEWISE_DATA")
    files = {}
    with tarfile.open(archive) as tar:
        windows = json.load(tar.extractfile("labels/combined_windows.json"))
        for name, spans in windows.items():
            table = pyarrow.csv.read_csv(tar.extractfile(f"data/{name}"))
            stamps = table.column("timestamp").to_numpy().astype("datetime64[s]")
            places = [
                tuple(int(np.flatnonzero(stamps == np.datetime64(end, "s"))[0]) for end in span)
                for span in spans
            ]
            files[name] = NabFile(table.column("value").to_numpy().astype(float), places)
    return files


def windowed_gaussian(values: np.ndarray, size: int = 6400, step: int = 100) -> np.ndarray:
    """1 - the tail probability under a Gaussian of the last `size` values, moved on every `step` rows once full.

    Written from NAB's description, and rounded as its result files are: to twelve digits, so that a score counts as 1
    from 7.1 deviations on.
    """
    exact = values.astype(np.longdouble) - np.median(values)
    sums, squares = (np.concatenate([[0], np.cumsum(part)]) for part in (exact, exact**2))
    row = np.arange(len(values))
    end = np.where(row <= size, row, size + (row - size) // step * step)
    begin = np.maximum(end - size, 0)
    count = np.maximum(end - begin, 1)
    mean = (sums[end] - sums[begin]) / count
    variance = np.maximum((squares[end] - squares[begin]) / count - mean**2, 0)
    deviation = np.sqrt(variance.astype(float))
    deviation[deviation <= 1e-9 * np.abs(exact).max()] = 1e-6  # as NAB does where all values are equal
    scores = 1 - norm.sf(np.abs(exact - mean).astype(float) / deviation)
    scores[0] = 0
    return scores.round(12)


def test_scores_of_all_files_equal_those_that_the_benchmark_publishes(corpus) -> None:
    with PUBLISHED.open() as lines:
        rows = list(csv.DictReader(lines))
    assert {row["file"] for row in rows} == set(corpus)
    names = [row["file"] for row in rows]
    files = [NabFile(windowed_gaussian(corpus[name].scores), corpus[name].windows) for name in names]
    score, raw, counts = score_nab(files, 1.0)
    for row, own, counted in zip(rows, raw, counts, strict=True):
        # All but Twitter_volume_UPS agree to 1e-9; there the counts agree and the score differs by 7e-8.
        assert own == pytest.approx(float(row["score"]), abs=1e-7), row["file"]
        found = (
            counted.true_positives,
            counted.true_negatives,
            counted.false_positives,
            counted.false_negatives,
        )
        assert found == tuple(int(row[kind]) for kind in ("TP", "TN", "FP", "FN")), row["file"]
    assert sum(raw) == pytest.approx(PUBLISHED_TOTAL, abs=1e-6)
    assert round(score, 1) == PUBLISHED_SCORE


@pytest.mark.parametrize(("profile", "raw", "final"), FINAL)
def test_raw_scores_become_final_ones_as_the_benchmark_has_it(profile, raw, final) -> None:
    weights = PROFILES[profile]
    files = [NabFile(np.zeros(30 * WINDOWS + 200), [(200 + 30 * k, 209 + 30 * k) for k in range(WINDOWS)])]
    assert _normalised(raw, files, weights) == pytest.approx(final, abs=1e-9)


def test_the_null_detector_of_the_whole_benchmark(corpus) -> None:
    files = [NabFile(np.zeros(len(file.scores)), file.windows) for file in corpus.values()]
    score, raw, counts = score_nab(files, 1.0)
    assert score == 0.0
    assert sum(raw) == -WINDOWS
    # The totals of results/null/null_standard_scores.csv.
    assert sum(one.true_negatives for one in counts) == 299347
    assert sum(one.false_negatives for one in counts) == 33495
