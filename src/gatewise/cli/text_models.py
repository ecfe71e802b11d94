"""What `gatewise fit translate` and `fit summarize` do, and what `predict` and `evaluate` do with their folders."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gatewise.cli.console import say
from gatewise.cli.frame import (
    described,
    print_scores,
    print_written,
    training_numbers,
    write_metrics,
    write_numbers,
)
from gatewise.cli.run_folder import RunFolder
from gatewise.data.text.pairs import SOURCE, TARGET, read_column, read_pairs
from gatewise.errors import DataError
from gatewise.report.pictures import picture_png
from gatewise.store import atomic_write
from gatewise.tasks.seq2seq import Summarizer, Translator, figures
from gatewise.tasks.seq2seq.card import TextNotes
from gatewise.tasks.seq2seq.estimator import SequenceToSequence
from gatewise.tasks.seq2seq.evaluation import TextEvaluation
from gatewise.tasks.seq2seq.metrics import require
from gatewise.tasks.seq2seq.persistence import save_pairs_model
from gatewise.tasks.seq2seq.report import report_html

__all__ = ["KINDS", "TextFiles", "evaluate_texts", "fit_text_model", "predict_texts"]

KINDS: dict[str, type[SequenceToSequence]] = {"translator": Translator, "summarizer": Summarizer}
_COUNTS = {"translator": "sacrebleu", "summarizer": "rouge_score"}
Both = tuple[list[str], list[str]]


@dataclass(frozen=True)
class TextFiles:
    """Where pairs of texts lie; for each a file of sources and one of targets, the same where it holds both."""

    data: str
    targets: str | None = None
    validation: tuple[str, str] | None = None
    test: tuple[str, str] | None = None
    columns: tuple[str, str] = (SOURCE, TARGET)

    def read(self) -> Both:
        """The pairs themselves."""
        return read_pairs(self.data, self.targets, columns=self.columns)

    def read_part(self, part: tuple[str, str]) -> Both:
        """The pairs of another part."""
        return read_pairs(part[0], None if part[0] == part[1] else part[1], columns=self.columns)


def fit_text_model(
    kind: str,
    files: TextFiles,
    out: Path,
    parameters: dict[str, Any],
    *,
    test_share: float,
    overwrite: bool,
) -> bool:
    """Fit, test and write; whether Ctrl-C ended the training early.

    Args:
        kind: "translator" or "summarizer".
        files: what to fit to, to stop early by and to test on.
        out: the folder to write.
        parameters: of the estimator.
        test_share: which share of the pairs to test on where there is no file for it.
        overwrite: whether to replace what is in the folder.
    """
    begun = time.perf_counter()
    # Found out before the training, not after it.
    require(_COUNTS[kind])
    model = KINDS[kind](**parameters)
    pairs = files.read()
    name = Path(files.data).name
    if files.test is None:
        kept, held = _split(pairs, test_share)
        words = f"{len(held[0]):,} pairs that were drawn before fitting"
    else:
        kept, held = pairs, files.read_part(files.test)
        words = f"the {len(held[0]):,} pairs of {Path(files.test[0]).name}"
    validation = None if files.validation is None else files.read_part(files.validation)
    settings = {"kind": kind, "test_share": test_share, **dataclasses.asdict(files), **described(model)}
    run = RunFolder(out, settings, {"source-column": files.columns[0], "target-column": files.columns[1]})
    run.open(overwrite=overwrite)
    model.set_params(checkpoint_folder=run.checkpoints)
    say(f"{name}; fitted to {len(kept[0]):,} pairs, tested on {words}")
    with run.training():
        model.fit(*kept, validation=validation)
    notes = TextNotes(
        data=f"{name}, {len(pairs[0]):,} pairs",
        trained_on=f"{len(kept[0]):,} pairs; those that gave the test scores are not among them",
        tested_on=words,
    )
    _finish(model, held, notes, out, begun)
    return run.end(model.stopped_)


def predict_texts(
    kind: str, model: Path, data: str, out: Path | None, *, column: str | None, n_best: int | None
) -> None:
    """Write what the model says, one line for each source; with several for each, a JSON object in each line.

    Args:
        kind: of the model folder.
        model: the folder.
        data: a file of texts; "-" for the lines of standard input.
        out: a file; None for standard output. With the ending .jsonl it holds objects.
        column: what the texts are called where columns have names.
        n_best: how many for each source.
    """
    loaded = KINDS[kind].load(model)
    texts = _standard_input() if data == "-" else read_column(data, column or SOURCE)
    found = loaded.predict_n_best(texts, n_best or 1)
    if n_best is not None or (out is not None and out.name.lower().endswith(".jsonl")):
        lines = [
            json.dumps(
                {
                    SOURCE: text,
                    TARGET: own[0][0],
                    "best": [{"text": one, "score": score} for one, score in own],
                },
                ensure_ascii=False,
            )
            for text, own in zip(texts, found, strict=True)
        ]
    else:
        # One line is one text: what stands in several lines is said in one.
        lines = [" ".join(own[0][0].split("\n")) for own in found]
    content = ("\n".join(lines) + "\n").encode()
    if out is None:
        sys.stdout.buffer.write(content)
        return
    atomic_write(out, content)
    say(f"{len(texts):,} lines written to {out}")


def evaluate_texts(
    kind: str, model: Path, data: str, targets: str | None, out: Path | None, columns: tuple[str, str]
) -> None:
    """Compare with the targets in a file, and print what came out."""
    evaluation = KINDS[kind].load(model).evaluate(*read_pairs(data, targets, columns=columns))  # type: ignore[attr-defined]
    print_pairs(evaluation)
    write_numbers(evaluation, out, ascii_only=False)


def print_pairs(evaluation: TextEvaluation) -> None:
    """The table of scores, the signatures and the verdict."""
    print_scores(f"{evaluation.pairs:,} pairs", evaluation, good=evaluation.beats_trivial)


def _finish(model: SequenceToSequence, held: Both, notes: TextNotes, out: Path, begun: float) -> None:
    """Test, and write model, report, pictures and numbers."""
    evaluation = model.evaluate(*held)  # type: ignore[attr-defined]
    notes = dataclasses.replace(notes, evaluation=evaluation)
    save_pairs_model(model, out, notes)
    shown = model.attend([one.source for one in (*evaluation.best[:2], *evaluation.worst[:1])])
    seconds = time.perf_counter() - begun
    write_metrics(out, evaluation, seconds, ascii_only=False, **training_numbers(model))
    page = report_html(model, notes, shown, folder=str(out), seconds=seconds)
    atomic_write(out / "report.html", page.encode())
    atomic_write(out / "attention.png", picture_png(figures.plot_attention(shown[0])))
    print_pairs(evaluation)
    print_written(out, begun, ("attention.png", "what was attended to"))


def _split(pairs: Both, share: float) -> tuple[Both, Both]:
    """Pairs to fit to and pairs to test on; a source is on one side only."""
    names = np.unique(np.array(pairs[0], dtype=str), return_inverse=True)[1].reshape(-1)
    different = int(names.max()) + 1
    if different < 3:
        raise DataError(
            f"{different} different sources are too few to fit, stop early and test; name a --test file"
        )
    order = np.random.default_rng(0).permutation(different)
    held = np.isin(names, order[: min(max(1, round(share * different)), different - 2)])
    kept, tested = ([[side[at] for at in np.flatnonzero(where)] for side in pairs] for where in (~held, held))
    return (kept[0], kept[1]), (tested[0], tested[1])


def _standard_input() -> list[str]:
    texts = []
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            text = line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise DataError(f"standard input, line {number}: it is not UTF-8 ({error.reason})") from error
        if not text.strip():
            raise DataError(f"standard input, line {number}: it is blank; take it out")
        texts.append(text)
    if not texts:
        raise DataError("standard input is empty; give one text in each line")
    return texts
