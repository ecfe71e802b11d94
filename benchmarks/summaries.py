"""AESLC: the subject line of an e-mail, by a pointer-generator, beside its first words and its longest noun-like word.

    python benchmarks/summaries.py --out benchmarks/results                    # the test; goes on where it stopped
    python benchmarks/summaries.py --part validation --out benchmarks/results  # a look that leaves the test alone
    python benchmarks/summaries.py --quick --out benchmarks/results/quick      # to see that it runs

The protocol, the same for every method:

- AESLC (Zhang & Tetreault 2019): 14,436 e-mails to fit to; body to subject line, in the set's own split.
- `--part test`: the 1,960 e-mails of dev stop the training early; scores on the 1,906 of test. Nothing is chosen by
  them.
- `--part validation`: 5 % of the training e-mails stop the training early; scores on dev. Settings are chosen here.
- F1 of ROUGE-1, ROUGE-2 and ROUGE-L on stems (rouge-score), against the original subject line; beside it the mean
  against the subject lines that three annotators wrote.

What is said, good and bad, is printed and kept beside the results; no text of the set is in the lines of results.

Needs `pip install 'gatewise[text]'`.
"""

from __future__ import annotations

import argparse
import re
import tarfile
from pathlib import Path

import numpy as np

from gatewise.tasks import Summarizer
from gatewise.tasks.seq2seq.baselines import lead, longest_noun
from gatewise.tasks.seq2seq.evaluation import judge_summaries
from gatewise.tasks.seq2seq.metrics import ROUGE_NAMES, rouge

try:
    from benchmarks.resumable import Lines, data_folder, spread
    from benchmarks.translation import keep_examples
except ImportError:
    from resumable import Lines, data_folder, spread
    from translation import keep_examples

SETTINGS = {
    "cell": "lstm", "hidden_size": 128, "attention": "additive", "feeding": "none", "tokens": "word",
    "vocabulary_size": 15_000, "min_count": 3, "lowercase": True, "coverage": 0.5, "dropout": 0.3,
    "label_smoothing": 0.0, "max_source_length": 200, "max_target_length": 30, "batch_size": 32,
    "learning_rate": 2e-3, "max_epochs": 12, "patience": 3, "beam_size": 5, "length_penalty": 1.0,
}  # fmt: skip
BASELINES = ("first words", "longest noun-like word")
ANNOTATORS = ("ann0", "ann1", "ann2")


def read(archive: Path) -> dict[str, list[dict[str, str]]]:
    """The e-mails of each part, by name: body, subject and, where there are, what annotators wrote."""
    parts: dict[str, list[dict[str, str]]] = {"train": [], "dev": [], "test": []}
    with tarfile.open(archive) as files:
        members = sorted(
            (one for one in files.getmembers() if one.name.endswith(".subject")), key=lambda one: one.name
        )
        for member in members:
            text = files.extractfile(member).read().decode("utf-8", errors="replace")
            body, *rest = re.split(r"^@(subject|ann[0-2])\s*$", text, flags=re.MULTILINE)
            fields = {
                name: " ".join(value.split()) for name, value in zip(rest[::2], rest[1::2], strict=True)
            }
            fields["body"] = " ".join(body.split())
            if fields["body"] and fields.get("subject"):
                parts[Path(member.name).parent.name].append(fields)
    return parts


def scores(said: list[str], mails: list[dict[str, str]]) -> dict:
    """ROUGE against the subject line, and the mean against those of the annotators."""
    own = rouge(said, [mail["subject"] for mail in mails])
    found: dict = {f"subject_{name}": round(own[name].value, 3) for name in ROUGE_NAMES}
    found["signature"] = own["ROUGE-1"].signature
    each = []
    for annotator in ANNOTATORS:
        there = [at for at, mail in enumerate(mails) if mail.get(annotator)]
        if there:
            each.append(rouge([said[at] for at in there], [mails[at][annotator] for at in there]))
    for name in ROUGE_NAMES if each else ():
        found[f"annotated_{name}"] = round(float(np.mean([one[name].value for one in each])), 3)
    return found


