"""NAB's scores: by hand, by brute force, and against what the benchmark publishes."""

from __future__ import annotations

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
from gatewise.tasks.anomaly.nab import PROFILES, Profile, probation

# From numenta/NAB (MIT), commit 487c0f97, results/windowedGaussian/windowedGaussian_standard_scores.csv: the file, its
# score, and TP, TN, FP, FN at threshold 1. These are files on which a windowed Gaussian of 6,400 rows, moved every
# 100, written from its description, detects the very rows that are counted there.
PUBLISHED = [
    ("realTraffic/TravelTime_387.csv", -1.7959813307852819, 1, 1870, 6, 248),
    ("realAWSCloudwatch/ec2_cpu_utilization_24ae8d.csv", -1.266678759349383, 2, 3015, 11, 400),
    ("realAdExchange/exchange-4_cpm_results.csv", 1.274710362684976, 4, 1230, 3, 160),
    ("realAWSCloudwatch/ec2_network_in_257a54.csv", 0.8606718242697022, 4, 3025, 0, 399),
    ("realKnownCause/rogue_agent_key_hold.csv", -2.44, 0, 1406, 4, 190),
    ("realAdExchange/exchange-3_cpc_results.csv", 2.5026632611866138, 5, 1154, 1, 148),
    ("realAdExchange/exchange-4_cpc_results.csv", 0.2922884634276035, 3, 1228, 4, 162),
    ("realAWSCloudwatch/rds_cpu_utilization_e47b3b.csv", -0.13844919792440225, 2, 3026, 0, 400),
    ("realAdExchange/exchange-3_cpm_results.csv", 0.862098587352162, 1, 1155, 0, 152),
    ("realAWSCloudwatch/elb_request_count_8c0756.csv", -0.13844919792440225, 1, 3026, 0, 401),
    ("realAWSCloudwatch/ec2_cpu_utilization_c6585a.csv", -1.32, 0, 3416, 12, 0),
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
    """1 - the tail probability under a Gaussian of the last `size` values, moved on every `step` rows once full."""
    scores = np.zeros(len(values))
    for row in range(1, len(values)):
        end = row if row <= size else size + (row - size) // step * step
        window = values[max(0, end - size) : end]
        deviation = window.std() or 1e-6
        scores[row] = 1 - norm.sf(abs(values[row] - window.mean()) / deviation)
    return scores


def test_scores_equal_those_that_the_benchmark_publishes(corpus) -> None:
    for name, score, *counts in PUBLISHED:
        file = NabFile(windowed_gaussian(corpus[name].scores), corpus[name].windows)
        whole = [
            file,
            NabFile(np.zeros(100), [(50, 59)]),
        ]  # a window, so that a file without one has a score too
        _, raw, counted = score_nab(whole, 1.0)
        assert raw[0] == pytest.approx(score, abs=1e-9), name
        own = counted[0]
        assert [own.true_positives, own.true_negatives, own.false_positives, own.false_negatives] == counts


def test_the_null_detector_of_the_whole_benchmark(corpus) -> None:
    files = [NabFile(np.zeros(len(file.scores)), file.windows) for file in corpus.values()]
    score, raw, counts = score_nab(files, 1.0)
    assert score == 0.0
    assert sum(raw) == -WINDOWS
    # The totals of results/null/null_standard_scores.csv.
    assert sum(one.true_negatives for one in counts) == 299347
    assert sum(one.false_negatives for one in counts) == 33495
