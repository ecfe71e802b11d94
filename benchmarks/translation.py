"""Multi30k, English and German: an encoder-decoder with attention, beside a copy of the source and a lexicon.

    python benchmarks/translation.py --out benchmarks/results                    # the test; goes on where it stopped
    python benchmarks/translation.py --part validation --out benchmarks/results  # a look that leaves the test alone
    python benchmarks/translation.py --quick --out benchmarks/results/quick      # to see that it runs

The protocol, the same for every method:

- Multi30k task 1 (Elliott et al. 2016): 29,000 pairs to fit to.
- `--part test`: the 1,014 pairs of val stop the training early; scores on test 2016 (1,000 pairs), test 2017 (1,000)
  and MSCOCO 2017 (461). Nothing is chosen by them.
- `--part validation`: 5 % of the training pairs stop the training early; scores on val. Settings are chosen here.
- BLEU as in the papers: Moses punctuation normalisation, tokenizer and small letters on both sides (sacremoses), then
  BLEU-4 without further tokenisation, as multi-bleu.perl counts it. Beside it sacreBLEU (13a, mixed case) and chrF of
  the text as it is. Signatures are stored with the numbers.

What is said, good and bad, is printed and kept beside the results; no text of the set is in the lines of results.

Needs `pip install 'gatewise[text]' sacremoses`.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

from gatewise.tasks import Translator
from gatewise.tasks.seq2seq.baselines import learn_lexicon, word_by_word
from gatewise.tasks.seq2seq.evaluation import TextEvaluation, judge_translations
from gatewise.tasks.seq2seq.metrics import bleu, chrf

try:
    from benchmarks.resumable import Lines, data_folder, spread
except ImportError:
    from resumable import Lines, data_folder, spread

SETTINGS = {
    "cell": "gru", "hidden_size": 256, "attention": "additive", "feeding": "input", "tokens": "subword",
    "vocabulary_size": 5000, "dropout": 0.3, "label_smoothing": 0.1, "batch_size": 64, "learning_rate": 2e-3,
    "max_epochs": 20, "patience": 4, "beam_size": 5, "length_penalty": 0.8, "coverage_penalty": 0.2,
    "no_repeat_ngram": 3,
}  # fmt: skip
DIRECTIONS = {"en-de": ("en", "de"), "de-en": ("de", "en")}
BASELINES = ("copy of the source", "word by word")
TESTS = ("test_2016_flickr", "test_2017_flickr", "test_2017_mscoco")


def read(folder: Path, name: str, language: str) -> list[str]:
    """The lines of a part in a language."""
    with gzip.open(folder / f"{name}.{language}.gz", "rt", encoding="utf-8") as file:
        return [line.rstrip("\n") for line in file]


class Moses:
    """Text as the papers count it: punctuation normalised, tokenised, in small letters."""

    def __init__(self, language: str) -> None:
        from sacremoses import MosesPunctNormalizer, MosesTokenizer

        self._normal, self._tokens = MosesPunctNormalizer(lang=language), MosesTokenizer(lang=language)

    def __call__(self, texts: list[str]) -> list[str]:
        """Each text."""
        return [
            self._tokens.tokenize(self._normal.normalize(text), return_str=True, escape=False).lower()
            for text in texts
        ]


def scores(said: list[str], expected: list[str], language: str, prefix: str) -> dict:
    """BLEU as in the papers, sacreBLEU and chrF, with their signatures."""
    moses = Moses(language)
    counted = {
        "bleu_tokenised": bleu(moses(said), moses(expected), tokenize="none"),
        "sacrebleu": bleu(said, expected),
        "chrf": chrf(said, expected),
    }
    found = {f"{prefix}{name}": round(one.value, 3) for name, one in counted.items()}
    return found | {f"{prefix}{name}_signature": one.signature for name, one in counted.items()}


def keep_examples(path: Path, evaluation: TextEvaluation) -> None:
    """Print the best and the worst, and keep them beside the results: the sets' texts are in no line of results."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {kind: [vars(one) for one in getattr(evaluation, kind)] for kind in ("best", "worst")}
    path.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    for kind, examples in kept.items():
        for one in examples:
            print(f"{kind}: expected {one['expected']!r}, said {one['said']!r} ({one['score']})")


