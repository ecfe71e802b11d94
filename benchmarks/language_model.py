"""Language models: Penn Treebank words within an hour on two cores, tinyshakespeare's characters, and tokens a second.

    python benchmarks/language_model.py --part ptb --out benchmarks/results           # goes on where it stopped
    python benchmarks/language_model.py --part shakespeare --out benchmarks/results
    python benchmarks/language_model.py --part speed --out benchmarks/results         # on an idle machine
    python benchmarks/language_model.py --part develop --minutes 10 --set hidden_size=400 --out benchmarks/results
    python benchmarks/language_model.py --part ptb --quick --out benchmarks/results/quick  # to see that it runs

The protocols:

- Penn Treebank words (Mikolov's version: 10,000 words, <unk> and N in the text, one line end a sentence). Trained on
  ptb.train, stopped early by ptb.valid, tested once on ptb.test: every one of its 82,430 tokens counted (78,669 words
  and 3,761 line ends), one stream, the state carried throughout, no token told by weights that saw it. --minutes bounds
  the training (60 unless said otherwise); single tokens and a Kneser-Ney 5-gram of the same training text, on the same
  tokens, beside it.
- tinyshakespeare's characters: the last 10 % are the test (nanoGPT's split), the 5 % before them stop early, the rest
  trains; nats per character.
- develop: ptb.valid alone decides. The model trains on ptb.train without its last 5 %, which stop it early; the test is
  never read. --set changes one parameter.
- speed: the same network in gatewise and in plain torch.nn, the same weights, outputs compared first; then in turns,
  tokens a second of training (forward, backward, clipping, AdamW) and of writing one stream token by token.

A killed training goes on from its checkpoint, which lies beside the results, with its hidden state.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import math
import sys
from pathlib import Path

import torch

from gatewise.tasks import LanguageModel

try:
    from benchmarks.language_speed import speed
    from benchmarks.resumable import Lines, data_folder, spread
except ImportError:
    from language_speed import speed
    from resumable import Lines, data_folder, spread

# Chosen before any test figure was seen. The output layer is most of the work, hence narrow embeddings. An hour is some
# fifteen epochs, hence less dropout than AWD-LSTM's: with 0.4, 0.3, 0.3, 0.05 and 0.3 in the order below, ptb.valid's
# perplexity was 167.5 after two epochs and 139.0 after four, with these 149.4 and 124.0.
PTB = {
    "level": "word", "min_count": 1, "hidden_size": 512, "embedding_size": 256, "num_layers": 2, "batch_size": 32,
    "window": 35, "dropout": 0.3, "input_dropout": 0.2, "hidden_dropout": 0.2, "embedding_dropout": 0.0,
    "weight_drop": 0.2, "activation": 1.0, "slowness": 0.5, "learning_rate": 3e-3, "max_epochs": 40, "patience": None,
}  # fmt: skip
SHAKESPEARE = {
    "level": "character", "hidden_size": 384, "num_layers": 2, "dropout": 0.3, "hidden_dropout": 0.3,
    "weight_drop": 0.2, "max_epochs": 30, "patience": 5,
}  # fmt: skip


def main() -> None:
    """Run what was asked for and show what is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=("ptb", "shakespeare", "develop", "speed"), required=True)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=60.0, help="for one training")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="NAME=VALUE", help="parameters to change, for develop"
    )
    parser.add_argument("--dynamic", action="store_true", help="dynamic evaluation of the test as well (ptb)")
    parser.add_argument("--quick", action="store_true", help="small models, to see that it runs")
    parser.add_argument(
        "--stop-after", type=float, default=None, help="seconds after which no further run begins"
    )
    arguments = parser.parse_args()
    small = {"hidden_size": 16, "embedding_size": 16, "max_epochs": 1} if arguments.quick else {}
    minutes = min(arguments.minutes, 0.3) if arguments.quick else arguments.minutes
    shared = {"part": arguments.part, "minutes": minutes, "quick": arguments.quick}
    if arguments.part == "speed":
        lines = Lines(arguments.out / "language_model.jsonl", {"part": "speed", "quick": arguments.quick})
        keys = [
            {"level": level, "what": what}
            for level in ("character", "word")
            for what in ("training", "writing")
        ]
        show(lines.run(keys, lambda level, what: speed(level, what, quick=arguments.quick)))
        return
    changes = {name: value(text) for name, _, text in (one.partition("=") for one in arguments.set)}
    if changes and arguments.part != "develop":
        sys.exit("--set: only for --part develop, so that nothing is chosen by test figures")
    parameters = {**(SHAKESPEARE if arguments.part == "shakespeare" else PTB), **small, **changes}
    lines = Lines(arguments.out / "language_model.jsonl", {**shared, "parameters": parameters})

    def work(seed: int) -> dict:
        folder = arguments.out / "checkpoints" / f"{arguments.part}-{seed}-{digest(lines.settings)}"
        return train(arguments.part, seed, parameters, minutes, folder, dynamic=arguments.dynamic)

    show(lines.run([{"seed": seed} for seed in arguments.seeds], work, stop_after=arguments.stop_after))


