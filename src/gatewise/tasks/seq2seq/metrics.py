"""BLEU and chrF by sacreBLEU, ROUGE by rouge-score: their numbers, with the signatures that say what was counted."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gatewise.errors import ArgumentError

__all__ = ["ROUGE_NAMES", "Score", "bleu", "chrf", "require", "rouge", "rouge_each"]

_ROUGE = ("rouge1", "rouge2", "rougeL")
ROUGE_NAMES = ("ROUGE-1", "ROUGE-2", "ROUGE-L")


@dataclass(frozen=True)
class Score:
    """A number and what was counted.

    Args:
        value: 0 to 100.
        signature: options and version.
    """

    value: float
    signature: str


def require(library: str) -> Any:
    """The library that counts.

    Args:
        library: "sacrebleu" or "rouge_score".

    Raises:
        ArgumentError: it is not installed.
    """
    try:
        return importlib.import_module("rouge_score.rouge_scorer" if library == "rouge_score" else library)
    except ImportError as error:
        name = library.replace("_", "-")
        raise ArgumentError(
            f"scores of texts need {name}, which is not installed: python -m pip install 'gatewise[text]'"
        ) from error


def bleu(
    said: Sequence[str], expected: Sequence[str], *, lowercase: bool = False, tokenize: str = "13a"
) -> Score:
    """BLEU of a corpus (Papineni et al. 2002), counted by sacreBLEU (Post 2018).

    Args:
        said, expected: texts, in the same order.
        lowercase: whether letters are made small first.
        tokenize: sacreBLEU's tokenizer; "none" for text that is tokenised already.

    Example:
        >>> bleu(["a small dog runs"], ["a small dog runs"]).value
        100.0...
    """
    metric = require("sacrebleu").metrics.BLEU(
        lowercase=lowercase, tokenize=tokenize, force=tokenize == "none"
    )
    value = metric.corpus_score(list(said), [list(expected)]).score
    return Score(float(value), str(metric.get_signature()))


def chrf(said: Sequence[str], expected: Sequence[str]) -> Score:
    """chrF of a corpus (Popović 2015), counted by sacreBLEU."""
    metric = require("sacrebleu").metrics.CHRF()
    value = metric.corpus_score(list(said), [list(expected)]).score
    return Score(float(value), str(metric.get_signature()))


def chrf_each(said: Sequence[str], expected: Sequence[str]) -> list[float]:
    """chrF of each text."""
    metric = require("sacrebleu").metrics.CHRF()
    return [
        float(metric.sentence_score(one, [other]).score) for one, other in zip(said, expected, strict=True)
    ]


def rouge_each(said: Sequence[str], expected: Sequence[str]) -> list[tuple[float, ...]]:
    """F1 of ROUGE-1, ROUGE-2 and ROUGE-L of each text, 0 to 100, words stemmed."""
    scorer = require("rouge_score").RougeScorer(list(_ROUGE), use_stemmer=True)
    rows = (scorer.score(other, one) for one, other in zip(said, expected, strict=True))
    return [tuple(100 * float(row[name].fmeasure) for name in _ROUGE) for row in rows]


def rouge(said: Sequence[str], expected: Sequence[str]) -> dict[str, Score]:
    """ROUGE-1, ROUGE-2 and ROUGE-L of a corpus (Lin 2004): the mean F1, counted by rouge-score.

    Args:
        said, expected: texts, in the same order.

    Example:
        >>> rouge(["the small dog"], ["a small dog"])["ROUGE-2"].value
        50.0
    """
    rows = rouge_each(said, expected)
    version = importlib.metadata.version("rouge-score")
    return {
        shown: Score(
            sum(row[place] for row in rows) / len(rows),
            f"{name}|f1|mean|stemmer:porter|rouge-score:{version}",
        )
        for place, (shown, name) in enumerate(zip(ROUGE_NAMES, _ROUGE, strict=True))
    }
