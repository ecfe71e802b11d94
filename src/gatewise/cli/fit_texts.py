"""`gatewise fit translate` and `gatewise fit summarize`: their options."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from gatewise.errors import ArgumentError

__all__ = ["SUMMARIZE_EXAMPLES", "TRANSLATE_EXAMPLES", "summarize", "translate"]

TRANSLATE_EXAMPLES = """\
[bold]Examples[/]

gatewise fit translate train.en train.de --validation val.en val.de --test test.en test.de --out runs/en-de

gatewise fit translate pairs.tsv --tokens word --max-time 600 --out runs/words
"""
SUMMARIZE_EXAMPLES = """\
[bold]Examples[/]

gatewise fit summarize mails.jsonl --source-column body --target-column subject --out runs/subjects
"""


def texts(
    kind: str,
    data: Annotated[
        str,
        typer.Argument(
            help="A text file with one source in each line; or a .tsv, .jsonl, .csv file with both."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The model folder to write.")],
    targets: Annotated[str | None, typer.Argument(help="A text file with the target of each line.")] = None,
    source_column: Annotated[
        str, typer.Option(help="What the source is called where columns have names.")
    ] = "source",
    target_column: Annotated[str, typer.Option(help="What the target is called.")] = "target",
    validation: Annotated[
        tuple[str, str] | None,
        typer.Option(
            help="Files with sources and targets to stop early by [dim](twice the same if it holds both)[/]."
        ),
    ] = None,
    test: Annotated[
        tuple[str, str] | None, typer.Option(help="Files with sources and targets to test on.")
    ] = None,
    test_share: Annotated[float, typer.Option(help="Share of the pairs to test on, without --test.")] = 0.1,
    cell: Annotated[str, typer.Option(help="The recurrent cell; `gatewise cells` lists them.")] = "gru",
    hidden_size: Annotated[int, typer.Option(help="Units of a layer.")] = 256,
    num_layers: Annotated[int, typer.Option(help="Recurrent layers of encoder and decoder.")] = 1,
    attention: Annotated[str, typer.Option(help="additive, dot, general or concat.")] = "additive",
    feeding: Annotated[str | None, typer.Option(help="input, context or none.")] = None,
    tokens: Annotated[str | None, typer.Option(help="subword, word, split or character.")] = None,
    vocabulary_size: Annotated[int | None, typer.Option(help="The most tokens of a vocabulary.")] = None,
    min_count: Annotated[
        int, typer.Option(help="Words that come less often have no number of their own.")
    ] = 2,
    lowercase: Annotated[
        bool, typer.Option("--lowercase", help="Make letters small, on both sides.")
    ] = False,
    shared: Annotated[bool | None, typer.Option(help="One vocabulary for both sides.")] = None,
    copy: Annotated[bool | None, typer.Option(help="Whether words of the source can be copied.")] = None,
    coverage: Annotated[float | None, typer.Option(help="Weight of the coverage loss.")] = None,
    dropout: Annotated[float, typer.Option(help="Dropout in training.")] = 0.3,
    max_source_length: Annotated[int, typer.Option(help="The most tokens of a source that are read.")] = 400,
    max_target_length: Annotated[int, typer.Option(help="The most tokens of a target.")] = 200,
    beam_size: Annotated[int, typer.Option(help="Hypotheses that are followed.")] = 5,
    length_penalty: Annotated[float | None, typer.Option(help="More favours longer targets.")] = None,
    coverage_penalty: Annotated[float | None, typer.Option(help="More favours leaving nothing out.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pairs in a batch.")] = None,
    max_epochs: Annotated[int, typer.Option(help="The most passes over the pairs.")] = 30,
    max_time: Annotated[float | None, typer.Option(help="Seconds for training.")] = None,
    learning_rate: Annotated[float, typer.Option(help="The learning rate's peak.")] = 1e-3,
    seed: Annotated[int, typer.Option(help="The same seed gives the same model.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is in the folder.")] = False,
) -> None:
    """Fit to pairs of texts, test on pairs that were never seen, and write a model folder with a report.

    An interrupted run goes on where it stopped when the same command is given again.
    """
    from gatewise.cli.text_models import TextFiles, fit_text_model

    if not 0 < test_share < 1:
        raise ArgumentError(f"--test-share: a number above 0 and below 1 is expected, came {test_share}")
    parameters = {
        "cell": cell, "hidden_size": hidden_size, "num_layers": num_layers, "attention": attention,
        "feeding": feeding, "tokens": tokens, "vocabulary_size": vocabulary_size, "min_count": min_count,
        "lowercase": lowercase, "shared_vocabulary": shared, "copy": copy, "coverage": coverage, "dropout": dropout,
        "max_source_length": max_source_length, "max_target_length": max_target_length, "beam_size": beam_size,
        "length_penalty": length_penalty, "coverage_penalty": coverage_penalty, "batch_size": batch_size,
        "max_epochs": max_epochs, "max_time": max_time, "learning_rate": learning_rate, "random_state": seed,
        "device": device,
    }  # fmt: skip
    files = TextFiles(data, targets, validation, test, (source_column, target_column))
    if fit_text_model(kind, files, out, parameters, test_share=test_share, overwrite=overwrite):
        raise typer.Exit(130)


def _command(kind: str, doc: str) -> Callable[..., None]:
    """The command for one kind of model: the same options, which are declared once."""

    def command(**options: object) -> None:
        texts(kind, **options)  # type: ignore[arg-type]

    own = inspect.signature(texts, eval_str=True)
    command.__signature__ = own.replace(  # type: ignore[attr-defined]
        parameters=[one for name, one in own.parameters.items() if name != "kind"]
    )
    command.__annotations__ = {name: hint for name, hint in texts.__annotations__.items() if name != "kind"}
    command.__doc__ = f"{doc}\n\n{(texts.__doc__ or '').partition(chr(10))[2].strip()}"
    return command


translate = _command(
    "translator", "Fit a translator to texts and their translations, test it, and write a model folder."
)
summarize = _command(
    "summarizer", "Fit a summarizer to texts and their summaries, test it, and write a model folder."
)