def train(part: str, seed: int, parameters: dict, minutes: float, folder: Path, *, dynamic: bool) -> dict:
    """One training and its figures."""
    texts = shakespeare() if part == "shakespeare" else treebank()
    if part == "develop":
        cut = int(len(texts["train"]) * 0.95)
        cut = texts["train"].rfind("\n", 0, cut) + 1
        texts = {"train": texts["train"][:cut], "valid": texts["train"][cut:], "test": texts["valid"]}
    model = LanguageModel(
        **parameters,
        random_state=seed,
        max_time=60 * minutes,
        checkpoint_folder=folder,
        progress=sys.stderr.isatty(),
    )
    model.fit(texts["train"], validation=texts["valid"])
    if model.stopped_ == "interrupted":
        sys.exit("stopped by Ctrl-C; the same command goes on")
    evaluation = model.evaluate(texts["test"])
    own = evaluation.scores[evaluation.model]
    found = {
        "validation_perplexity": min(record["validation_perplexity"] for record in model.history_),
        "perplexity": own.perplexity,
        "bits_per_character": own.bits_per_character,
        "nats": own.nats,
        "tokens": evaluation.tokens,
        "epochs": len(model.history_),
        "best_epoch": model.best_epoch_,
        "stopped": model.stopped_,
        "parameters": sum(one.numel() for one in model.fitted_.network.parameters()),
        # Over all resumptions.
        "fit_seconds": round(sum(record["seconds"] for record in model.history_), 1),
        "threads": torch.get_num_threads(),
        "baselines": {
            name: score.perplexity for name, score in evaluation.scores.items() if name != evaluation.model
        },
        "sample": model.generate(
            "", max_tokens=60 if parameters["level"] == "word" else 300, temperature=0.8
        ),
    }
    if dynamic:
        found["dynamic_perplexity"] = model.perplexity(texts["test"], dynamic=True, statistics=texts["train"])
    return found


def treebank() -> dict[str, str]:
    """The three parts of the Penn Treebank; they are for measuring alone and are not part of this repository."""
    folder = data_folder() / "language-modelling" / "ptb"
    return {part: unpacked(folder / f"ptb.{part}.txt.gz") for part in ("train", "valid", "test")}


def shakespeare() -> dict[str, str]:
    """tinyshakespeare: the last tenth for the test, the twentieth before it to stop early."""
    text = unpacked(data_folder() / "language-modelling" / "tinyshakespeare" / "input.txt.gz")
    test, valid = int(0.9 * len(text)), int(0.85 * len(text))
    return {"train": text[:valid], "valid": text[valid:test], "test": text[test:]}


def unpacked(path: Path) -> str:
    """The text of a .gz file."""
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        return file.read()


def digest(settings: dict) -> str:
    """A short name that is the same in every process."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:10]


def value(text: str) -> object:
    """A parameter's value as JSON has it, or as text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def show(rows: list[dict]) -> None:
    """What there is so far."""
    if not rows:
        return
    if "perplexity" not in rows[0]:
        for row in rows:
            print(row["key"], {name: row[name] for name in row if name.endswith(("second", "ratio"))})
        return
    print(f"{len(rows)} seeds: perplexity {spread(rows, 'perplexity', 2)}, nats {spread(rows, 'nats', 4)}, "
          f"validation {spread(rows, 'validation_perplexity', 2)}, epochs {spread(rows, 'epochs', 1)}, "
          f"{spread(rows, 'fit_seconds', 0)} s")  # fmt: skip
    for name, one in rows[0]["baselines"].items():
        print(f"  {name}: {one:.2f} ({math.log(one):.4f} nats)")


if __name__ == "__main__":
    main()
