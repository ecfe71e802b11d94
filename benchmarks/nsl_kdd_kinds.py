"""Cross-validation over kinds of attack in NSL-KDD's 20 % training set, to choose settings by: reads no test file.

    python benchmarks/nsl_kdd_kinds.py --out benchmarks/results   # all of it; goes on where it stopped

A draw takes a third of the kinds of attack and 15 % of the harmless records out of the table; the detector is fitted to
the rest and judged on what was taken out: all of its attacks are of kinds that it never saw. "recall" is the mean over
the kinds of four records or more, each counting alike, at the detector's own threshold and where 1, 2 and 5 % of the
harmless records taken out raise an alarm.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa

from gatewise.tasks.recipes import intrusion_detector, load_nsl_kdd

try:
    from benchmarks.resumable import Lines, data_folder, spread
except ImportError:
    from resumable import Lines, data_folder, spread

SETTINGS = {
    "as the recipe": {},
    "without the density": {"novelty": False},
    "without bins": {"binned": False},
    "one member, spared a share of the kinds": {"members": 1},
}
RATES = (0.01, 0.02, 0.05)


def main() -> None:
    """Run what is not done yet and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--draws", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--stop-after", type=float, help="seconds after which no further run is begun")
    arguments = parser.parse_args()
    table = load_nsl_kdd(data_folder() / "anomaly-detection" / "nsl-kdd", "train")
    kinds = np.array(table.column("label").to_pylist())

    def work(setting: str, draw: int) -> dict:
        generator = np.random.default_rng(draw + 500)
        taken = generator.permutation(np.unique(kinds[kinds != "normal"]))[::3]
        out = np.isin(kinds, taken) | ((kinds == "normal") & (generator.random(len(kinds)) < 0.15))
        detector = intrusion_detector(rule="balanced", progress=False, random_state=draw)
        detector.set_params(**SETTINGS[setting]).fit(table.filter(pa.array(~out)))
        own, scores = kinds[out], detector.predict_proba(table.filter(pa.array(out)))
        harmless = scores[own == "normal"]
        found = _numbers("balanced", own, scores, detector.threshold_)
        for rate in RATES:
            threshold = np.quantile(harmless, 1 - rate, method="higher")
            found |= _numbers(f"{rate:.0%}", own, scores, float(threshold))
        return found

    lines = Lines(arguments.out / "nsl_kdd_kinds.jsonl", {"share": 0.15})
    keys = [{"setting": one, "draw": draw} for draw in arguments.draws for one in arguments.settings]
    rows = lines.run(keys, work, stop_after=arguments.stop_after)
    names = ["balanced false alarms", "balanced recall", *(f"{rate:.0%} recall" for rate in RATES)]
    print("\n| setting | " + " | ".join(names) + " | runs |\n| --- |" + " ---: |" * (len(names) + 1))
    for setting in arguments.settings:
        own = [row for row in rows if row["key"]["setting"] == setting]
        print(f"| {setting} | " + " | ".join(spread(own, name) for name in names) + f" | {len(own)} |")


def _numbers(name: str, kinds: np.ndarray, scores: np.ndarray, threshold: float) -> dict:
    alarms = scores > threshold
    recalls = {
        str(kind): float(alarms[kinds == kind].mean())
        for kind in np.unique(kinds)
        if kind != "normal" and (kinds == kind).sum() >= 4
    }
    return {
        f"{name} recall": float(np.mean(list(recalls.values()))),
        f"{name} false alarms": float(alarms[kinds == "normal"].mean()),
        f"{name} by kind": recalls,
    }


if __name__ == "__main__":
    main()
