"""`gatewise fit classify-text`: from labelled texts to a model folder; predict and evaluate on such folders."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gatewise.cli.console import output, say
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
    from gatewise.data.text.labelled import LabelledTexts
    from gatewise.tasks.classify import ClassEvaluation
    from gatewise.tasks.text_classification import TextClassifier
    from gatewise.tasks.text_classification.card import TextNotes

__all__ = ["EXAMPLES", "classify_text", "evaluate_texts", "predict_texts"]

EXAMPLES = """\
[bold]Examples[/]

gatewise fit classify-text reviews.csv --text review --label verdict --out runs/reviews

gatewise fit classify-text train.tsv --validation dev.tsv --test test.tsv --pooling max --out runs/sentiment

gatewise fit classify-text mails.jsonl --max-length 800 --out runs/mails
"""


def classify_text(
    data: Annotated[str, typer.Argument(help="A .csv or .tsv file with a header, or .jsonl.")],
    out: Annotated[Path, typer.Option(help="The model folder to write.")],
    text: Annotated[str, typer.Option(help="Column with the text.")] = "text",
    label: Annotated[str, typer.Option(help="Column with the class.")] = "label",
    test: Annotated[str | None, typer.Option(help="A file with the texts to test on.")] = None,
    test_share: Annotated[float, typer.Option(help="Share of the texts to test on, without --test.")] = 0.2,
    validation: Annotated[
        str | None,
        typer.Option(help="A file with the texts to stop early by [dim](a share of the others)[/]."),
    ] = None,
    pooling: Annotated[str, typer.Option(help="attention, mean, max or last.")] = "attention",
    vectors: Annotated[
        str | None, typer.Option(help="A text file with word vectors, or a language model's folder.")
    ] = None,
    language_model: Annotated[
        Path | None, typer.Option(help="The folder of a language model over words, to be tuned (ULMFiT).")
    ] = None,
    word_size: Annotated[int, typer.Option(help="Numbers that stand for a word.")] = 100,
    min_count: Annotated[int, typer.Option(help="Words that come less often are unknown.")] = 2,
    max_length: Annotated[int, typer.Option(help="Words that are read of a text.")] = 400,
    cell: Annotated[str, typer.Option(help="The recurrent cell; `gatewise cells` lists them.")] = "lstm",
    hidden_size: Annotated[int, typer.Option(help="Units of a layer in each direction.")] = 100,
    num_layers: Annotated[int, typer.Option(help="Recurrent layers.")] = 1,
    dropout: Annotated[float, typer.Option(help="Dropout in training.")] = 0.5,
    max_epochs: Annotated[int, typer.Option(help="The most passes over the texts.")] = 10,
    max_time: Annotated[float | None, typer.Option(help="Seconds for training.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The learning rate's peak.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same model.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is in the folder.")] = False,
) -> None:
    """Fit a classifier of texts, test it on texts it never saw, and write a model folder with a report.

    Beside it stand the majority class, logistic regression on TF-IDF and NB-SVM. An interrupted run goes on where it
    stopped when the same command is given again.
    """
    if not 0 < test_share < 1:
        raise ArgumentError(f"--test-share: a number above 0 and below 1 is expected, came {test_share}")
    parameters = {
        "pooling": pooling, "vectors": vectors, "word_size": word_size, "min_count": min_count,
        "language_model": None if language_model is None else str(language_model),
        "max_length": max_length, "cell": cell, "hidden_size": hidden_size, "num_layers": num_layers,
        "dropout": dropout, "max_epochs": max_epochs, "max_time": max_time, "learning_rate": learning_rate,
        "random_state": seed, "device": device,
    }  # fmt: skip
    files = {"data": data, "test": test, "validation": validation}
    options = {"text": text, "label": label, "test_share": test_share}
    if _fit(files, out, parameters, options, overwrite=overwrite):
        raise typer.Exit(130)


def predict_texts(model: Path, data: str, out: Path | None, text: str | None) -> None:
    """Write decisions and probabilities, as CSV to standard output where no file is named."""
    import pyarrow as pa

    from gatewise.data import write_table
    from gatewise.data.files import csv_bytes
    from gatewise.data.text.labelled import read_labelled
    from gatewise.tasks.text_classification import TextClassifier

    classifier = TextClassifier.load(model)
    texts = read_labelled(data, text=text or "text", labelled=False)
    shares = classifier.predict_proba(texts)
    table = pa.table(
        {
            "line": list(texts.lines),
            "predicted": [str(classifier.classes_[one]) for one in shares.argmax(axis=1)],
            **{f"p_{name}": shares[:, index] for index, name in enumerate(classifier.classes_)},
        }
    )
    if out is None:
        sys.stdout.buffer.write(csv_bytes(table))
        return
    write_table(table, out)
    say(f"{table.num_rows:,} rows written to {out}")


def evaluate_texts(model: Path, data: str, out: Path | None, text: str | None, label: str | None) -> None:
    """Compare with the labels in a file, and print what came out."""
    from gatewise.data.text.labelled import read_labelled
    from gatewise.tasks.text_classification import TextClassifier

    classifier = TextClassifier.load(model)
    evaluation = classifier.evaluate(read_labelled(data, text=text or "text", label=label or "label"))
    print_texts(evaluation)
    write_numbers(evaluation, out)


def print_texts(evaluation: ClassEvaluation) -> None:
    """The table of scores, the verdict, and what the linear classifiers say to it."""
    from gatewise.tasks.text_classification.card import against_words

    print_scores(f"{evaluation.labels:,} texts", evaluation, good=evaluation.beats_trivial)
    output.print(against_words(evaluation), markup=False, soft_wrap=True)


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
    from gatewise.data.text.labelled import read_labelled
    from gatewise.tasks.text_classification import TextClassifier
    from gatewise.tasks.text_classification.card import TextNotes

    begun = time.perf_counter()
    classifier = TextClassifier(**parameters)
    columns = {"text": options["text"], "label": options["label"]}
    texts = read_labelled(str(files["data"]), **columns)
    if files["test"] is not None:
        kept, held = texts, read_labelled(files["test"], **columns)
        words = f"the {len(held):,} texts of {Path(files['test']).name}"
    else:
        kept, held = _split(texts, options["test_share"])
        words = f"{len(held):,} texts that were drawn before fitting"
    validation = None if files["validation"] is None else read_labelled(files["validation"], **columns)
    run = RunFolder(out, {**files, **options, **described(classifier)}, columns)
    run.open(overwrite=overwrite)
    classifier.set_params(checkpoint_folder=run.checkpoints)
    name = Path(str(files["data"])).name
    say(f"{name}; fitted to {len(kept):,} texts, tested on {words}")
    with run.training():
        classifier.fit(kept, validation=validation)
        evaluation = classifier.evaluate(held)
    if classifier.vectors_ is not None:
        say(str(classifier.vectors_))
    notes = TextNotes(
        data=f"{name}, {len(texts):,} texts",
        trained_on=f"{len(kept):,} texts; those that gave the test scores are not among them",
        tested_on=words,
        evaluation=evaluation,
    )
    _write(classifier, notes, held.texts, out, begun)
    return run.end(classifier.stopped_)


def _write(classifier: TextClassifier, notes: TextNotes, texts: list[str], out: Path, begun: float) -> None:
    """Model, report and numbers."""
    from gatewise.report.pictures import picture_png
    from gatewise.store import atomic_write
    from gatewise.tasks.classify import figures
    from gatewise.tasks.text_classification.persistence import save_text
    from gatewise.tasks.text_classification.report import report_html

    evaluation = notes.evaluation
    if evaluation is None:
        return
    save_text(classifier, out, notes)
    seconds = time.perf_counter() - begun
    further = training_numbers(classifier) | {"temperature": classifier.temperature_}
    write_metrics(out, evaluation, seconds, **further)
    page = report_html(classifier, notes, texts, folder=str(out), seconds=seconds)
    atomic_write(out / "report.html", page.encode())
    atomic_write(out / "confusion.png", picture_png(figures.plot_confusion(evaluation)))
    print_texts(evaluation)
    print_written(out, begun, ("confusion.png", "what is taken for what"))


def _split(texts: LabelledTexts, share: float) -> tuple[LabelledTexts, LabelledTexts]:
    """Texts to fit to and texts to test on, the classes' shares alike."""
    import numpy as np

    from gatewise.errors import DataError
    from gatewise.tasks.classify.splits import hold_out

    codes = np.unique(np.array(texts.labels), return_inverse=True)[1].astype(np.int64).reshape(-1)
    kept, held = hold_out(codes, None, share, seed=0)
    if len(kept) < 2:
        raise DataError(
            "--test-share: too few texts are left to fit to; give a smaller share, or --test FILE"
        )
    return texts.take(kept.tolist()), texts.take(held.tolist())
