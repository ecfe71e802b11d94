"""Intrusion detection: NSL-KDD, the 20 % training set, judged on Test+ and Test-21.

    python benchmarks/nsl_kdd.py --out benchmarks/results                     # all of it; goes on where it stopped
    python benchmarks/nsl_kdd.py --quick --out benchmarks/results/quick  # to see that it runs

The protocol, the same for every method:

- 25,192 records to learn from, 22,544 (Test+) and 11,850 (Test-21) to be judged on; attack or not.
- Records carry no host, and counts over the host's last connections as columns, so that each stands alone.
- 15 % of the harmless records are held back from everything. The kinds of attack are dealt into three folds; each of
  three classifiers is spared one fold, so that each kind's scores are known from one that never saw it.
- A threshold is set on these by one of two rules, fixed before the test files were read: "balanced", the best mean of
  quiet harmless records and recall, each kind of attack counting alike (a miss and a false alarm count alike, as in
  accuracy); "1 %", the one that 1 % of the harmless records held back lie above. The first is the one to be compared.
- "unseen" is the recall of attack kinds that the 20 % set does not hold at all, "known" that of the others.

Gradient boosting (scikit-learn) has the same folds, the same rules, and novelty in two ways: an isolation forest of the
harmless records, or the network's own density of them.

Yin et al. 2017 reached 83.28 % on Test+ and 68.55 % on Test-21, from the full training set.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from gatewise.data.records import windows_by_entity
from gatewise.tasks.recipes import intrusion_detector, load_nsl_kdd
from gatewise.tasks.recipes.holding import by_kind, held_by_all
from gatewise.tasks.recipes.scoring import Mixing, logits_of
from gatewise.tasks.recipes.thresholds import balanced_threshold, false_alarm_threshold

try:
    from benchmarks.resumable import Lines, data_folder, spread
except ImportError:
    from resumable import Lines, data_folder, spread

TEXT = ("protocol_type", "service", "flag")
RATE, HELD, MEMBERS = 0.01, 0.15, 3
BOOSTED = ("gradient boosting", "gradient boosting + isolation forest", "gradient boosting + our density")
PARTS = ("test", "test-21")
MEASURES = ("accuracy", "known", "unseen", "false alarms", "accuracy at 1 %", "unseen at 1 %", "AUC")


def main() -> None:
    """Run what is not done yet and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--quick", action="store_true", help="few records and epochs, to see that it runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--cells", nargs="+", default=["lstm"])
    parser.add_argument("--stop-after", type=float, help="seconds after which no further run is begun")
    arguments = parser.parse_args()
    folder = data_folder() / "anomaly-detection" / "nsl-kdd"
    tables = {part: load_nsl_kdd(folder, part) for part in ("train", *PARTS)}
    if arguments.quick:
        tables["train"] = tables["train"].slice(0, 4000)
    kinds = {part: np.array(table.column("label").to_pylist()) for part, table in tables.items()}

    # Test-21 is a part of Test+: every record is scored once.
    both = pd.concat([tables[part].to_pandas() for part in PARTS], ignore_index=True)
    place = both.groupby(list(both.columns), sort=False, dropna=False).ngroup().to_numpy()
    once = pa.Table.from_pandas(both[~both.duplicated()], preserve_index=False)
    cut = np.cumsum([0, *(len(kinds[part]) for part in PARTS)])

    def spread_out(scores: np.ndarray) -> dict:
        return {part: scores[place][cut[i] : cut[i + 1]] for i, part in enumerate(PARTS)}

    def work(cell: str, seed: int) -> dict:
        quick = {"max_epochs": 1, "hidden_size": 16} if arguments.quick else {}
        detector = intrusion_detector(rule="balanced", cell=cell, progress=False, random_state=seed, **quick)
        detector.fit(tables["train"])
        task = Task(tables["train"], once, kinds["train"], seed)
        methods = {f"{cell}{what}": own for what, own in detector_scores(detector, task).items()}
        methods |= boosted(task, methods[f"{cell} density alone"])
        found = {f"{cell} threshold": detector.threshold_}
        for name, (held, scores) in methods.items():
            found |= judged(name, kinds["train"][task.rows], held, spread_out(scores), kinds)
        return found

    lines = Lines(
        arguments.out / "nsl_kdd.jsonl", {"quick": arguments.quick, "rate": RATE, "members": MEMBERS}
    )
    keys = [{"cell": cell, "seed": seed} for cell in arguments.cells for seed in arguments.seeds]
    rows = lines.run(keys, work, stop_after=arguments.stop_after)
    attack = {part: float((kinds[part] != "normal").mean()) for part in PARTS}
    print("\nThe majority class of training, harmless, is right on " +
          ", ".join(f"{1 - share:.3f} of {part}" for part, share in attack.items()))  # fmt: skip
    for part in PARTS:
        print(f"\n{part}\n\n| method | " + " | ".join(MEASURES) + " | runs |")
        print("| --- |" + " ---: |" * (len(MEASURES) + 1))
        names = [
            f"{cell}{what}"
            for cell in arguments.cells
            for what in ("", " classifiers alone", " density alone")
        ]
        for name in (*names, *BOOSTED):
            own = [row for row in rows if row.get(f"{name} {part} accuracy") is not None]
            shown = " | ".join(spread(own, f"{name} {part} {what}") for what in MEASURES)
            print(f"| {name} | {shown} | {len(own)} |")


