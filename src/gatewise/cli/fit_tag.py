"""`gatewise fit tag`: from tagged sentences to a model folder with a report; predict and evaluate on such folders."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gatewise.cli.console import say
from gatewise.cli.frame import (
    described,
    print_scores,
    print_written,
    training_numbers,
    write_metrics,
    write_numbers,
)
from gatewise.errors import ArgumentError

if TYPE_CHECKING:
    from gatewise.data.text.columns import TaggedSentences
    from gatewise.tasks.tagging import SequenceTagger, TagEvaluation
    from gatewise.tasks.tagging.card import TagNotes

__all__ = ["EXAMPLES", "evaluate_tagger", "predict_tags", "tag"]

EXAMPLES = """\
[bold]Examples[/]

gatewise fit tag eng.train --validation eng.testa --test eng.testb --coding bioes --out runs/names

gatewise fit tag utterances.jsonl --out runs/slots

gatewise fit tag corpus.conll --tag-column 1 --scheme none --out runs/speech-parts
"""


def tag(
    data: Annotated[
        str,
        typer.Argument(
            help="CoNLL columns (a word and its tag on each line), or JSON lines with tokens and tags."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The model folder to write.")],
    test: Annotated[str | None, typer.Option(help="A file with the sentences to test on.")] = None,
    test_share: Annotated[
        float, typer.Option(help="Share of the sentences to test on, without --test.")
    ] = 0.2,
    validation: Annotated[
        str | None,
        typer.Option(help="A file with the sentences to stop early by [dim](a share of the others)[/]."),
    ] = None,
    word_column: Annotated[int, typer.Option(help="Column of the word, from 0.")] = 0,
    tag_column: Annotated[int, typer.Option(help="Column of the tag; -1 is the last.")] = -1,
    scheme: Annotated[str, typer.Option(help="Of the tags: auto, iob1, bio, bioes, or none.")] = "auto",
    coding: Annotated[str, typer.Option(help="How the network marks spans: bio or bioes.")] = "bio",
    unknown_tags: Annotated[
        str, typer.Option(help='Tags of the test that training never shows: "missed" or "error".')
    ] = "missed",
    characters: Annotated[str, typer.Option(help="cnn, lstm or none.")] = "cnn",
    head: Annotated[str, typer.Option(help="crf or softmax.")] = "crf",
    vectors: Annotated[
        str | None, typer.Option(help="A text file with word vectors, or a language model's folder.")
    ] = None,
    word_size: Annotated[int, typer.Option(help="Numbers that stand for a word.")] = 100,
    cell: Annotated[str, typer.Option(help="The recurrent cell; `gatewise cells` lists them.")] = "lstm",
    hidden_size: Annotated[int, typer.Option(help="Units of a layer in each direction.")] = 100,
    num_layers: Annotated[int, typer.Option(help="Recurrent layers.")] = 1,
    dropout: Annotated[float, typer.Option(help="Dropout in training.")] = 0.5,
    batch_size: Annotated[int, typer.Option(help="Sentences in a training batch.")] = 16,
    max_epochs: Annotated[int, typer.Option(help="The most passes over the sentences.")] = 40,
    max_time: Annotated[float | None, typer.Option(help="Seconds for training.")] = None,
    learning_rate: Annotated[float, typer.Option(help="The learning rate's peak.")] = 3e-3,
    seed: Annotated[int, typer.Option(help="The same seed gives the same model.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is in the folder.")] = False,
) -> None:
    """Fit a tagger of words, test it on sentences it never saw, and write a model folder with a report.

    Where sentences have intents ("# intent = NAME" before a sentence, "intent" in JSON), it learns these too. An
    interrupted run goes on where it stopped when the same command is given again.
    """
    if not 0 < test_share < 1:
        raise ArgumentError(f"--test-share: a number above 0 and below 1 is expected, came {test_share}")
    if unknown_tags not in ("missed", "error"):
        raise ArgumentError(f'--unknown-tags: "missed" or "error" is expected, came {unknown_tags!r}')
    parameters = {
        "scheme": scheme, "coding": coding, "characters": characters, "head": head, "vectors": vectors,
        "word_size": word_size, "cell": cell, "hidden_size": hidden_size, "num_layers": num_layers, "dropout": dropout,
        "batch_size": batch_size, "max_epochs": max_epochs, "max_time": max_time, "learning_rate": learning_rate,
        "random_state": seed, "device": device,
    }  # fmt: skip
    files = {"data": data, "test": test, "validation": validation}
    options = {"test_share": test_share, "columns": [word_column, tag_column], "unknown_tags": unknown_tags}
    if _fit(files, out, parameters, options, overwrite=overwrite):
        raise typer.Exit(130)


def predict_tags(model: Path, data: str, out: Path | None, columns: tuple[int, int] = (0, -1)) -> None:
    """Write words and their tags as columns, or as JSON lines where the file's name ends in .jsonl."""
    from gatewise.data.text.columns import TaggedSentences, read_sentences, write_columns
    from gatewise.store import atomic_write
    from gatewise.tasks.tagging import SequenceTagger

    tagger = SequenceTagger.load(model)
    sentences = read_sentences(data, tagged=False, columns=columns)
    tags, intents = tagger.fitted_.say(sentences.tokens)
    said = TaggedSentences(sentences.tokens, tags, intents)
    if out is not None and out.name.endswith((".jsonl", ".ndjson")):
        rows = [
            {"tokens": words, "tags": own, **({} if intents is None else {"intent": intents[index]})}
            for index, (words, own) in enumerate(zip(sentences.tokens, tags, strict=True))
        ]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    else:
        text = write_columns(said)
    if out is None:
        sys.stdout.buffer.write(text.encode())
        return
    atomic_write(out, text.encode())
    say(f"{len(said):,} sentences written to {out}")


