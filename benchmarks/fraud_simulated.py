"""Fraud on SYNTHETIC card transactions: a recurrent network beside gradient boosting on window features.

    python benchmarks/fraud_simulated.py --out benchmarks/results             # all of it; goes on where it stopped
    python benchmarks/fraud_simulated.py --quick --out benchmarks/results/quick  # to see that it runs

The transactions are drawn by `gatewise.tasks.recipes.simulate_transactions`; nobody ever paid them, and what is reached
here says nothing of any bank's data. The protocol, the same for every method:

- 1,500 cards over 60 days; cards 0 to 999 to learn from, the others to be judged on. Whole cards are held back from
  the former to stop early and to calibrate.
- Both methods are told whether a card used a merchant or a country before. Gradient boosting (scikit-learn) reads
  counts and sums over the last hour, day and week as well, and is calibrated on the same share of held-back cards.
- An alarm costs 10, a missed fraud its amount; an alarm is raised where probability times amount is above 10.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator

from gatewise.tasks.recipes import fraud_detector, simulate_transactions, window_features, with_seen_before

try:
    from benchmarks.resumable import Lines, spread
except ImportError:
    from resumable import Lines, spread

ALARM_COST, HELD = 10.0, 0.15
MODELS = {"gru": {"cell": "gru"}, "lstm": {"cell": "lstm"}}
BASELINES = ("never an alarm", "gradient boosting")


def main() -> None:
    """Run what is not done yet and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--quick", action="store_true", help="few cards and epochs, to see that it runs")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the transactions and the models"
    )
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--stop-after", type=float, help="seconds after which no further run is begun")
    arguments = parser.parse_args()
    cards = 150 if arguments.quick else 1500
    drawn: dict[int, tuple] = {}

    def tables(seed: int) -> tuple:
        if seed not in drawn:
            table = with_seen_before(simulate_transactions(cards=cards, days=60, random_state=seed))
            number = np.array([int(name[5:]) for name in table.column("card").to_pylist()])
            drawn[seed] = table.filter(number < cards * 2 // 3), table.filter(number >= cards * 2 // 3)
        return drawn[seed]

    def work(method: str, seed: int) -> dict:
        train, test = tables(seed)
        bad = np.array(test.column("label").to_pylist()) != "normal"
        amounts = test.column("amount").to_numpy()
        if method == "never an alarm":
            scores = np.zeros(len(bad))
        elif method == "gradient boosting":
            scores = boosting(train, test, seed)
        else:
            quick = {"max_epochs": 3, "hidden_size": 16} if arguments.quick else {}
            detector = fraud_detector(
                alarm_cost=ALARM_COST, progress=False, random_state=seed, **{**MODELS[method], **quick}
            )
            scores = detector.fit(train).predict_proba(test)
        from gatewise.tasks.recipes.evaluation import measure_alarms

        at = (50, 100, int(bad.sum()))
        found = measure_alarms(scores, scores * amounts > ALARM_COST, bad, amounts, ALARM_COST, at)
        kinds = np.array(test.column("label").to_pylist())
        order = np.argsort(-scores, kind="stable")[: int(bad.sum())]
        return {
            "average_precision": found.average_precision, "auc": found.auc, "recall": found.recall,
            "precision": found.precision, "cost": found.cost, "fraud": int(bad.sum()), "records": len(bad),
            **{f"precision at {name}": value for name, value in
               zip(("50", "100", "as many as frauds"), found.precision_at.values(), strict=True)},
            **{f"recall of {kind} among these": float(np.isin(np.flatnonzero(kinds == kind), order).mean())
               for kind in np.unique(kinds[bad])},
        }  # fmt: skip

    lines = Lines(
        arguments.out / "fraud_simulated.jsonl", {"quick": arguments.quick, "models": MODELS, "cards": cards}
    )
    keys = [
        {"method": one, "seed": seed} for one in (*BASELINES, *arguments.models) for seed in arguments.seeds
    ]
    rows = lines.run(keys, work, stop_after=arguments.stop_after)
    names = ("average_precision", "precision at 50", "precision at 100", "recall", "precision", "cost")
    print("\nSYNTHETIC transactions.\n\n| method | " + " | ".join(names) + " | runs |")
    print("| --- |" + " ---: |" * (len(names) + 1))
    for method in dict.fromkeys(key["method"] for key in keys):
        own = [row for row in rows if row["key"]["method"] == method]
        print(f"| {method} | " + " | ".join(spread(own, name) for name in names) + f" | {len(own)} |")


def boosting(train, test, seed: int) -> np.ndarray:
    """Calibrated probabilities by gradient boosting on window features."""
    features, known = window_features(train)
    bad = np.array(train.column("label").to_pylist()) != "normal"
    names = np.array(train.column("card").to_pylist())
    cards = np.unique(names)
    held = np.isin(names, np.random.default_rng(seed).permutation(cards)[: round(HELD * len(cards))])
    model = HistGradientBoostingClassifier(random_state=seed, learning_rate=0.05).fit(
        features[~held], bad[~held]
    )
    if bad[held].any():
        model = CalibratedClassifierCV(FrozenEstimator(model), method="sigmoid").fit(
            features[held], bad[held]
        )
    return model.predict_proba(window_features(test, known=known)[0])[:, 1]


if __name__ == "__main__":
    main()
