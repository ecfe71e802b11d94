"""How far back each cell can look: copying and adding at lags 10, 30, 100 and 300, and adding at 1,000.

    python benchmarks/long_dependency.py lags --out benchmarks/results        # 96 runs; goes on where it stopped
    python benchmarks/long_dependency.py thousand --out benchmarks/results    # lag 1,000 on adding
    python benchmarks/long_dependency.py lags --quick --out benchmarks/results/quick   # to see that it runs

The protocol, the same for every cell (`gatewise.compare`, whose report.html and lines lie in the folder):

- Adding and copying as in Arjovsky et al. 2016; new sequences at every step; 500 to look at every 200 steps, 2,000 to
  test on, the same for all. Solved: a squared error below 0.01; a cross entropy below a tenth of the answer's without
  memory, 10 ln 8 / (T + 20).
- Elman RNN, LSTM, LSTM with chrono initialisation for the sequence's length (Tallec & Ollivier 2018), GRU: one layer of
  as many units as come nearest to 20,000 parameters; three seeds.
- Adam, batches of 32, gradients cut at norm 1; at most 10,000 steps, fewer where the goal is met. The learning rate is
  0.01, for the RNN 0.001. That of 0.01 was taken after 4,000 steps of copying at lag 10 (seed 0): at 0.003 the LSTM is
  much slower; with batches of 128 all are, by the clock. The RNN's was set beforehand.

Measured on one core (0.08 to 0.1 ms for a step of a batch of sequences): three hours for the lags, half an hour a
seed for the thousand. `--figures FOLDER` writes the pictures of what is done as PDF and PNG.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gatewise.compare import compare, parse_plan
from gatewise.compare.report import table_rows
from gatewise.compare.verdict import judge
from gatewise.report.pictures import kept_pictures, write_pictures

LAGS = (10, 30, 100, 300)
SHARED = {
    "cells": ["rnn_tanh", "lstm", "lstm+chrono", "gru"],
    "training": {"learning_rate": 0.01, "batch_size": 32, "gradient_clip": 1.0, "validate_every": 200},
    "cell": {"rnn_tanh": {"learning_rate": 0.001}},
}
BUDGET = {"parameters": 20_000, "steps": 10_000}
PARTS = {
    "lags": {
        "title": "Copying and adding at lags 10 to 300",
        "seeds": [0, 1, 2],
        "problem": [{"kind": kind, "steps": lag} for lag in LAGS for kind in ("adding", "copying")],
    },
    "thousand": {
        "title": "Adding over 1,000 steps",
        "seeds": [0, 1, 2],
        "problem": [{"kind": "adding", "steps": 1000}],
    },
}
FOLDERS = {"lags": "long_dependency", "thousand": "long_dependency_1000"}
# A network of a tenth, and steps enough to look twice.
QUICK = {
    "budget": {"parameters": 2000, "steps": 40},
    "training": {"validate_every": 20, "learning_rate": 0.01},
}


def settings(part: str, *, quick: bool) -> dict:
    """A part's configuration, as `gatewise compare` reads it."""
    made = {**SHARED, **PARTS[part], "budget": BUDGET}
    return {**made, **QUICK} if quick else made


def markdown(scores: list) -> str:
    """The tables of all problems, and what can be said of each."""
    parts = []
    for score in scores:
        header, *rows = table_rows(score)
        lines = ["| " + " | ".join(row) + " |" for row in (header, *rows)]
        lines.insert(1, "| --- |" + " ---: |" * (len(header) - 1))
        parts += [f"### {score.problem.title}", "\n".join(lines), " ".join(judge(score))]
    return "\n\n".join(parts)


def parser_of(description: str, parts: list[str]) -> argparse.ArgumentParser:
    """The options of a benchmark that is a comparison in parts."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("part", choices=parts)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument(
        "--quick", action="store_true", help="small networks, a few steps, to see that it runs"
    )
    parser.add_argument("--figures", type=Path, help="a folder for the pictures as PDF and PNG")
    parser.add_argument("--stop-after", type=float, help="seconds after which no further run is begun")
    return parser


def work(configuration: dict, name: str, arguments: argparse.Namespace) -> None:
    """Do what is not done yet in the folder of that name, write what is asked for, and print the tables."""
    with kept_pictures() as kept:
        result = compare(parse_plan(configuration), arguments.out / name, stop_after=arguments.stop_after)
    if arguments.figures:
        write_pictures(kept, arguments.figures)
    print(f"\n{markdown(result.scores)}\n\n{result.verdict}")


def main() -> None:
    """Do a part, and print its tables."""
    arguments = parser_of(__doc__.splitlines()[0], list(PARTS)).parse_args()
    work(settings(arguments.part, quick=arguments.quick), FOLDERS[arguments.part], arguments)


if __name__ == "__main__":
    main()