def setting(name: str, value: str) -> Any:
    """A setting from its text, of the kind that it has by default."""
    default = (Translator().chosen() | SETTINGS)[name]
    return value == "True" if isinstance(default, bool) else type(default)(value)


def main() -> None:
    """Run what is not done yet and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--part", choices=("test", "validation"), default="test")
    parser.add_argument("--directions", nargs="+", default=list(DIRECTIONS), choices=list(DIRECTIONS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--pairs", type=int, help="fit to so many of the training pairs only")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="settings to change")
    parser.add_argument("--quick", action="store_true", help="one epoch on 500 pairs, to see that it runs")
    parser.add_argument(
        "--max-time", type=float, help="seconds that a training may take, resumptions included"
    )
    parser.add_argument("--stop-after", type=float, help="seconds after which no further run is begun")
    arguments = parser.parse_args()
    folder = data_folder() / "machine-translation" / "multi30k-en-de"
    changed = dict(one.split("=", 1) for one in arguments.set)
    own = SETTINGS | {name: setting(name, value) for name, value in changed.items()}
    if arguments.quick:
        own |= {"max_epochs": 1, "hidden_size": 32, "vocabulary_size": 600, "beam_size": 2}
    limit = 500 if arguments.quick else arguments.pairs
    parts = TESTS if arguments.part == "test" else ("val",)

    def work(direction: str, method: str, seed: int) -> dict:
        one, other = DIRECTIONS[direction]
        sources, targets = read(folder, "train", one)[:limit], read(folder, "train", other)[:limit]
        model = None
        if method == "word by word":
            lexicon = learn_lexicon(sources, targets)
        elif method not in BASELINES:
            name = f"translation-{arguments.part}-{direction}-{seed}-{limit or 'all'}"
            name += "-quick" if arguments.quick else "".join(f"-{text}" for text in sorted(arguments.set))
            model = Translator(
                **own,
                random_state=seed,
                checkpoint_folder=arguments.out / "checkpoints" / name,
                progress=False,
                max_time=arguments.max_time,
            )
            held = (
                (read(folder, "val", one), read(folder, "val", other)) if arguments.part == "test" else None
            )
            model.fit(sources, targets, validation=held)
        found: dict = {"pairs": len(sources)}
        for part in parts:
            texts, expected = read(folder, part, one), read(folder, part, other)
            said = (
                model.predict(texts) if model is not None
                else texts if method == "copy of the source"
                else [word_by_word(text, lexicon) for text in texts]
            )  # fmt: skip
            found |= scores(said, expected, other, f"{part}_")
            if model is not None:
                evaluation = judge_translations(model.fitted_, texts, expected, said)
                keep_examples(arguments.out / f"examples-{name}-{part}.json", evaluation)
        if model is not None:
            best = model.history_[model.best_epoch_ - 1]
            found |= {"fit_seconds": round(model.fit_seconds_, 1), "epochs": len(model.history_),
                      "stopped": model.stopped_, "perplexity": best["validation_perplexity"]}  # fmt: skip
        return found

    settings = {
        "part": arguments.part,
        "quick": arguments.quick,
        "limit": limit,
        "model": own,
        "max_time": arguments.max_time,
    }
    lines = Lines(arguments.out / "translation.jsonl", settings)
    keys = [
        {"direction": direction, "method": method, "seed": seed}
        for direction in arguments.directions
        for method in (*BASELINES, own["cell"])
        for seed in (arguments.seeds if method not in BASELINES else [0])
    ]
    rows = lines.run(keys, work, stop_after=arguments.stop_after)
    for part in parts:
        print(
            f"\n{part}\n\n| direction | method | BLEU, tokenised, small letters | sacreBLEU | chrF | runs |"
        )
        print("| --- | --- | ---: | ---: | ---: | ---: |")
        for direction, method in dict.fromkeys((key["direction"], key["method"]) for key in keys):
            mine = [
                row for row in rows if (row["key"]["direction"], row["key"]["method"]) == (direction, method)
            ]
            numbers = (spread(mine, f"{part}_{name}", 2) for name in ("bleu_tokenised", "sacrebleu", "chrf"))
            print(f"| {direction} | {method} | {' | '.join(numbers)} | {len(mine)} |")


if __name__ == "__main__":
    main()
