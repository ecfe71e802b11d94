"""Names, slots and intents: CoNLL-2003 and ATIS, with no vectors from outside.

    python benchmarks/tagging.py --out benchmarks/results                     # all of it; goes on where it stopped
    python benchmarks/tagging.py --quick --out benchmarks/results/quick   # to see that it runs
    python benchmarks/tagging.py --develop --out benchmarks/results/develop   # settings, by the development part

The protocol, the same for every method:

- ATIS (Hemphill et al. 1990; the split of Goo et al. 2018): 4,478 sentences to learn from, 500 to choose by, 893 to
  test on; F1 of slots as conlleval counts it, accuracy of intents, and sentences of which all is right. Slots and
  intents that training never showed count as missed.
- CoNLL-2003 English (Tjong Kim Sang & De Meulder 2003): the usual three parts; F1 of names.
- The network's epoch is chosen by the development part. So were the settings (--develop); the test part is looked at by
  the runs that are reported alone. Beside it: each word's most frequent tag, the most frequent intent, and logistic
  regression on TF-IDF for intents.
"""

from __future__ import annotations

import argparse
import io
import tarfile
from functools import cache
from pathlib import Path

from gatewise.data.text.columns import TaggedSentences, read_columns
from gatewise.tasks.tagging import SequenceTagger
from gatewise.tasks.tagging.baselines import FREQUENT, MAJORITY
from gatewise.tasks.text_classification.linear import TFIDF

try:
    from benchmarks.resumable import Lines, data_folder, spread
except ImportError:
    from resumable import Lines, data_folder, spread

# What was chosen on the development parts.
SETTINGS = {
    "atis": {"hidden_size": 100, "batch_size": 32, "max_epochs": 20, "patience": None, "dropout": 0.3},
    "conll2003": {
        "hidden_size": 100,
        "batch_size": 16,
        "max_epochs": 25,
        "patience": None,
        "coding": "bioes",
    },
}
# What is compared on the development parts; each changes what stands above.
TRIED = {
    "as it is": {},
    "character LSTM": {"characters": "lstm"},
    "no characters": {"characters": "none"},
    "softmax": {"head": "softmax"},
    "gru": {"cell": "gru"},
    "hidden 200": {"hidden_size": 200},
    "dropout 0.5": {"dropout": 0.5},
}
MEASURES = ("f1", "precision", "recall", "intent_accuracy", "whole_accuracy", "tag_accuracy")


def atis(folder: Path) -> dict[str, TaggedSentences]:
    """The three parts of ATIS, from the archive's files of words, slots and intents."""
    found = {}
    with tarfile.open(folder / "spoken-language-understanding" / "atis" / "atis.tar.gz") as archive:
        names = {member.name: member for member in archive.getmembers() if member.isfile()}
        for part, own in (("train", "train"), ("develop", "valid"), ("test", "test")):
            lines = {}
            for kind in ("seq.in", "seq.out", "label"):
                name = next(name for name in names if name.endswith(f"{own}/{kind}"))
                text = io.TextIOWrapper(archive.extractfile(names[name]), encoding="utf-8").read()
                lines[kind] = text.splitlines()
            found[part] = TaggedSentences(
                [one.split() for one in lines["seq.in"]],
                [one.split() for one in lines["seq.out"]],
                [one.strip() for one in lines["label"]],
            )
    return found


def conll2003(folder: Path) -> dict[str, TaggedSentences]:
    """The three parts of CoNLL-2003, IOB1 as they are."""
    place = folder / "named-entity-recognition" / "conll2003"
    files = {"train": "eng.train.gz", "develop": "eng.testa.gz", "test": "eng.testb.gz"}
    return {part: read_columns(place / name) for part, name in files.items()}


@cache
def parts(name: str, quick: bool) -> dict[str, TaggedSentences]:
    """A set's three parts."""
    found = {"atis": atis, "conll2003": conll2003}[name](data_folder())
    if quick:
        found = {part: one.take(range(0, len(one), 20)) for part, one in found.items()}
    for part, one in found.items():
        print(f"{name}, {part}: {len(one):,} sentences, {one.words:,} words")
    return found


def main() -> None:
    """Run what is not done yet and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--quick", action="store_true", help="two epochs on a twentieth, to see that it runs")
    parser.add_argument("--develop", action="store_true", help="compare settings on the development part")
    parser.add_argument("--sets", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--tried", nargs="+", default=list(TRIED), choices=list(TRIED))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--checkpoints", type=Path, help="a folder in which a run that was cut off goes on")
    parser.add_argument("--stop-after", type=float, help="seconds after which no further run is begun")
    arguments = parser.parse_args()

    def work(set: str, setting: str, seed: int) -> dict:
        own = parts(set, arguments.quick)
        quick = {"max_epochs": 2, "hidden_size": 16} if arguments.quick else {}
        folder = None
        if arguments.checkpoints is not None:
            folder = arguments.checkpoints / f"{set}-{setting.replace(' ', '-')}-{seed}"
        model = SequenceTagger(
            **{**SETTINGS[set], **TRIED[setting], **quick},
            random_state=seed, progress=False, checkpoint_folder=folder,
        )  # fmt: skip
        model.fit(own["train"], validation=own["develop"])
        best = next(row for row in model.history_ if row["epoch"] == model.best_epoch_)
        if arguments.develop:
            scores = {name: best.get(f"validation_{name}") for name in MEASURES}
            return {**scores, "best_epoch": model.best_epoch_, "epochs": len(model.history_)}
        found = model.evaluate(own["test"], unknown="missed")
        others = {
            name: {key: getattr(found.scores[name], key) for key in MEASURES}
            for name in (FREQUENT, MAJORITY, TFIDF)
            if name in found.scores
        }
        scores = {key: getattr(found.scores[found.model], key) for key in MEASURES}
        return {**scores, "best_epoch": model.best_epoch_, "epochs": len(model.history_),
                "develop_f1": best["validation_f1"],
                "unknown": list(found.unknown), "by_kind": found.by_kind, "beside": others}  # fmt: skip

    settings = {"quick": arguments.quick, "settings": {name: SETTINGS[name] for name in arguments.sets}}
    name = "tagging-develop.jsonl" if arguments.develop else "tagging.jsonl"
    tried = arguments.tried if arguments.develop else ["as it is"]
    rows = []
    for one in arguments.sets:
        lines = Lines(arguments.out / name, {**settings, "settings": SETTINGS[one]})
        keys = [{"set": one, "setting": what, "seed": seed} for what in tried for seed in arguments.seeds]
        rows += lines.run(keys, work, stop_after=arguments.stop_after)
    print_table(rows, develop=arguments.develop)


def print_table(rows: list[dict], *, develop: bool) -> None:
    """Means and spreads over seeds, and the trivial methods."""
    heads = "F1 | precision | recall | intents | all right | runs"
    print(f"\n| set | method | {heads} |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, setting in dict.fromkeys((row["key"]["set"], row["key"]["setting"]) for row in rows):
        own = [row for row in rows if (row["key"]["set"], row["key"]["setting"]) == (name, setting)]
        what = setting if develop else "gatewise"
        print(_row(name, what, own, len(own)))
        for other in own[0].get("beside", {}):
            print(_row(name, other, [row["beside"][other] for row in own], len(own)))


def _row(name: str, what: str, rows: list[dict], count: int) -> str:
    shares = [{key: row[key] * 100 for key in MEASURES if row.get(key) is not None} for row in rows]
    return (
        f"| {name} | {what} | " + " | ".join(spread(shares, key, 2) for key in MEASURES[:5]) + f" | {count} |"
    )


if __name__ == "__main__":
    main()
