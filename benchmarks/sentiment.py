"""Good or bad? SST-2, MR and IMDb, with nothing from outside.

    python benchmarks/sentiment.py --out benchmarks/results                     # all of it; goes on where it stopped
    python benchmarks/sentiment.py --quick --out benchmarks/results/quick   # to see that it runs
    python benchmarks/sentiment.py --develop --out benchmarks/results/develop   # settings, by the development part
    python benchmarks/sentiment.py --baselines --out benchmarks/results     # what stands beside the network, alone

The protocol, the same for every method:

- SST-2 (Socher et al. 2013): whole sentences alone, 6,920 to learn from, 872 to stop by and to choose settings, 1,821
  to test on.
- MR (Pang & Lee 2005): 10,662 sentences, ten folds (scikit-learn's StratifiedKFold, shuffled with seed 0); a tenth of
  each training part is held back to stop by.
- IMDb (Maas et al. 2011): 25,000 reviews to learn from, of which a tenth is held back, and 25,000 to test on; the
  beginning and the end of long ones are read. The network goes on from a language model of the same 25,000 reviews
  (ULMFiT, Howard & Ruder 2018).
- Accuracy in %. Beside the network, fitted to the same texts: the majority class, logistic regression on TF-IDF of
  words and pairs, and NB-SVM (Wang & Manning 2012).
"""

from __future__ import annotations

import argparse
import gzip
import lzma
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedKFold

from gatewise.tasks import LanguageModel, TextClassifier

try:
    from benchmarks.resumable import Lines, data_folder, spread
except ImportError:
    from resumable import Lines, data_folder, spread

# A language model of the texts to learn from, which a classifier goes on from.
LANGUAGE = {
    "level": "word", "split": "simple", "lowercase": True, "min_count": 3, "vocabulary_size": 30_000,
    "embedding_size": 128, "hidden_size": 256, "num_layers": 2, "output": "adaptive", "max_epochs": 3, "patience": None,
}  # fmt: skip
SETTINGS = {
    "sst2": {"hidden_size": 100, "word_size": 100, "max_epochs": 6, "patience": None, "pooling": "max"},
    "mr": {"hidden_size": 100, "word_size": 100, "max_epochs": 6, "patience": None, "pooling": "max"},
    "imdb": {"language_model": LANGUAGE, "max_epochs": 7, "patience": None},
}
# What is compared on the development parts; each changes what stands above. A language model gives a classifier its
# layers (take: "language_model") or its words' vectors alone ("vectors").
TRIED = {
    "as it is": {},
    "pretrained": {"language_model": {**LANGUAGE, "min_count": 2, "output": "full", "max_epochs": 15}},
    "its words alone": {"take": "vectors", "word_size": LANGUAGE["embedding_size"], "pooling": "max"},
    "no pretraining": {"language_model": None, "pooling": "max"},
    "9 epochs": {"max_epochs": 9},
    "attention": {"pooling": "attention"},
    "mean": {"pooling": "mean"},
    "gru": {"cell": "gru"},
    "dropout 0.3": {"dropout": 0.3},
}
# With --baselines the network is as small as can be and not looked at: the same texts are held back, no others.
LEAST = {"hidden_size": 1, "word_size": 1, "max_epochs": 1, "max_length": 2, "language_model": None}
FOLDS = 10
Texts = tuple[list[str], list[str]]


def _labelled(lines: list[str]) -> Texts:
    """Lines of a label, a blank and a sentence."""
    pairs = [line.split(" ", 1) for line in lines if line.strip()]
    return [text.strip() for _, text in pairs], [label for label, _ in pairs]


def sst2(folder: Path, fold: int) -> dict[str, Texts]:
    """The three parts of SST-2, whole sentences."""
    place = folder / "sentiment-analysis" / "sst"
    read = {
        part: gzip.decompress((place / f"stsa.binary.{name}.gz").read_bytes()).decode().splitlines()
        for part, name in (("train", "train"), ("develop", "dev"), ("test", "test"))
    }
    return {part: _labelled(lines) for part, lines in read.items()}


def mr(folder: Path, fold: int) -> dict[str, Texts]:
    """One fold of MR; a few signs of the file are Latin-1."""
    path = folder / "sentiment-analysis" / "mr-subj-cr-mpqa" / "rt-polarity.all.gz"
    texts, labels = _labelled(gzip.decompress(path.read_bytes()).decode("latin-1").split("\n"))
    splitter = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    train, test = list(splitter.split(np.zeros(len(labels)), labels))[fold]
    return {part: ([texts[one] for one in own], [labels[one] for one in own])
            for part, own in (("train", train), ("test", test))}  # fmt: skip


def imdb(folder: Path, fold: int) -> dict[str, Texts]:
    """Both parts of IMDb; line breaks are blanks."""
    found = {}
    for part in ("train", "test"):
        path = folder / "sentiment-analysis" / "imdb" / f"imdb.{part}.tsv.xz"
        rows = [
            line.split("\t", 3) for line in lzma.decompress(path.read_bytes()).decode().split("\n") if line
        ]
        found[part] = ([row[3].replace("<br />", " ") for row in rows], [row[0] for row in rows])
    return found


