"""Does a stock rise or fall the next day? ACL18, 88 stocks, by the classifier of sequences.

    python benchmarks/stock_movement.py --out benchmarks/results              # all of it; goes on where it stopped
    python benchmarks/stock_movement.py --quick --out benchmarks/results/quick  # to see that it runs

The protocol of Feng et al. 2019 (arXiv:1810.09936), the same for every method:

- A day is to be told from the days before it: rises of at least 0.55 % against falls of at least 0.5 %; smaller moves
  count for nobody. Fitted to the days from 2014-01-02, stopped and chosen by those from 2015-08-03, judged on those
  from 2015-10-01 to the end of 2015.
- Eleven features of each of the last days, as the authors prepared them.
- Ten seeds. Intervals by bootstrap over whole days, since stocks move together.

Published there: LSTM 53.18 % and MCC 0.067; attentive LSTM 54.90 % and 0.104.
"""

from __future__ import annotations

import argparse
import tarfile
from pathlib import Path

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import matthews_corrcoef
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gatewise.tasks import SequenceClassifier

try:
    from benchmarks.resumable import Lines, data_folder, spread
except ImportError:
    from resumable import Lines, data_folder, spread

STARTS = ("2014-01-02", "2015-08-03", "2015-10-01", "2016-01-01")
ABSENT = -123320.0  # values below this are the authors' sign for days that are not there
# The first was chosen on the validation part (docs/results/stock-movement.md); the others have the sizes and lags that
# the authors give for theirs.
MODELS = {
    "lstm with attention, lag 10": {"cell": "lstm", "hidden_size": 8, "pooling": "attention", "lag": 10},
    "lstm with attention, lag 5": {"cell": "lstm", "hidden_size": 4, "pooling": "attention", "lag": 5},
    "lstm, lag 10": {"cell": "lstm", "hidden_size": 32, "lag": 10},
}
SHARED = {"dropout": 0.3, "weight_decay": 1.0, "learning_rate": 3e-3, "max_epochs": 12, "patience": 12,
          "batch_size": 512}  # fmt: skip
BASELINES = ("majority class", "logistic regression", "gradient boosting")
WORTH = (
    "What that is worth: the labels leave out small moves, which nobody knows beforehand; no cost of trading is "
    "counted; the test is one quarter of 2015. Nothing here says that money can be made."
)


def load(archive: Path, lag: int) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Part -> windows (samples, lag, features), whether the day after them rose, and which day it was."""
    tables, dates = [], []
    with tarfile.open(archive) as files:
        for member in sorted(files.getmembers(), key=lambda one: one.name):
            if not member.name.endswith(".csv"):
                continue
            text = files.extractfile(member).read().decode()
            if member.name.endswith("trading_dates.csv"):
                dates = text.split()
            else:
                tables.append(np.array([line.split(",") for line in text.split()], dtype=float))
    edges = [next(i for i, date in enumerate([*dates, "9999"]) if date >= start) for start in STARTS]
    found = {}
    for part, begin, end in zip(("train", "validation", "test"), edges, edges[1:], strict=False):
        windows, rose, days = [], [], []
        for table in tables:
            for day in range(max(begin, lag), min(end, len(table))):
                past = table[day - lag : day, :-2]
                if abs(table[day, -2]) > 1e-8 and table[day, -2] > ABSENT and past.min() > ABSENT:
                    windows.append(past)
                    rose.append(table[day, -2] > 0)
                    days.append(day)
        found[part] = np.array(windows), np.array(rose).astype(int), np.array(days)
    return found


def main() -> None:
    """Run what is not done yet and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--quick", action="store_true", help="two epochs, to see that it runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--stop-after", type=float, help="seconds after which no further run is begun")
    arguments = parser.parse_args()
    archive = data_folder() / "time-series-forecasting/stock-movement-acl18-kdd17/acl18-ourpped.tar.xz"
    cached: dict[int, dict] = {}

    def parts(lag: int) -> dict:
        if lag not in cached:
            cached[lag] = load(archive, lag)
            print(f"lag {lag}: " + ", ".join(f"{part} {len(one[1]):,}" for part, one in cached[lag].items()))
        return cached[lag]

    def work(method: str, seed: int) -> dict:
        settings = dict(MODELS.get(method, {"lag": 10}))
        data = parts(settings.pop("lag"))
        (X, y, _), (Xv, yv, _), (Xt, yt, days) = (data[part] for part in ("train", "validation", "test"))
        if method in BASELINES:
            said = baseline(method, X, y, Xv, yv, Xt, seed)
            return {"accuracy": float((said == yt).mean()), "mcc": float(matthews_corrcoef(yt, said))}
        quick = {"max_epochs": 2} if arguments.quick else {}
        model = SequenceClassifier(**{**SHARED, **settings, **quick}, random_state=seed, progress=False)
        evaluation = model.fit(X, y, validation=(Xv, yv)).evaluate(Xt, yt, groups=days)
        own = evaluation.scores[evaluation.model]
        accuracy = evaluation.interval(lambda a, b: float((a == b).mean()), draws=500)
        correlation = evaluation.interval(lambda a, b: float(matthews_corrcoef(a, b)), draws=500)
        return {"accuracy": own.accuracy, "mcc": own.mcc, "auc": own.auc, "accuracy_interval": accuracy,
                "mcc_interval": correlation, "verdict": evaluation.verdict}  # fmt: skip

    lines = Lines(
        arguments.out / "stock-movement.jsonl", {"quick": arguments.quick, "shared": SHARED, "models": MODELS}
    )
    keys = [{"method": one, "seed": 0} for one in BASELINES]
    keys += [{"method": one, "seed": seed} for one in arguments.models for seed in arguments.seeds]
    rows = lines.run(keys, work, stop_after=arguments.stop_after)
    print("\n| method | accuracy | MCC | 95 % of days, accuracy | 95 % of days, MCC | runs |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for method in dict.fromkeys(key["method"] for key in keys):
        own = [row for row in rows if row["key"]["method"] == method]
        ranges = []
        for name in ("accuracy_interval", "mcc_interval"):
            pairs = np.array([row[name] for row in own if name in row])
            ranges.append("" if not len(pairs) else "{:.3f} to {:.3f}".format(*pairs.mean(axis=0)))
        print(
            f"| {method} | {spread(own, 'accuracy')} | {spread(own, 'mcc')} | {' | '.join(ranges)} | {len(own)} |"
        )
    print(f"\nThe intervals are means over the seeds. {WORTH}")


def baseline(
    method: str, X: np.ndarray, y: np.ndarray, Xv: np.ndarray, yv: np.ndarray, Xt: np.ndarray, seed: int
) -> np.ndarray:
    """What a method that reads the window as one row says."""
    flat, flat_v, flat_t = (one.reshape(len(one), -1) for one in (X, Xv, Xt))
    if method == "majority class":
        return np.full(len(Xt), int(y.mean() > 0.5))
    if method == "logistic regression":
        regressions = [
            make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000)).fit(flat, y)
            for strength in np.logspace(-5, 0, 6)
        ]
        return max(regressions, key=lambda one: one.score(flat_v, yv)).predict(flat_t)
    options = [
        HistGradientBoostingClassifier(
            learning_rate=0.05, max_iter=rounds, max_leaf_nodes=leaves, random_state=seed
        )
        for rounds in (50, 150)
        for leaves in (7, 31)
    ]
    fitted = [one.fit(flat, y) for one in options]
    return max(fitted, key=lambda one: one.score(flat_v, yv)).predict(flat_t)


if __name__ == "__main__":
    main()
