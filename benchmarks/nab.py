"""The Numenta Anomaly Benchmark: 58 streams, one setting for all, three seeds.

    python benchmarks/nab.py --out benchmarks/results               # row by row; goes on where it was cut off
    python benchmarks/nab.py --way batch --out benchmarks/results   # whole files at once: the same scores in less time
    python benchmarks/nab.py --files 6 --seeds 0 --out benchmarks/results/quick  # a few files, to see that it runs

The protocol:

- The detector is fitted to a file's probation (its first 15 %, 750 rows at most), without labels, and then fed the
  whole file. What it says of a row depends on that row and those before it, row by row and at once alike; runs that
  were done both ways are compared.
- One setting for all files (SETTING below). It was chosen on the files in TUNED_ON and on nothing else; results are
  shown for all files and for the others alone.
- Scores are NAB's (gatewise.tasks.anomaly.nab), at two thresholds: NAB's own, one for all files, chosen on the labels
  that it is then scored on; and one fixed beforehand (FIXED below), with the alarms that the stream itself gave.
- Beside it, by the same two rules: NAB's windowed Gaussian as it is, the same with the network's rest after an alarm
  (so that what the network adds is told apart from what the rest adds), and the null detector.

Every file and seed is one JSON line; a run that is started again does what is missing. GATEWISE_DATA names the folder
with anomaly-detection/nab/nab-data-labels.tar.gz.
"""

from __future__ import annotations

import argparse
import json
import tarfile
import time
import warnings
from pathlib import Path

import numpy as np
import pyarrow.csv

from gatewise.store import atomic_write
from gatewise.tasks import AnomalyDetector
from gatewise.tasks.anomaly.baselines import windowed_gaussian_scores
from gatewise.tasks.anomaly.nab import PROFILES, NabFile, best_nab, probation, score_nab
from gatewise.tasks.anomaly.onset import Onset

try:
    from benchmarks.machine import describe
    from benchmarks.resumable import Lines, data_folder
except ImportError:
    from machine import describe
    from resumable import Lines, data_folder

# Thresholds fixed beforehand, for the network and for the windowed Gaussian: each its best on the files in TUNED_ON.
FIXED, GAUSSIAN_FIXED = 2.7, 4.3
# The share of the probation after an alarm in which only a higher score counts.
REST = 0.2
SETTING = {
    "method": "forecast", "hidden_size": 24, "lookback": 48, "max_epochs": 12, "patience": 4, "rescale": 3000,
    "tolerance": 0.3, "level": True, "likelihood": "tail", "quiet": REST, "threshold": FIXED,
}  # fmt: skip
TUNED_ON = (
    "realTraffic/speed_7578.csv", "realKnownCause/rogue_agent_key_hold.csv",
    "realAdExchange/exchange-3_cpc_results.csv", "realAdExchange/exchange-2_cpm_results.csv",
    "artificialWithAnomaly/art_daily_flatmiddle.csv",
    "artificialWithAnomaly/art_load_balancer_spikes.csv", "realAWSCloudwatch/ec2_cpu_utilization_24ae8d.csv",
    "realAWSCloudwatch/rds_cpu_utilization_cc0c53.csv", "realAWSCloudwatch/ec2_network_in_257a54.csv",
    "realTraffic/occupancy_6005.csv", "realTraffic/TravelTime_387.csv", "artificialNoAnomaly/art_noisy.csv",
    # From here on: the first files by name of the kinds that the first twelve had few or none of.
    "realTweets/Twitter_volume_AAPL.csv", "realTweets/Twitter_volume_AMZN.csv",
    "realKnownCause/ambient_temperature_system_failure.csv",
    "realKnownCause/cpu_utilization_asg_misconfiguration.csv", "artificialNoAnomaly/art_daily_no_noise.csv",
    "artificialWithAnomaly/art_daily_jumpsdown.csv", "realAWSCloudwatch/ec2_cpu_utilization_53ea38.csv",
    "realAWSCloudwatch/ec2_cpu_utilization_5f5533.csv",
)  # fmt: skip
GAUSSIAN_WINDOW = 6400
OWN, GAUSSIAN, RESTING, NULL = "gatewise", "windowed Gaussian", "windowed Gaussian with the same rest", "null"
Corpus = dict[str, NabFile]


