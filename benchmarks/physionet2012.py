"""In-hospital mortality from 48 hours of intensive care: PhysioNet Challenge 2012, set a.

    python benchmarks/physionet2012.py --out benchmarks/results               # all of it; goes on where it stopped
    python benchmarks/physionet2012.py --quick --out benchmarks/results/quick  # to see that it runs

The protocol, the same for every method:

- 4,000 stays, 554 deaths. Five stratified folds, fixed; area under the ROC curve on each fold's test part.
- A stay is a sequence of the hours in which something was measured: means of what came within the hour, NaN where
  nothing came; values below zero (the set's sign for "not measured") are NaN. Age, gender, height and type of unit
  stand in every row.
- 15 % of each fold's training part is held back by the classifier to stop early and to calibrate; nothing of the test
  part enters any choice.
- Beside it, logistic regression and gradient boosting (scikit-learn) on each variable's first, last, mean, least,
  largest, deviation and count; the regression's strength is chosen inside the training part. The regression also on
  these variables' normal scores (scikit-learn's QuantileTransformer), which is what scaling="rank" does to a sequence.

GRU-D reached 0.8424 in Che et al. 2018.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import tarfile
from pathlib import Path

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from gatewise.data.sequences import Sequences, sequences_from_arrays
from gatewise.tasks import SequenceClassifier

try:
    from benchmarks.resumable import Lines, data_folder, spread
except ImportError:
    from resumable import Lines, data_folder, spread

STATIC = ("Age", "Gender", "Height", "ICUType")
FOLDS = 5
COLUMNS = ("auc", "average_precision", "log_loss", "calibration_error")
# Chosen inside the first fold's training part, by three inner folds; the page of results tells what was tried.
MODELS = {
    "gru with summary": {"cell": "gru", "summary": True},
    "gru with summary, 3 members": {"cell": "gru", "summary": True, "members": 3},
    "gru, told what is missing": {"cell": "gru"},
    "gru_d": {"cell": "gru_d"},
}
SHARED = {"missing": "mask", "scaling": "rank", "hidden_size": 32, "dropout": 0.5, "learning_rate": 2e-3,
          "batch_size": 64, "max_epochs": 30, "patience": 5}  # fmt: skip
BASELINES = (
    "gradient boosting",
    "logistic regression",
    "logistic regression, normal scores",
    "majority class",
)


def load(folder: Path) -> tuple[Sequences, np.ndarray]:
    """The stays as hourly sequences, and who died."""
    with gzip.open(folder / "Outcomes-a.txt.gz", "rt", encoding="utf-8") as file:
        died = {row["RecordID"]: int(row["In-hospital_death"]) for row in csv.DictReader(file)}
    stays, names = {}, set()
    with tarfile.open(folder / "set-a.tar.xz") as archive:
        for member in archive:
            if not member.isfile() or not member.name.endswith(".txt"):
                continue
            text = archive.extractfile(member).read().decode()
            rows = list(csv.reader(io.StringIO(text)))[1:]
            stays[Path(member.name).stem] = rows
            names |= {row[1] for row in rows if row[1] not in ("RecordID", "")}
    channels = sorted(names)
    place = {name: index for index, name in enumerate(channels)}
    values, times, labels = [], [], []
    for stay in sorted(stays):
        own, hours = hourly(stays[stay], place)
        values.append(own)
        times.append(hours)
        labels.append(died[stay])
    return sequences_from_arrays(values, "mask", times=times), np.array(labels)


def hourly(rows: list[list[str]], place: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Means of what came within each hour, for the hours in which something came."""
    sums: dict[int, np.ndarray] = {}
    counts: dict[int, np.ndarray] = {}
    for clock, name, text in rows:
        if name not in place or float(text) < 0:
            continue
        hours, minutes = clock.split(":")
        hour = min(int(hours) + (int(minutes) >= 60), 48)
        if hour not in sums:
            sums[hour], counts[hour] = np.zeros(len(place)), np.zeros(len(place))
        sums[hour][place[name]] += float(text)
        counts[hour][place[name]] += 1
    hours = np.array(sorted(sums) or [0])
    values = np.full((len(hours), len(place)), np.nan)
    for index, hour in enumerate(hours):
        if hour in sums:
            seen = counts[hour] > 0
            values[index, seen] = sums[hour][seen] / counts[hour][seen]
    for name in STATIC:
        column = values[:, place[name]]
        known = column[~np.isnan(column)]
        column[:] = known[0] if len(known) else np.nan
    return values, hours.astype(float)