def evaluate_tagger(model: Path, data: str, out: Path | None, columns: tuple[int, int] = (0, -1)) -> None:
    """Compare with the tags in a file, and print what came out."""
    from gatewise.data.text.columns import read_sentences
    from gatewise.tasks.tagging import SequenceTagger

    tagger = SequenceTagger.load(model)
    evaluation = _evaluate(tagger, read_sentences(data, columns=columns), "missed")
    print_tags(evaluation)
    write_numbers(evaluation, out)


def print_tags(evaluation: TagEvaluation) -> None:
    """The table of scores and the verdict."""
    unknown = f"Never seen in training, and so missed: {', '.join(evaluation.unknown)}"
    print_scores(
        f"{evaluation.sentences:,} sentences, {evaluation.words:,} words", evaluation,
        good=evaluation.beats_trivial, further=[unknown] if evaluation.unknown else [],
    )  # fmt: skip


def _fit(
    files: dict[str, str | None],
    out: Path,
    parameters: dict[str, Any],
    options: dict[str, Any],
    *,
    overwrite: bool,
) -> bool:
    """Fit, test and write; whether Ctrl-C ended the training early."""
    from gatewise.cli.run_folder import RunFolder
    from gatewise.data.text.columns import read_sentences
    from gatewise.tasks.tagging import SequenceTagger
    from gatewise.tasks.tagging.card import TagNotes

    begun = time.perf_counter()
    tagger = SequenceTagger(**parameters)
    columns = tuple(options["columns"])
    sentences = read_sentences(str(files["data"]), columns=columns)
    kept, held, words = _split(sentences, files["test"], options["test_share"], columns)
    validation = None if files["validation"] is None else read_sentences(files["validation"], columns=columns)
    reading = {"word-column": columns[0], "tag-column": columns[1]}
    run = RunFolder(out, {**files, **options, **described(tagger)}, reading)
    run.open(overwrite=overwrite)
    tagger.set_params(checkpoint_folder=run.checkpoints)
    name = Path(str(files["data"])).name
    say(f"{name}; fitted to {len(kept):,} sentences, tested on {words}")
    with run.training():
        tagger.fit(kept, validation=validation)
        evaluation = _evaluate(tagger, held, options["unknown_tags"])
    if tagger.vectors_ is not None:
        say(str(tagger.vectors_))
    notes = TagNotes(
        data=f"{name}, {len(sentences):,} sentences",
        trained_on=f"{len(kept):,} sentences; those that gave the test scores are not among them",
        tested_on=words,
        evaluation=evaluation,
    )
    _write(tagger, notes, out, begun)
    return run.end(tagger.stopped_)


def _write(tagger: SequenceTagger, notes: TagNotes, out: Path, begun: float) -> None:
    """Model, report and numbers."""
    from gatewise.report.pictures import picture_png
    from gatewise.store import atomic_write
    from gatewise.tasks.tagging import figures
    from gatewise.tasks.tagging.persistence import save_tagger
    from gatewise.tasks.tagging.report import report_html

    evaluation = notes.evaluation
    if evaluation is None:
        return
    save_tagger(tagger, out, notes)
    seconds = time.perf_counter() - begun
    vectors = None if tagger.vectors_ is None else tagger.vectors_.to_dict()
    write_metrics(out, evaluation, seconds, **training_numbers(tagger), vectors=vectors)
    page = report_html(tagger, dataclasses.replace(notes), folder=str(out), seconds=seconds)
    atomic_write(out / "report.html", page.encode())
    atomic_write(out / "confusion.png", picture_png(figures.plot_kinds(evaluation)))
    print_tags(evaluation)
    print_written(out, begun, ("confusion.png", "what is taken for what"))


def _evaluate(tagger: SequenceTagger, sentences: TaggedSentences, unknown: str) -> TagEvaluation:
    """Compare; intents of a file are nobody's business where the model knows none."""
    if sentences.intents is not None and not tagger.intents_:
        sentences = dataclasses.replace(sentences, intents=None)
    return tagger.evaluate(sentences, unknown=unknown)


def _split(
    sentences: TaggedSentences, test: str | None, share: float, columns: Any
) -> tuple[TaggedSentences, TaggedSentences, str]:
    """Sentences to fit to, those to test on, and the latter in words."""
    import numpy as np

    from gatewise.data.text.columns import read_sentences
    from gatewise.errors import DataError

    if test is not None:
        held = read_sentences(test, columns=columns)
        return sentences, held, f"the {len(held):,} sentences of {Path(test).name}"
    if len(sentences) == 1:
        raise DataError(
            f"DATA: several sentences are expected, came one of {sentences.words:,} words; a line holds a word and its "
            "tag, and an empty line ends a sentence: look whether the file has any"
        )
    count = max(1, round(len(sentences) * share))
    if count > len(sentences) - 2:
        raise DataError(
            f"--test-share: {len(sentences)} sentences are too few to test on {count} of them and to learn from the "
            "others; give a smaller share, or --test FILE"
        )
    order = np.random.default_rng(0).permutation(len(sentences))
    held = sentences.take(np.sort(order[:count]).tolist())
    return (
        sentences.take(np.sort(order[count:]).tolist()),
        held,
        f"{count:,} sentences that were drawn before fitting",
    )
