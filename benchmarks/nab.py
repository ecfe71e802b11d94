"""The Numenta Anomaly Benchmark: 58 streams, one setting for all, as a stream, three seeds.

    python benchmarks/nab.py --out benchmarks/results/nab              # all of it; goes on where it was cut off
    python benchmarks/nab.py --files 6 --seeds 0 --out /tmp/nab        # a few files, to see that it runs

The protocol:

- The detector is fitted to a file's probation (its first 15 %, 750 rows at most), without labels, and then fed
the whole
  file row by row. What it says of a row depends on that row and those before it.
- One setting for all files (SETTING below). It was chosen on the files in TUNED_ON and on nothing else; results are
  shown for all files and for the others alone.
- Scores are NAB's (gatewise.tasks.anomaly.nab), at two thresholds: NAB's own, one for all files, chosen on the labels
  that it is then scored on; and one fixed beforehand, a tail probability of 1 in 100,000 (Ahmad et al. 2017), a score
  of 5.
- Beside it: NAB's windowed Gaussian, and the null detector, by the same two rules.

Every file and seed is one JSON line in a file of its own, written whole or not at all; a run that is started
again does what is missing. GATEWISE_DATA names the folder with anomaly-detection/nab/nab-data-labels.tar.gz.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
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

try:
    from benchmarks.machine import describe
except ImportError:
    from machine import describe

FIXED = 5.0
SETTING = {
    "method": "forecast", "hidden_size": 24, "lookback": 48, "max_epochs": 12, "patience": 4, "rescale": 500,
    "likelihood": (1000, 1), "quiet": 150, "threshold": FIXED,
}  # fmt: skip
TUNED_ON = (
    "realTraffic/speed_7578.csv", "realKnownCause/rogue_agent_key_hold.csv",
    "realAdExchange/exchange-3_cpc_results.csv", "realAdExchange/exchange-2_cpm_results.csv",
    "artificialWithAnomaly/art_daily_flatmiddle.csv",
    "artificialWithAnomaly/art_load_balancer_spikes.csv", "realAWSCloudwatch/ec2_cpu_utilization_24ae8d.csv",
    "realAWSCloudwatch/rds_cpu_utilization_cc0c53.csv", "realAWSCloudwatch/ec2_network_in_257a54.csv",
    "realTraffic/occupancy_6005.csv", "realTraffic/TravelTime_387.csv", "artificialNoAnomaly/art_noisy.csv",
)  # fmt: skip
GAUSSIAN_WINDOW = 6400


def main() -> None:
    """Run what is missing, then score all that is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/nab"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--files", type=int, help="so many files only, spread over the corpus")
    parser.add_argument("--only", nargs="+", help="files whose name holds one of these words")
    arguments = parser.parse_args()
    corpus = load_corpus()
    names = sorted(corpus)
    if arguments.only:
        names = [name for name in names if any(word in name for word in arguments.only)]
    if arguments.files:
        names = [names[int(place)] for place in np.linspace(0, len(names) - 1, arguments.files)]
    digest = hashlib.sha256(json.dumps(SETTING, sort_keys=True).encode()).hexdigest()[:8]
    folder = arguments.out / digest
    runs: dict[int, dict[str, dict]] = {}
    for seed in arguments.seeds:
        for name in names:
            runs.setdefault(seed, {})[name] = run_one(corpus[name], name, seed, folder)
    document = report(corpus, names, runs)
    arguments.out.mkdir(parents=True, exist_ok=True)
    atomic_write(arguments.out / "nab.json", (json.dumps(document, indent=2) + "\n").encode())
    text = markdown(document)
    atomic_write(arguments.out / "nab.md", text.encode())
    print(text)


def load_corpus() -> dict[str, NabFile]:
    """Every file: its values in the place of scores, and its windows."""
    root = os.environ.get("GATEWISE_DATA")
    archive = Path(root or ".").expanduser() / "anomaly-detection/nab/nab-data-labels.tar.gz"
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


