"""Intrusion detection: NSL-KDD, the 20 % training set, judged on Test+ and Test-21.

    python benchmarks/nsl_kdd.py --out benchmarks/results                     # all of it; goes on where it stopped
    python benchmarks/nsl_kdd.py --quick --out benchmarks/results/quick  # to see that it runs

The protocol, the same for every method:

- 25,192 records to learn from, 22,544 (Test+) and 11,850 (Test-21) to be judged on; attack or not.
- Records carry no host, and counts over the host's last connections as columns, so that each stands alone.
- 15 % of the attack kinds and 15 % of the harmless records are held back, to stop early, to calibrate and to set the
  threshold: the one that 1 % of the harmless ones lie above. The same rule for every method, fixed beforehand.
- "unseen" is the recall of attack kinds that the 20 % set does not hold at all, "known" that of the others.

Yin et al. 2017 reached 83.28 % on Test+ and 68.55 % on Test-21, from the full training set.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from gatewise.tasks.recipes import intrusion_detector, load_nsl_kdd

try:
    from benchmarks.resumable import Lines, data_folder, spread
except ImportError:
    from resumable import Lines, data_folder, spread

TEXT = ("protocol_type", "service", "flag")
RATE = 0.01
MODELS = {"lstm": {"cell": "lstm"}, "gru": {"cell": "gru"}}
BASELINES = ("majority class", "gradient boosting")


def main() -> None:
    """Run what is not done yet and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--quick", action="store_true", help="few records and epochs, to see that it runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--stop-after", type=float, help="seconds after which no further run is begun")
    arguments = parser.parse_args()
    folder = data_folder() / "anomaly-detection" / "nsl-kdd"
    tables = {part: load_nsl_kdd(folder, part) for part in ("train", "test", "test-21")}
    if arguments.quick:
        tables["train"] = tables["train"].slice(0, 4000)
    kinds = {part: np.array(table.column("label").to_pylist()) for part, table in tables.items()}
    # Kinds that the training file does not hold: these are unseen for every method.
    shown = set(kinds["train"].tolist())

    def numbers(part: str, scores: np.ndarray, threshold: float) -> dict:
        own = kinds[part]
        bad, alarms = own != "normal", scores > threshold
        unseen = bad & ~np.isin(own, list(shown))
        return {
            f"{part} accuracy": float((alarms == bad).mean()),
            f"{part} accuracy at 0.5": float(((scores > 0.5) == bad).mean()),
            f"{part} known": float(alarms[bad & ~unseen].mean()),
            f"{part} unseen": float(alarms[unseen].mean()),
            f"{part} false alarms": float(alarms[~bad].mean()),
        }

    def work(method: str, seed: int) -> dict:
        if method == "majority class":
            attack = float((kinds["train"] != "normal").mean() > 0.5)
            found = {part: np.full(len(kinds[part]), attack) for part in ("test", "test-21")}
            threshold = 0.5
        elif method == "gradient boosting":
            found, threshold = boosting(tables, kinds["train"], seed)
        else:
            quick = {"max_epochs": 2, "hidden_size": 16} if arguments.quick else {}
            detector = intrusion_detector(progress=False, random_state=seed, **{**MODELS[method], **quick})
            detector.fit(tables["train"])
            found = {part: detector.predict_proba(tables[part]) for part in ("test", "test-21")}
            threshold = detector.threshold_
        parts = [numbers(part, found[part], threshold) for part in ("test", "test-21")]
        return {**parts[0], **parts[1], "threshold": float(threshold)}

    lines = Lines(arguments.out / "nsl_kdd.jsonl", {"quick": arguments.quick, "rate": RATE, "models": MODELS})
    keys = [{"method": one, "seed": seed} for one in BASELINES for seed in
            (arguments.seeds if one != "majority class" else [0])]  # fmt: skip
    keys += [{"method": one, "seed": seed} for one in arguments.models for seed in arguments.seeds]
    rows = lines.run(keys, work, stop_after=arguments.stop_after)
    names = [f"{part} {what}" for part in ("test", "test-21")
             for what in ("accuracy", "accuracy at 0.5", "known", "unseen", "false alarms")]  # fmt: skip
    print("\n| method | " + " | ".join(names) + " | runs |\n| --- |" + " ---: |" * (len(names) + 1))
    for method in dict.fromkeys(key["method"] for key in keys):
        own = [row for row in rows if row["key"]["method"] == method]
        print(f"| {method} | " + " | ".join(spread(own, name) for name in names) + f" | {len(own)} |")


def boosting(tables: dict, kinds: np.ndarray, seed: int) -> tuple[dict, float]:
    """Gradient boosting with kinds of attack held back in the same way, for the same rule of the threshold."""
    generator = np.random.default_rng(seed)
    attacks = generator.permutation(np.unique(kinds[kinds != "normal"]))
    held_kinds = attacks[: max(1, round(0.15 * len(attacks)))]
    held = np.isin(kinds, held_kinds) | ((kinds == "normal") & (generator.random(len(kinds)) < 0.15))
    frames = {part: table.drop_columns(["label"]).to_pandas() for part, table in tables.items()}
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    model = make_pipeline(
        make_column_transformer((encoder, list(TEXT)), remainder="passthrough"),
        HistGradientBoostingClassifier(random_state=seed),
    )
    model.fit(frames["train"][~held], kinds[~held] != "normal")
    scores = {part: model.predict_proba(frame)[:, 1] for part, frame in frames.items()}
    threshold = np.quantile(scores["train"][held & (kinds == "normal")], 1 - RATE, method="higher")
    return {part: scores[part] for part in ("test", "test-21")}, float(threshold)


if __name__ == "__main__":
    main()