class Task:
    """One seed's folds, which are the detector's own, and the records to be scored.

    Args:
        train, test: tables.
        kinds: of the training records.
        seed: of the folds.
    """

    def __init__(self, train: pa.Table, test: pa.Table, kinds: np.ndarray, seed: int) -> None:
        self.train, self.test, self.kinds, self.seed = train, test, kinds, seed
        self.bad = kinds != "normal"
        windows = windows_by_entity(train, window=1, leave_out=("label",))
        self.parts = by_kind(windows, kinds, self.bad, HELD, seed, members=MEMBERS)
        common = held_by_all(self.parts)
        self.harmless = common[~self.bad[common]]
        self.new = [part.held[self.bad[part.held]] for part in self.parts]
        # Every record that was held back from somebody: harmless ones first, then fold by fold.
        self.rows = np.concatenate([self.harmless, *self.new])

    def held(self, members: list[np.ndarray]) -> np.ndarray:
        """Of `rows`: the members' mean for harmless ones; for attacks, of the member that never saw the kind.

        Args:
            members: each one's scores of `rows`.
        """
        found, begin = np.mean(members, axis=0), len(self.harmless)
        for own, new in zip(members, self.new, strict=True):
            found[begin : begin + len(new)] = own[begin : begin + len(new)]
            begin += len(new)
        return found


def detector_scores(detector, task: Task) -> dict:
    """Of the whole detector, its classifiers alone and its density alone: of the rows held back, and of the test."""
    scorer = detector.scorer_
    tables = (task.train.take(task.rows), task.test)
    rows, test = (windows_by_entity(own, window=1, leave_out=("label",)).sequences for own in tables)
    held = task.held([logits_of(member.probabilities(rows)) for member in scorer.members])
    mean = np.mean([logits_of(member.probabilities(test)) for member in scorer.members], axis=0)
    strange, novel = scorer.novelty.scores(rows), scorer.novelty.scores(test)
    return {
        "": (scorer.mixing.nats(held, strange), scorer.mixing.nats(mean, novel)),
        " classifiers alone": (held, mean),
        " density alone": (strange, novel),
    }


def boosted(task: Task, density: tuple) -> dict:
    """Gradient boosting with the same folds, alone and with novelty."""
    train, rows, test = (
        table.drop_columns(["label"]).to_pandas()
        for table in (task.train, task.train.take(task.rows), task.test)
    )
    numbered = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    held, mean = [], []
    for number, part in enumerate(task.parts):
        model = make_pipeline(
            make_column_transformer((numbered, list(TEXT)), remainder="passthrough"),
            HistGradientBoostingClassifier(random_state=task.seed + number),
        )
        known = np.setdiff1d(np.arange(len(train)), part.held)
        model.fit(train.iloc[known], task.bad[known])
        held.append(model.decision_function(rows))
        mean.append(model.decision_function(test))
    logits, mean = task.held(held), np.mean(mean, axis=0)
    hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    forest = make_pipeline(
        make_column_transformer((hot, list(TEXT)), remainder="passthrough"),
        IsolationForest(random_state=task.seed),
    )
    forest.fit(train.iloc[np.setdiff1d(np.flatnonzero(~task.bad), task.harmless)])
    found = {BOOSTED[0]: (logits, mean)}
    isolated = (-forest.score_samples(rows), -forest.score_samples(test))
    for name, (strange, novel) in ((BOOSTED[1], isolated), (BOOSTED[2], density)):
        mixing = Mixing.fit(logits, strange, task.bad[task.rows], float(task.bad.mean()))
        found[name] = (mixing.nats(logits, strange), mixing.nats(mean, novel))
    return found


def judged(name: str, own: np.ndarray, held: np.ndarray, scores: dict, kinds: dict) -> dict:
    """A method's numbers under both rules.

    Args:
        name: of the method.
        own: kinds of the rows held back.
        held: their scores.
        scores: test scores by part.
        kinds: by part.
    """
    balanced = balanced_threshold(held, own != "normal", own)
    quiet = false_alarm_threshold(held, own != "normal", RATE)
    found = {f"{name} held false alarms": float((held > balanced)[own == "normal"].mean())}
    shown = set(kinds["train"].tolist())
    for part in PARTS:
        bad = kinds[part] != "normal"
        unseen = bad & ~np.isin(kinds[part], list(shown))
        alarms, few = scores[part] > balanced, scores[part] > quiet
        numbers = {
            "accuracy": (alarms == bad).mean(), "known": alarms[bad & ~unseen].mean(),
            "unseen": alarms[unseen].mean(), "false alarms": alarms[~bad].mean(),
            "accuracy at 1 %": (few == bad).mean(), "known at 1 %": few[bad & ~unseen].mean(),
            "unseen at 1 %": few[unseen].mean(), "false alarms at 1 %": few[~bad].mean(),
            "AUC": roc_auc_score(bad, scores[part]),
        }  # fmt: skip
        found |= {f"{name} {part} {what}": float(value) for what, value in numbers.items()}
    return found


if __name__ == "__main__":
    main()