def summary(sequences: Sequences) -> np.ndarray:
    """First, last, mean, least, largest, deviation and count of each variable."""
    found = []
    for piece in sequences.split(sequences.values):
        seen = ~np.isnan(piece)
        count = seen.sum(axis=0)
        some = np.maximum(count, 1)
        mean = np.where(count > 0, np.nansum(piece, axis=0) / some, np.nan)
        spread_ = np.sqrt(np.nansum((piece - mean) ** 2, axis=0) / some)
        columns = np.arange(piece.shape[1])
        first = piece[seen.argmax(axis=0), columns]
        last = piece[len(piece) - 1 - seen[::-1].argmax(axis=0), columns]
        least = np.where(count > 0, np.where(seen, piece, np.inf).min(axis=0), np.nan)
        largest = np.where(count > 0, np.where(seen, piece, -np.inf).max(axis=0), np.nan)
        found.append(np.concatenate([first, last, mean, least, largest, spread_, count]))
    return np.stack(found)


def main() -> None:
    """Run what is not done yet and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--quick", action="store_true", help="few stays and epochs, to see that it runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--no-baselines", action="store_true", help="the classifier alone")
    parser.add_argument("--stop-after", type=float, help="seconds after which no further run is begun")
    arguments = parser.parse_args()
    sequences, died = load(data_folder() / "healthcare" / "physionet2012")
    if arguments.quick:
        chosen = np.random.default_rng(0).permutation(len(died))[:600]
        sequences, died = sequences.take(chosen), died[chosen]
    features = summary(sequences)
    folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(features, died))

    def work(method: str, fold: int, seed: int) -> dict:
        train, test = folds[fold]
        told = {}
        if method in BASELINES:
            probability = baseline(method, features[train], died[train], features[test])
        else:
            quick = {"max_epochs": 3, "hidden_size": 16} if arguments.quick else {}
            model = SequenceClassifier(
                **{**SHARED, **MODELS[method], **quick}, random_state=seed, progress=False
            )
            model.fit(sequences.take(train), died[train])
            probability = model.predict_proba(sequences.take(test))[:, 1]
            told = {"epochs": len(model.history_), "temperature": model.temperature_}
        said = np.clip(probability, 1e-6, 1 - 1e-6)
        return {
            "auc": float(roc_auc_score(died[test], probability)),
            "average_precision": float(average_precision_score(died[test], probability)),
            "log_loss": float(log_loss(died[test], said)),
            "calibration_error": calibration_error(probability, died[test]),
            **told,
        }

    lines = Lines(
        arguments.out / "physionet2012.jsonl", {"quick": arguments.quick, "shared": SHARED, "models": MODELS}
    )
    keys = [] if arguments.no_baselines else [
        {"method": one, "fold": fold, "seed": 0} for one in BASELINES for fold in range(FOLDS)
    ]  # fmt: skip
    keys += [{"method": one, "fold": fold, "seed": seed} for one in arguments.models for seed in arguments.seeds
             for fold in range(FOLDS)]  # fmt: skip
    rows = lines.run(keys, work, stop_after=arguments.stop_after)
    print("\n| method | AUC | average precision | log loss | calibration error | runs |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for method in dict.fromkeys(key["method"] for key in keys):
        own = [row for row in rows if row["key"]["method"] == method]
        numbers = " | ".join(spread(own, name) for name in COLUMNS)
        print(f"| {method} | {numbers} | {len(own)} |")


def calibration_error(probability: np.ndarray, died: np.ndarray, bins: int = 10) -> float:
    """Mean distance of stated probability and share that died, in bins of equally many."""
    order = np.array_split(np.argsort(probability, kind="stable"), bins)
    return float(sum(abs(probability[one].mean() - died[one].mean()) * len(one) for one in order) / len(died))


def baseline(method: str, train: np.ndarray, died: np.ndarray, test: np.ndarray) -> np.ndarray:
    """The probability of death by a method that reads summaries."""
    if method == "majority class":
        return np.full(len(test), died.mean())
    if method == "gradient boosting":
        model = HistGradientBoostingClassifier(learning_rate=0.05, early_stopping=True, random_state=0)
    else:
        scores = [QuantileTransformer(n_quantiles=101, output_distribution="normal", random_state=0)]
        filled = SimpleImputer(strategy="median", keep_empty_features=True)
        steps = [*(scores if "scores" in method else []), filled, StandardScaler()]
        whole = make_pipeline(*steps, LogisticRegression(max_iter=500))
        strengths = {"logisticregression__C": np.logspace(-4, -1, 7)}
        model = GridSearchCV(whole, strengths, cv=4, scoring="roc_auc")
    return model.fit(train, died).predict_proba(test)[:, 1]


if __name__ == "__main__":
    main()