def run_one(file: NabFile, name: str, seed: int, folder: Path) -> dict:
    """One file and seed: read if it was done, else done."""
    path = folder / f"seed-{seed}" / (name.replace("/", "--") + ".json")
    if path.is_file():
        return json.loads(path.read_text())
    values, begun = file.scores, time.perf_counter()
    detector = AnomalyDetector(random_state=seed, progress=False, device="cpu", **SETTING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # constant files are part of the benchmark
        detector.fit(values[: probation(len(values)), None])
    fitted = time.perf_counter() - begun
    stream = detector.stream()
    steps = [stream.step(value) for value in values]
    done = {
        "file": name, "seed": seed, "setting": SETTING, "rows": len(values), "fit_seconds": round(fitted, 2),
        "stream_seconds": round(time.perf_counter() - begun - fitted, 2),
        "alarms": [row for row, step in enumerate(steps) if step.alarm],
        "scores": [float(f"{step.score:.7g}") for step in steps],
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, (json.dumps(done) + "\n").encode())
    print(
        f"seed {seed} {name}: {time.perf_counter() - begun:.0f} s, {len(done['alarms'])} alarms", flush=True
    )
    return done


def report(corpus: dict[str, NabFile], names: list[str], runs: dict[int, dict[str, dict]]) -> dict:
    """All scores of all methods, over all files and over those that nothing was chosen on."""
    unseen = [name for name in names if name not in TUNED_ON]
    document: dict = {
        "benchmark": "nab", "files": len(names), "of": len(corpus), "unseen": len(unseen), "seeds": list(runs),
        "setting": SETTING, "tuned_on": list(TUNED_ON), "environment": describe(), "results": {},
    }  # fmt: skip
    for label, chosen in (("all", names), ("unseen", unseen)):
        if not any(corpus[name].windows for name in chosen):
            continue
        rows = {}
        for seed, found in runs.items():
            scores = {name: np.array(found[name]["scores"]) for name in chosen}
            alarms = {name: np.isin(np.arange(found[name]["rows"]), found[name]["alarms"]) for name in chosen}
            rows[f"gatewise, seed {seed}"] = scored(corpus, scores, alarms)
        rows["windowed Gaussian"] = scored(corpus, *gaussian(corpus, chosen))
        nothing = {name: np.zeros(len(corpus[name].scores)) for name in chosen}
        rows["null"] = scored(corpus, nothing, {name: values > 0 for name, values in nothing.items()})
        document["results"][label] = rows
    return document


def gaussian(corpus: dict[str, NabFile], names: list[str]) -> tuple[dict, dict]:
    """NAB's windowed Gaussian, -log10 of the tail probability, and its alarms at the same threshold."""
    scores = {name: windowed_gaussian_scores(corpus[name].scores, GAUSSIAN_WINDOW) for name in names}
    return scores, {name: values > FIXED for name, values in scores.items()}


def scored(corpus: dict[str, NabFile], scores: dict, alarms: dict) -> dict:
    """Each profile's score at NAB's own threshold and at the one fixed beforehand."""
    files = [NabFile(scores[name], corpus[name].windows) for name in scores]
    fixed = [NabFile(alarms[name].astype(float), corpus[name].windows) for name in scores]
    result = {}
    for profile in PROFILES:
        threshold, best = best_nab(files, profile)
        result[profile] = {
            "nab_threshold": best,
            "threshold": threshold if np.isfinite(threshold) else None,
            "fixed": score_nab(fixed, 1.0, profile)[0],
        }
    return result


def markdown(document: dict) -> str:
    """The results as tables, seeds as mean and spread."""
    lines = ["# NAB", ""]
    part = (
        ""
        if document["files"] == document["of"]
        else f" A part of the corpus: {document['files']} files of {document['of']}."
    )
    lines += [f"Perfect is 100, null is 0.{part}", ""]
    for label, rows in document["results"].items():
        count = document["files"] if label == "all" else document["unseen"]
        title = "All files" if label == "all" else "Files that no setting was chosen on"
        lines += [
            f"## {title} ({count})",
            "",
            "| method | "
            + " | ".join(f"{p}, NAB's threshold | {p}, fixed beforehand" for p in PROFILES)
            + " |",
            "| --- " + "| ---: | ---: " * len(PROFILES) + "|",
        ]
        own = [row for name, row in rows.items() if name.startswith("gatewise")]
        cells = [spread([row[p][key] for row in own]) for p in PROFILES for key in ("nab_threshold", "fixed")]
        lines.append(f"| gatewise, mean of {len(own)} seed(s) | " + " | ".join(cells) + " |")
        for name in ("windowed Gaussian", "null"):
            cells = [f"{rows[name][p][key]:.1f}" for p in PROFILES for key in ("nab_threshold", "fixed")]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        ours = float(np.mean([row["standard"]["nab_threshold"] for row in own]))
        theirs = rows["windowed Gaussian"]["standard"]["nab_threshold"]
        words = "beats" if ours > theirs else "does NOT beat"
        lines += ["", f"The network {words} the windowed Gaussian: {ours:.1f} against {theirs:.1f}.", ""]
    setting = ", ".join(f"{key}={value!r}" for key, value in document["setting"].items())
    lines += [f"Setting: {setting}.", "", document["environment"]["text"], ""]
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    """Mean and standard deviation."""
    mean = f"{np.mean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.1f}"


if __name__ == "__main__":
    main()
