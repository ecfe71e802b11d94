"""Which activity is it? AReM (radio signals of worn sensors) and a smartphone's accelerometer and gyroscope.

    python benchmarks/activity.py --out benchmarks/results                    # all of it; goes on where it stopped
    python benchmarks/activity.py --quick --out benchmarks/results/quick  # to see that it runs

The protocol, the same for every method:

- AReM (Palumbo et al. 2016): 88 recordings of 480 steps, six channels, seven activities; five folds over recordings
  (it is not told who wore the sensors, so that recordings, and not subjects, are held out).
- Smartphone (Matey-Sanz et al. 2023): 23 subjects, five activities, windows of 64 samples (about three seconds), every
  32; a window's label is its most frequent one. Five folds over subjects: nobody is in both parts.
- Accuracy and macro F1 on each fold's test part. The classifier holds back 15 % of the training part, whole subjects
  (or recordings), to stop early. Gradient boosting (scikit-learn) reads mean, deviation, least, largest, quartiles and
  mean change of each channel.
"""

from __future__ import annotations

import argparse
import csv
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedGroupKFold

from gatewise.tasks import SequenceClassifier

try:
    from benchmarks.resumable import Lines, data_folder, spread
except ImportError:
    from resumable import Lines, data_folder, spread

FOLDS, WINDOW, STRIDE = 5, 64, 32
MODELS = {
    "lstm with summary": {"cell": "lstm", "pooling": "mean", "summary": True},
    "cnn, then lstm, with summary": {"cell": "lstm", "architecture": "cnn", "filters": 32, "pooling": "mean",
                                     "summary": True},
    "lstm": {"cell": "lstm", "pooling": "mean"},
    "lstm-fcn": {"cell": "lstm", "architecture": "fcn", "filters": 64, "dropout": 0.5},
    "gru, both directions, attention": {"cell": "gru", "bidirectional": True, "pooling": "attention"},
}  # fmt: skip
# An epoch of the smartphone's windows has some twenty times the steps of one of AReM's.
SHARED = {"hidden_size": 32, "dropout": 0.3, "max_epochs": 30, "patience": 6}
OF_SET = {"arem": {}, "smartphone": {"max_epochs": 12, "patience": 3}}
BASELINES = ("majority class", "gradient boosting")


def arem(folder: Path) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Recordings, activities, and the recording's number as its group."""
    values, labels = [], []
    for name, text in _csv_files(folder / "arem" / "arem.tar.gz"):
        rows = [row for row in csv.reader(io.StringIO(text)) if row and row[0].strip().isdigit()]
        # bending2/dataset4 of the mirror holds time and values in one field, divided by blanks.
        fields = [row[1].split()[1:] if " " in row[1].strip() else row[2:8] for row in rows]
        values.append(np.array(fields, dtype=float))
        labels.append(Path(name).parent.name)
    return values, np.array(labels), np.arange(len(values))


def smartphone(folder: Path) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Windows, activities and subjects."""
    values, labels, subjects = [], [], []
    for name, text in _csv_files(folder / "geotec-sp-sw" / "smartphone.tar.xz"):
        if not name.endswith("_sp.csv"):
            continue
        rows = list(csv.DictReader(io.StringIO(text)))
        own = np.array(
            [[float(row[f"{axis}_{kind}"]) for kind in ("acc", "gyro") for axis in "xyz"] for row in rows]
        )
        named = np.array([row["label"] for row in rows])
        for begin in range(0, len(rows) - WINDOW + 1, STRIDE):
            kinds, counts = np.unique(named[begin : begin + WINDOW], return_counts=True)
            values.append(own[begin : begin + WINDOW])
            labels.append(str(kinds[counts.argmax()]))
            subjects.append(Path(name).stem.split("_")[0])
    return values, np.array(labels), np.array(subjects)


def _csv_files(archive: Path) -> Iterator[tuple[str, str]]:
    with tarfile.open(archive) as files:
        for member in sorted(files.getmembers(), key=lambda one: one.name):
            if member.isfile() and member.name.endswith(".csv"):
                yield member.name, files.extractfile(member).read().decode()


def summary(values: list[np.ndarray]) -> np.ndarray:
    """Mean, deviation, least, largest, quartiles and mean change of each channel."""
    return np.stack(
        [
            np.concatenate(
                [one.mean(0), one.std(0), one.min(0), one.max(0), *np.quantile(one, (0.25, 0.5, 0.75), axis=0),
                 np.abs(np.diff(one, axis=0)).mean(0)]
            )
            for one in values
        ]
    )  # fmt: skip


def main() -> None:
    """Run what is not done yet and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--quick", action="store_true", help="two epochs on a part, to see that it runs")
    parser.add_argument("--sets", nargs="+", default=["arem", "smartphone"], choices=["arem", "smartphone"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--stop-after", type=float, help="seconds after which no further run is begun")
    arguments = parser.parse_args()
    folder = data_folder() / "activity-recognition"
    loaded: dict[str, tuple] = {}

    def data(name: str) -> tuple:
        if name not in loaded:
            values, labels, groups = {"arem": arem, "smartphone": smartphone}[name](folder)
            if arguments.quick:
                step = 1 if name == "arem" else 20
                values, labels, groups = values[::step], labels[::step], groups[::step]
            splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
            folds = list(splitter.split(np.zeros(len(labels)), labels, groups))
            loaded[name] = values, labels, groups, summary(values), folds
            print(
                f"{name}: {len(labels):,} sequences, {len(np.unique(groups))} groups, {len(np.unique(labels))} classes"
            )
        return loaded[name]

    def work(set: str, method: str, fold: int, seed: int) -> dict:
        values, labels, groups, features, folds = data(set)
        train, test = folds[fold]
        if method == "majority class":
            names, counts = np.unique(labels[train], return_counts=True)
            said = np.full(len(test), names[counts.argmax()])
        elif method == "gradient boosting":
            model = HistGradientBoostingClassifier(random_state=seed, max_iter=200, early_stopping=False)
            said = model.fit(features[train], labels[train]).predict(features[test])
        else:
            quick = {"max_epochs": 2, "hidden_size": 16} if arguments.quick else {}
            model = SequenceClassifier(
                **{**SHARED, **OF_SET[set], **MODELS[method], **quick}, random_state=seed, progress=False
            )
            model.fit([values[one] for one in train], labels[train], groups=groups[train])
            said = model.predict([values[one] for one in test])
        return {
            "accuracy": float((said == labels[test]).mean()),
            "macro_f1": float(f1_score(labels[test], said, average="macro", zero_division=0)),
        }

    settings = {
        "quick": arguments.quick,
        "shared": SHARED,
        "of_set": OF_SET,
        "models": MODELS,
        "window": WINDOW,
        "stride": STRIDE,
    }
    lines = Lines(arguments.out / "activity.jsonl", settings)
    keys = [
        {"set": name, "method": one, "fold": fold, "seed": seed}
        for name in arguments.sets
        for one in (*BASELINES, *arguments.models)
        for seed in (arguments.seeds if one not in BASELINES else [0])
        for fold in range(FOLDS)
    ]
    rows = lines.run(keys, work, stop_after=arguments.stop_after)
    print("\n| set | method | accuracy | macro F1 | runs |\n| --- | --- | ---: | ---: | ---: |")
    for name, method in dict.fromkeys((key["set"], key["method"]) for key in keys):
        own = [row for row in rows if row["key"]["method"] == method and row["key"]["set"] == name]
        print(f"| {name} | {method} | {spread(own, 'accuracy')} | {spread(own, 'macro_f1')} | {len(own)} |")


if __name__ == "__main__":
    main()
