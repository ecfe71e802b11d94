"""`gatewise fit lm`: from a text file to a language model with a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["EXAMPLES", "language"]

EXAMPLES = """\
[bold]Examples[/]

gatewise fit lm novel.txt --out runs/novel

gatewise fit lm plays.txt --level character --hidden-size 512 --max-time 600 --out runs/plays

gatewise fit lm train.txt --validation valid.txt --test test.txt --recipe awd-lstm --out runs/awd
"""


def language(
    text: Annotated[str, typer.Argument(help="A UTF-8 text file (also .gz).")],
    out: Annotated[Path, typer.Option(help="The model folder to write.")],
    level: Annotated[str, typer.Option(help="word, subword or character.")] = "word",
    validation: Annotated[
        str | None, typer.Option(help="A text to hold back [dim](the last twentieth of the text)[/].")
    ] = None,
    test: Annotated[
        str | None, typer.Option(help="A text to test on [dim](a last part that is cut off first)[/].")
    ] = None,
    test_share: Annotated[float, typer.Option(help="Which part that is.")] = 0.05,
    cell: Annotated[str, typer.Option(help="The recurrent cell; `gatewise cells` lists them.")] = "lstm",
    hidden_size: Annotated[int | None, typer.Option(help="Units of a layer [dim](256)[/].")] = None,
    num_layers: Annotated[int | None, typer.Option(help="Recurrent layers [dim](2)[/].")] = None,
    embedding_size: Annotated[int | None, typer.Option(help="Numbers that stand for a token.")] = None,
    mogrifier: Annotated[int, typer.Option(help="Rounds of gating before each step; 0: none.")] = 0,
    dropout: Annotated[float | None, typer.Option(help="Of the output [dim](by the level)[/].")] = None,
    min_count: Annotated[
        int | None, typer.Option(help="Rarer words are unknown [dim](2 for words)[/].")
    ] = None,
    vocabulary_size: Annotated[int | None, typer.Option(help="The most tokens.")] = None,
    lowercase: Annotated[bool, typer.Option("--lowercase", help="Make letters small.")] = False,
    split: Annotated[str, typer.Option(help="Words by whitespace, or simple: signs apart.")] = "whitespace",
    recipe: Annotated[
        str | None, typer.Option(help="awd-lstm: all settings of Merity et al. 2018, but for those given.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Streams side by side.")] = None,
    window: Annotated[int | None, typer.Option(help="Steps that are differentiated together.")] = None,
    max_epochs: Annotated[
        int | None, typer.Option(help="The most passes over the text [dim](20)[/].")
    ] = None,
    max_time: Annotated[float | None, typer.Option(help="Seconds for training.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The learning rate's peak.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same model.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is in the folder.")] = False,
) -> None:
    """Fit a language model, test it on text it never saw, and write a model folder with a report.

    An interrupted run goes on where it stopped, in the middle of an epoch with its hidden state, when the same command
    is given again.
    """
    from gatewise.cli.language_commands import TextFiles, fit_language

    given = {
        "level": level, "cell": cell, "hidden_size": hidden_size, "num_layers": num_layers,
        "embedding_size": embedding_size, "mogrifier": mogrifier, "dropout": dropout, "min_count": min_count,
        "vocabulary_size": vocabulary_size, "lowercase": lowercase, "split": split, "batch_size": batch_size,
        "window": window, "max_epochs": max_epochs, "max_time": max_time, "learning_rate": learning_rate,
        "random_state": seed, "device": device,
    }  # fmt: skip
    parameters = {name: value for name, value in given.items() if value is not None}
    files = TextFiles(text, validation, test, test_share)
    if fit_language(files, out, parameters, recipe=recipe, overwrite=overwrite):
        raise typer.Exit(130)
