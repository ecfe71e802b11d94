"""MNIST read row by row, pixel by pixel, and pixel by pixel in one fixed disorder.

    export GATEWISE_DATA=../shared/data
    python benchmarks/sequential_mnist.py row --out benchmarks/results        # nine runs of some minutes
    python benchmarks/sequential_mnist.py pixel --out benchmarks/results      # three runs of an hour
    python benchmarks/sequential_mnist.py permuted --out benchmarks/results   # three runs of an hour
    python benchmarks/sequential_mnist.py linear     # what a linear map of the whole image has; seconds
    python benchmarks/sequential_mnist.py row --quick --out benchmarks/results/quick   # to see that it runs

Le et al. 2015; 5,000 of the training images are held back to look at, accuracy is that on the 10,000 test images.

- By row: one layer of about 81,000 parameters (128 LSTM units), 12 passes, three seeds; in training images are moved
  by up to one pixel.
- By pixel: about 42,000 parameters (100 LSTM units, as in Cooijmans et al. 2017), an hour a run, one seed, images as
  they are. Published for LSTM by pixel and permuted: 98.9 and 90.2 % (Cooijmans et al. 2017).
- Beside them: ridge regression of all pixels at once on the ten digits as 0 and 1, penalty 10, no choice made.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

from gatewise.compare.problems import SequentialMNIST

try:
    from benchmarks.long_dependency import parser_of, work
except ImportError:
    from long_dependency import parser_of, work

ROW = {
    "title": "MNIST by row",
    "cells": ["lstm", "gru", "rnn_tanh"],
    "seeds": [0, 1, 2],
    "problem": [{"kind": "sequential-mnist", "order": "row", "shift": 1}],
    "budget": {"parameters": 81_000, "steps": 10_300},
    "training": {
        "learning_rate": 0.002, "schedule": "cosine", "batch_size": 64, "validate_every": 859, "dropout": 0.2,
        "averaging": "ema", "stop_when_solved": False,
    },
    "cell": {"rnn_tanh": {"learning_rate": 0.0005}},
}  # fmt: skip
PIXEL = {
    "cells": ["lstm", "lstm+chrono", "gru"],
    "seeds": [0],
    "budget": {"parameters": 42_000, "seconds": 3600},
    "training": {
        "learning_rate": 0.002, "schedule": "cosine", "batch_size": 64, "validate_every": 400, "averaging": "ema",
        "stop_when_solved": False,
    },
}  # fmt: skip
PARTS = {
    "row": ROW,
    "pixel": {
        **PIXEL,
        "title": "MNIST by pixel",
        "problem": [{"kind": "sequential-mnist", "order": "pixel"}],
    },
    "permuted": {
        **PIXEL,
        "title": "MNIST by permuted pixel",
        "problem": [{"kind": "sequential-mnist", "order": "permuted"}],
    },
}
QUICK = {"budget": {"parameters": 2000, "steps": 20}, "seeds": [0]}


def settings(part: str, *, quick: bool) -> dict:
    """A part's configuration, as `gatewise compare` reads it."""
    made = PARTS[part]
    if not quick:
        return made
    small = {**made["training"], "validate_every": 10, "schedule": "constant"}
    return {**made, **QUICK, "cells": made["cells"][:2], "cell": {}, "training": small}


def linear() -> dict[str, float]:
    """The accuracy of ridge regression on the images that are held back, and on the test images."""

    def table(batches: Iterable) -> tuple[torch.Tensor, torch.Tensor]:
        parts = [(batch["input"].flatten(1), batch["target"]) for batch in batches]
        pixels, labels = (torch.cat(part) for part in zip(*parts, strict=True))
        return torch.nn.functional.pad(pixels.double(), (0, 1), value=1.0), labels

    problem = SequentialMNIST(order="row")
    pixels, labels = table(problem.train_batch(0, index, 1000) for index in range(55))
    digits = torch.nn.functional.one_hot(labels).double()
    weights = torch.linalg.solve(
        pixels.T @ pixels + 10 * torch.eye(pixels.shape[1]).double(), pixels.T @ digits
    )
    found = {}
    for part in ("validation", "test"):
        pixels, labels = table(problem.held_out(part))
        found[part] = float(((pixels @ weights).argmax(1) == labels).double().mean())
    return found


def main() -> None:
    """Do a part, and print its tables."""
    arguments = parser_of(__doc__.splitlines()[0], [*PARTS, "linear"]).parse_args()
    if arguments.part == "linear":
        print(", ".join(f"{part} {accuracy:.2%}" for part, accuracy in linear().items()))
        return
    name = f"sequential_mnist_{arguments.part}"
    work(settings(arguments.part, quick=arguments.quick), name, arguments)


if __name__ == "__main__":
    main()