@cache
def parts(name: str, fold: int, quick: bool) -> dict[str, Texts]:
    """A set's parts."""
    found = {"sst2": sst2, "mr": mr, "imdb": imdb}[name](data_folder(), fold)
    if quick:
        found = {part: (texts[::50], labels[::50]) for part, (texts, labels) in found.items()}
    return found


def main() -> None:
    """Run what is not done yet and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--quick", action="store_true", help="two epochs on a fiftieth, to see that it runs")
    parser.add_argument("--develop", action="store_true", help="compare settings on the development part")
    parser.add_argument("--baselines", action="store_true", help="the methods beside the network alone")
    parser.add_argument("--sets", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--tried", nargs="+", default=list(TRIED), choices=list(TRIED))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--checkpoints", type=Path, help="a folder in which a run that was cut off goes on")
    parser.add_argument("--stop-after", type=float, help="seconds after which no further run is begun")
    arguments = parser.parse_args()

    def work(set: str, setting: str, seed: int, fold: int) -> dict:
        own = parts(set, fold, arguments.quick)
        quick = {"max_epochs": 2, "hidden_size": 16, "word_size": 16} if arguments.quick else {}
        folder = None
        if arguments.checkpoints is not None:
            folder = arguments.checkpoints / f"{set}-{setting.replace(' ', '-')}-{seed}-{fold}"
        parameters = {**SETTINGS[set], **TRIED[setting], **quick, **(LEAST if arguments.baselines else {})}
        with tempfile.TemporaryDirectory() as place:
            take = parameters.pop("take", "language_model")
            if language := parameters.pop("language_model", None):
                path = (folder or Path(place)) / "language"
                pretrain(
                    own["train"][0],
                    {**language, **({"max_epochs": 1} if arguments.quick else {})},
                    seed,
                    path,
                )
                parameters[take] = path / "model"
            model = TextClassifier(
                **parameters, baselines=not arguments.develop, random_state=seed, progress=False,
                checkpoint_folder=folder,
            )  # fmt: skip
            model.fit(*own["train"], validation=own.get("develop"))
        best = next(row for row in model.history_ if row["epoch"] == model.best_epoch_)
        numbers = {"develop_accuracy": best["validation_accuracy"] * 100, "develop_loss": best["validation_loss"],
                   "best_epoch": model.best_epoch_, "epochs": len(model.history_)}  # fmt: skip
        if arguments.develop:
            return numbers
        found = model.evaluate(*own["test"])
        accuracies = {name: scores.accuracy * 100 for name, scores in found.scores.items()}
        if arguments.baselines:
            del accuracies[found.model]
            return {"beside": accuracies}
        return {"accuracy": accuracies.pop(found.model), **numbers, "log_loss": found.scores[found.model].log_loss,
                "calibration_error": found.scores[found.model].calibration_error, "beside": accuracies}  # fmt: skip

    kind = "-develop" if arguments.develop else "-baselines" if arguments.baselines else ""
    name = f"sentiment{kind}.jsonl"
    tried = arguments.tried if arguments.develop else ["as it is"]
    rows = []
    for one in arguments.sets:
        lines = Lines(arguments.out / name, {"quick": arguments.quick, "settings": SETTINGS[one]})
        folds = range(FOLDS) if one == "mr" and not arguments.develop else range(1)
        keys = [{"set": one, "setting": what, "seed": seed, "fold": fold}
                for what in tried for seed in arguments.seeds for fold in folds]  # fmt: skip
        rows += lines.run(keys, work, stop_after=arguments.stop_after)
    print_table(rows, develop=arguments.develop)


def pretrain(texts: list[str], parameters: dict, seed: int, folder: Path) -> None:
    """Fit a language model to texts, one a line, and save it at folder/model, unless it is there."""
    if (folder / "model").exists():
        return
    model = LanguageModel(
        **parameters, random_state=seed, progress=False, checkpoint_folder=folder / "checkpoints"
    )
    model.fit("\n".join(" ".join(text.split()) for text in texts) + "\n").save(folder / "model")


def print_table(rows: list[dict], *, develop: bool) -> None:
    """Means and spreads over runs."""
    print("\n| set | method | accuracy % | runs |\n| --- | --- | ---: | ---: |")
    measure = "develop_accuracy" if develop else "accuracy"
    for name, setting in dict.fromkeys((row["key"]["set"], row["key"]["setting"]) for row in rows):
        own = [row for row in rows if (row["key"]["set"], row["key"]["setting"]) == (name, setting)]
        if measure in own[0]:
            print(
                f"| {name} | {setting if develop else 'gatewise'} | {spread(own, measure, 2)} | {len(own)} |"
            )
        for other in own[0].get("beside", {}):
            beside = [{"accuracy": row["beside"][other]} for row in own]
            print(f"| {name} | {other} | {spread(beside, 'accuracy', 2)} | {len(own)} |")


if __name__ == "__main__":
    main()