def main() -> None:
    """Run what is missing, then score all that is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--way", choices=("stream", "batch"), default="stream", help="row by row, or files at once"
    )
    parser.add_argument("--files", type=int, help="so many files only, spread over the corpus")
    parser.add_argument("--tuned", action="store_true", help="only the files that the setting is chosen on")
    parser.add_argument("--stop-after", type=float, help="seconds after which no further run is begun")
    arguments = parser.parse_args()
    corpus = load_corpus()
    names = sorted(TUNED_ON) if arguments.tuned else sorted(corpus)
    if arguments.files:
        names = [names[int(place)] for place in np.linspace(0, len(names) - 1, arguments.files)]
    lines = Lines(arguments.out / "nab.jsonl", SETTING)
    keys = [{"file": name, "seed": seed, "way": arguments.way} for seed in arguments.seeds for name in names]
    rows = lines.run(
        keys,
        lambda file, seed, way: run_one(corpus[file].scores, seed, way),
        stop_after=arguments.stop_after,
    )
    runs: dict[int, dict[str, dict]] = {}
    for row in rows:
        runs.setdefault(row["key"]["seed"], {})[row["key"]["file"]] = row
    whole = {seed: found for seed, found in runs.items() if set(found) == set(names)}
    if not whole:
        raise SystemExit("no seed is whole yet; the same command goes on")
    text = markdown(corpus, names, whole) + both_ways(lines.rows)
    atomic_write(arguments.out / "nab.md", text.encode())
    print(text)


def load_corpus() -> Corpus:
    """Every file: its values in the place of scores, and its windows."""
    archive = data_folder() / "anomaly-detection/nab/nab-data-labels.tar.gz"
    if not archive.is_file():
        raise SystemExit(f"{archive} is not there: set GATEWISE_DATA to the folder that holds it")
    files = {}
    with tarfile.open(archive) as tar:
        windows = json.load(tar.extractfile("labels/combined_windows.json"))
        for name, spans in windows.items():
            table = pyarrow.csv.read_csv(tar.extractfile(f"data/{name}"))
            stamps = table.column("timestamp").to_numpy().astype("datetime64[s]")
            # A stamp may stand twice; the first counts, as in NAB.
            places = [
                tuple(int(np.flatnonzero(stamps == np.datetime64(end, "s"))[0]) for end in span)
                for span in spans
            ]
            files[name] = NabFile(table.column("value").to_numpy().astype(float), places)
    return files


def run_one(values: np.ndarray, seed: int, way: str) -> dict:
    """One file and seed: fitted to its probation, then scored, row by row or at once."""
    begun = time.perf_counter()
    detector = AnomalyDetector(random_state=seed, progress=False, device="cpu", **SETTING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # constant files are part of the benchmark
        detector.fit(values[: probation(len(values)), None])
    fitted = time.perf_counter() - begun
    if way == "batch":
        scores = detector.anomaly_scores(values[:, None])
    else:
        stream = detector.stream()
        scores = np.array([stream.step(value).score for value in values])
    return {
        "rows": len(values), "fit_seconds": round(fitted, 2),
        "score_seconds": round(time.perf_counter() - begun - fitted, 2),
        # All other scores are 0: the rest after an alarm lets few pass.
        "peaks": [[int(row), float(f"{scores[row]:.6g}")] for row in np.flatnonzero(scores > 0)],
    }  # fmt: skip


def scores_of(row: dict) -> np.ndarray:
    """All scores of a stored run."""
    scores = np.zeros(row["rows"])
    for place, score in row["peaks"]:
        scores[place] = score
    return scores


def methods_of(corpus: Corpus, names: list[str], runs: dict[int, dict[str, dict]]) -> dict[str, dict]:
    """Scores of every method: gatewise by seed, and the baselines."""
    methods = {}
    for seed, found in runs.items():
        scores = {name: scores_of(found[name]) for name in names}
        methods[f"{OWN}, seed {seed}"] = scores
    plain = {name: windowed_gaussian_scores(corpus[name].scores, GAUSSIAN_WINDOW) for name in names}
    resting = {
        name: Onset(max(1, int(REST * probation(len(scores))))).run(scores) for name, scores in plain.items()
    }
    nothing = {name: np.zeros(len(scores)) for name, scores in plain.items()}
    return methods | {GAUSSIAN: plain, RESTING: resting, NULL: nothing}


def scored(corpus: Corpus, names: list[str], scores: dict, fixed: float) -> dict[str, tuple[float, float]]:
    """Each profile's score at NAB's own threshold and at the one fixed beforehand."""
    files = [NabFile(scores[name], corpus[name].windows) for name in names]
    above = float(np.nextafter(fixed, np.inf))  # the detector alarms above its threshold, NAB at its own
    return {
        profile: (best_nab(files, profile)[1], score_nab(files, above, profile)[0]) for profile in PROFILES
    }


def markdown(corpus: Corpus, names: list[str], runs: dict[int, dict[str, dict]]) -> str:
    """The results as tables, seeds as mean and spread."""
    methods = methods_of(corpus, names, runs)
    lines = [f"{len(names)} files of {len(corpus)}, seeds {', '.join(map(str, runs))}; perfect is 100.", ""]
    unseen = [name for name in names if name not in TUNED_ON]
    tuned = [name for name in names if name in TUNED_ON]
    for title, chosen in (
        ("All files", names),
        ("Files that nothing was chosen on", unseen),
        ("Files that the setting was chosen on", tuned),
    ):
        if any(corpus[name].windows for name in chosen):
            lines += table(corpus, chosen, methods, f"{title} ({len(chosen)})")
    lines += groups(corpus, names, methods)
    rows = [row for found in runs.values() for row in found.values()]
    scored_rows = sum(row["rows"] for row in rows)
    lines += [
        f"A fit took {np.median([row['fit_seconds'] for row in rows]):.1f} s (median), a row to be scored "
        f"{1e3 * sum(row['score_seconds'] for row in rows) / scored_rows:.2f} ms, on a machine under other load.",
        "",
        f"Setting: {', '.join(f'{key}={value!r}' for key, value in SETTING.items())}.",
        "",
        str(describe()["text"]),
        "",
    ]
    return "\n".join(lines)


def table(corpus: Corpus, names: list[str], methods: dict[str, dict], title: str) -> list[str]:
    """One table: methods by profiles, at both thresholds."""
    rows = {
        method: scored(corpus, names, scores, FIXED if method.startswith(OWN) else GAUSSIAN_FIXED)
        for method, scores in methods.items()
    }
    own = [row for method, row in rows.items() if method.startswith(OWN)]
    heads = [f"{profile}, {kind}" for profile in PROFILES for kind in ("NAB's threshold", "fixed")]
    lines = [f"## {title}", "", f"| method | {' | '.join(heads)} |", "| --- " + "| ---: " * len(heads) + "|"]
    cells = [spread([row[profile][kind] for row in own]) for profile in PROFILES for kind in (0, 1)]
    lines.append(f"| gatewise, mean of {len(own)} | {' | '.join(cells)} |")
    for method in (GAUSSIAN, RESTING, NULL):
        cells = [f"{rows[method][profile][kind]:.1f}" for profile in PROFILES for kind in (0, 1)]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    ours = [row["standard"][0] for row in own]
    theirs = rows[RESTING]["standard"][0]
    return [*lines, "", verdict(ours, theirs), ""]


def verdict(ours: list[float], theirs: float) -> str:
    """Whether the network beats the baseline, in words; by less than a point or two deviations over seeds is a tie."""
    gap, room = float(np.mean(ours)) - theirs, max(1.0, 2 * float(np.std(ours)))
    words = "beats" if gap > room else "is no better and no worse than" if gap > -room else "does NOT beat"
    return f"The network {words} the resting windowed Gaussian: {np.mean(ours):.1f} against {theirs:.1f}."


def groups(corpus: Corpus, names: list[str], methods: dict[str, dict]) -> list[str]:
    """Standard profile by group of files, at NAB's one threshold for all: windows found and false alarms, by seed."""
    lines = [
        "## By group, standard profile, at NAB's one threshold for all files", "",
        "| group | files | windows | found | false alarms | score | resting windowed Gaussian: found | false alarms "
        "| score |", "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]  # fmt: skip
    own = [scores for method, scores in methods.items() if method.startswith(OWN)]
    compared = [own, [methods[RESTING]]]
    thresholds = [
        [best_nab([NabFile(scores[name], corpus[name].windows) for name in names])[0] for scores in runs]
        for runs in compared
    ]
    for group in sorted({name.split("/")[0] for name in names}):
        chosen = [name for name in names if name.startswith(f"{group}/")]
        windows = sum(len(corpus[name].windows) for name in chosen)
        cells = []
        for runs, limits in zip(compared, thresholds, strict=True):
            parts = [by_group(corpus, chosen, *one) for one in zip(runs, limits, strict=True)]
            found, false, score = (float(np.mean(column)) for column in zip(*parts, strict=True))
            shown = f"{score:.1f}" if windows else ""
            cells += [f"{found:.1f}", f"{false:.1f}", shown]
        lines.append(f"| {group} | {len(chosen)} | {windows} | {' | '.join(cells)} |")
    return [*lines, "", "A group without a window has no score; its false alarms cost all the same.", ""]


def by_group(corpus: Corpus, names: list[str], scores: dict, threshold: float) -> tuple[int, int, float]:
    """Windows found, false alarms, and the score as if these files were all (0 where they hold no window)."""
    files = [NabFile(scores[name], corpus[name].windows) for name in names]
    found = sum(
        bool((file.scores[max(first, probation(len(file.scores))) : last + 1] >= threshold).any())
        for file in files
        for first, last in file.windows
    )
    if not any(file.windows for file in files):
        return (
            0,
            sum(int((file.scores[probation(len(file.scores)) :] >= threshold).sum()) for file in files),
            0.0,
        )
    score, _, counts = score_nab(files, threshold)
    return found, sum(one.false_positives for one in counts), score


def both_ways(rows: list[dict]) -> str:
    """How far apart the scores of runs are that were done row by row and at once."""
    found: dict[tuple, dict[str, np.ndarray]] = {}
    for row in rows:
        found.setdefault((row["key"]["file"], row["key"]["seed"]), {})[row["key"]["way"]] = scores_of(row)
    pairs = [(one["stream"], one["batch"]) for one in found.values() if len(one) == 2]
    if not pairs:
        return ""
    same = sum(bool(((stream > FIXED) == (batch > FIXED)).all()) for stream, batch in pairs)
    most = max(float(np.abs(stream - batch).max()) for stream, batch in pairs)
    return (
        f"{len(pairs)} runs were done row by row and at once: the same rows alarm in {same} of them, and the scores "
        f"differ by {most:.2g} at most.\n"
    )


def spread(values: list[float]) -> str:
    """Mean and standard deviation."""
    mean = f"{np.mean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.1f}"


if __name__ == "__main__":
    main()
