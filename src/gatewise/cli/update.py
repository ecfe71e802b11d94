"""`gatewise update`: new rows into a model folder, without a refit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatewise.cli.console import say

__all__ = ["EXAMPLES", "update"]

EXAMPLES = """\
[bold]Example[/]

gatewise update runs/sales yesterday.csv --id shop --time day --target sold
"""


def update(
    model: Annotated[Path, typer.Argument(help="A model folder.")],
    data: Annotated[str, typer.Argument(help="The new rows: a CSV or Parquet file.")],
    out: Annotated[Path | None, typer.Option(help="The folder to write [dim](the model's own)[/].")] = None,
    identity: Annotated[
        str | None, typer.Option("--id", help="Column with the series' name [dim](unique_id)[/].")
    ] = None,
    stamp: Annotated[str | None, typer.Option("--time", help="Column with the stamp [dim](ds)[/].")] = None,
    target: Annotated[str | None, typer.Option(help="Column to forecast [dim](y)[/].")] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(help="A column to leave out; may be given several times.")
    ] = None,
) -> None:
    """Take in rows that came after those that the model knows: forecasts go on from them, nothing is refitted."""
    from gatewise.cli.reading import copy_reading, with_kept
    from gatewise.cli.source import Columns, open_source
    from gatewise.tasks import Forecaster
    from gatewise.tasks.forecast.persistence import save_forecaster

    forecaster = Forecaster.load(model)
    given = Columns(identity, stamp, target, tuple(ignore or ())).options()
    kept = with_kept(model, given, frozenset(given))
    columns = Columns(kept["id"], kept["time"], kept["target"], kept["ignore"])
    forecaster.update(open_source(data, columns).table)
    card = model / "card.md"
    text = card.read_text(encoding="utf-8") if card.is_file() else None
    save_forecaster(forecaster, out or model, card=text)
    copy_reading(model, out or model)
    fitted = forecaster.fitted_
    say(f"{out or model} now goes on from {fitted.context.show(fitted.context.stamps.max())}")