def main() -> None:
    """Run what is not done yet and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--part", choices=("test", "validation"), default="test")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--mails", type=int, help="fit to so many of the training e-mails only")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="settings to change")
    parser.add_argument("--quick", action="store_true", help="one epoch on 300 e-mails, to see that it runs")
    parser.add_argument(
        "--max-time", type=float, help="seconds that a training may take, resumptions included"
    )
    parser.add_argument("--stop-after", type=float, help="seconds after which no further run is begun")
    arguments = parser.parse_args()
    parts = read(data_folder() / "summarization" / "aeslc" / "aeslc.tar.xz")
    print(", ".join(f"{name}: {len(mails):,} e-mails" for name, mails in parts.items()), flush=True)
    changed = dict(one.split("=", 1) for one in arguments.set)
    own = SETTINGS | {name: type(SETTINGS[name])(value) for name, value in changed.items()}
    if arguments.quick:
        own |= {"max_epochs": 1, "hidden_size": 16, "vocabulary_size": 1000, "beam_size": 2}
    limit = 300 if arguments.quick else arguments.mails
    test = arguments.part == "test"
    judged = parts["test" if test else "dev"][: 200 if arguments.quick else None]

    def work(method: str, seed: int) -> dict:
        mails = parts["train"][:limit]
        sources, targets = ([mail[name] for mail in mails] for name in ("body", "subject"))
        texts = [mail["body"] for mail in judged]
        if method == "first words":
            words = float(np.mean([len(text.split()) for text in targets]))
            return scores([lead(text, words) for text in texts], judged)
        if method == "longest noun-like word":
            return scores([longest_noun(text) for text in texts], judged)
        name = f"summaries-{arguments.part}-{seed}-{limit or 'all'}"
        name += "-quick" if arguments.quick else "".join(f"-{text}" for text in sorted(arguments.set))
        model = Summarizer(
            **own,
            random_state=seed,
            checkpoint_folder=arguments.out / "checkpoints" / name,
            progress=False,
            max_time=arguments.max_time,
        )
        held = ([mail["body"] for mail in parts["dev"]], [mail["subject"] for mail in parts["dev"]])
        model.fit(sources, targets, validation=held if test else None)
        said = model.predict(texts)
        evaluation = judge_summaries(model.fitted_, texts, [mail["subject"] for mail in judged], said)
        keep_examples(arguments.out / f"examples-{name}.json", evaluation)
        best = model.history_[model.best_epoch_ - 1]
        return {
            **scores(said, judged),
            "fit_seconds": round(model.fit_seconds_, 1),
            "epochs": len(model.history_),
            "stopped": model.stopped_,
            "perplexity": best["validation_perplexity"],
        }

    settings = {
        "part": arguments.part, "quick": arguments.quick, "limit": limit, "model": own, "max_time": arguments.max_time,
    }  # fmt: skip
    lines = Lines(arguments.out / "summaries.jsonl", settings)
    keys = [
        {"method": method, "seed": seed}
        for method in (*BASELINES, own["cell"])
        for seed in (arguments.seeds if method not in BASELINES else [0])
    ]
    rows = lines.run(keys, work, stop_after=arguments.stop_after)
    for against in ("subject", "annotated"):
        print(f"\nagainst {against}\n\n| method | ROUGE-1 | ROUGE-2 | ROUGE-L | runs |")
        print("| --- | ---: | ---: | ---: | ---: |")
        for method in dict.fromkeys(key["method"] for key in keys):
            mine = [row for row in rows if row["key"]["method"] == method]
            numbers = (spread(mine, f"{against}_{name}", 2) for name in ROUGE_NAMES)
            print(f"| {method} | {' | '.join(numbers)} | {len(mine)} |")


if __name__ == "__main__":
    main()
