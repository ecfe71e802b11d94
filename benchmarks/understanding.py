"""The claims of docs/understanding.md, measured: what is said of RNN, LSTM and GRU, and whether it is so.

    export GATEWISE_DATA=../shared/data                                     # for tagging and activity alone
    python benchmarks/understanding.py --out benchmarks/results             # all of it; goes on where it stopped
    python benchmarks/understanding.py --claims memory --out benchmarks/results
    python benchmarks/understanding.py --quick --out benchmarks/results/quick   # to see that it runs

One process on one thread takes about twenty minutes in all. To show new lines in the guide and on its page:

    cp benchmarks/results/claims.jsonl docs/results/ && python tools/generate_docs.py && python tools/understanding.py

What is measured:

- flow: an untrained layer of 64 units under white noise, 200 steps: norms of d h_T / d h_(T-k) (gatewise.inspect) for
  different recurrent matrices, forget biases and cells. Three seeds.
- memory: the adding problem (gatewise.compare) at lengths 5 to 100, about 2,000 parameters for every cell, at most
  3,000 steps of Adam on 32 new sequences each. The plain RNN is given three tries: as it is, with a lower learning
  rate, and with an orthogonal start. Solved: a mean squared error below 0.01 on 2,000 test sequences. Three seeds.
- timing: two tasks after Gers et al. 2002, with and without peepholes; benchmarks/claims_timing.py tells how. Five
  seeds.
- units: the bundled air quality, 24 hours ahead, held-out year 2014; the forecaster's defaults but for its twelve
  epochs; LSTM of 64 units, GRU of as many units and of as many parameters. Five seeds.
- tagging: slots of ATIS by one LSTM layer and a softmax, nothing else seeing a word's neighbours; the epoch is chosen
  on the development part. Forward, backward, both with as many units each, both with as many parameters. Three seeds.
- activity: AReM by SequenceClassifier, five folds over recordings: an LSTM, convolutions over nine steps, both, and
  neither (a cell without memory), with the same head, training and width. Three seeds of each fold.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

try:
    from benchmarks import claims_memory, claims_real, claims_timing
    from benchmarks.resumable import Lines
except ImportError:
    import claims_memory
    import claims_real
    import claims_timing
    from resumable import Lines

SEEDS, MORE_SEEDS = range(3), range(5)
LENGTHS = (5, 10, 30, 100)
TRIES = ("rnn_tanh", "rnn_tanh slower", "rnn_tanh+orthogonal", "gru", "lstm", "lstm+chrono")
CELLS = ("lstm", "lstm_peephole")
PERIODS = (10, 20)
WIDTHS = (("lstm", "equal units"), ("gru", "equal units"), ("gru", "equal parameters"))
DIRECTIONS = ("forward", "backward", "both", "both, equal parameters")


def _memory() -> list[dict]:
    return [{"steps": n, "cell": cell, "seed": seed} for n in LENGTHS for seed in SEEDS for cell in TRIES]


def _activity() -> list[dict]:
    folds = range(claims_real.ACTIVITY["folds"])
    return [{"network": n, "fold": k, "seed": s} for s in SEEDS for k in folds for n in claims_real.NETWORKS]


# Claim, the name of its part, its settings, its work, and the runs that are wanted.
PARTS: dict[str, list[tuple[str, dict, Callable, list[dict]]]] = {
    "flow": [
        ("flow", {**claims_memory.FLOW, "starts": claims_memory.STARTS}, claims_memory.flow,
         [{"start": start, "seed": seed} for seed in SEEDS for start in claims_memory.STARTS]),
    ],
    "memory": [("memory", claims_memory.ADDING, claims_memory.remember, _memory())],
    "timing": [
        ("measure", claims_timing.TIMING, claims_timing.measure,
         [{"cell": cell, "seed": seed} for seed in MORE_SEEDS for cell in CELLS]),
        ("generate", claims_timing.TIMING, claims_timing.generate,
         [{"cell": cell, "period": n, "seed": seed} for n in PERIODS for seed in MORE_SEEDS for cell in CELLS]),
    ],
    "units": [
        ("units", claims_real.AIR, claims_real.air,
         [{"cell": cell, "width": width, "seed": seed} for seed in MORE_SEEDS for cell, width in WIDTHS]),
    ],
    "tagging": [
        ("tagging", claims_real.TAGGING, claims_real.tag,
         [{"direction": one, "seed": seed} for seed in SEEDS for one in DIRECTIONS]),
    ],
    "activity": [("activity", claims_real.ACTIVITY, claims_real.activity, _activity())],
}  # fmt: skip


def settings_of(part: str, settings: dict, *, quick: bool = False) -> dict:
    """What all runs of a part share, as the lines hold it."""
    return {"claim": part, "quick": quick, **settings}


def main() -> None:
    """Run what is not done yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--claims", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--quick", action="store_true", help="a few steps and one seed, to see that it runs")
    parser.add_argument("--stop-after", type=float, help="seconds after which no further run is begun")
    arguments = parser.parse_args()
    for claim in arguments.claims:
        for part, settings, work, wanted in PARTS[claim]:
            lines = Lines(arguments.out / "claims.jsonl", settings_of(part, settings, quick=arguments.quick))
            keys = [key for key in wanted if key["seed"] == 0] if arguments.quick else wanted
            print(
                f"{part}: {sum(row['key'] in keys for row in lines.rows)} of {len(keys)} runs are done",
                flush=True,
            )
            lines.run(keys, partial(work, quick=arguments.quick), stop_after=arguments.stop_after)


if __name__ == "__main__":
    main()
