"""`gatewise explain-cell`: a cell, or a fitted model's first recurrent layer, as an interactive page."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gatewise.cli.console import say
from gatewise.errors import ArgumentError

if TYPE_CHECKING:
    from gatewise import nn
    from gatewise.explorer import Subject

__all__ = ["EXAMPLES", "explain_cell"]

EXAMPLES = """\
[bold]Examples[/]

gatewise explain-cell lstm

gatewise explain-cell rnn_tanh --hidden 8 --steps 40 --out rnn.html

gatewise explain-cell runs/first --data beijing-air --out forecaster.html
"""
_MODEL_STEPS = 48
_CELL_STEPS = 24


def explain_cell(
    cell: Annotated[
        str,
        typer.Argument(help="A cell's name, a model folder, or a JSON file with a cell's program."),
    ],
    out: Annotated[Path | None, typer.Option(help="The page to write [dim](CELL.html)[/].")] = None,
    hidden: Annotated[int | None, typer.Option(help="For a cell: its units, 1 to 64 [dim](4)[/].")] = None,
    steps: Annotated[
        int | None, typer.Option(help="Length of the sequence, 2 to 512 [dim](24; 48 of a model)[/].")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="For a cell: of its weights [dim](0)[/].")] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="For a model: data whose first sequence is shown, as predict and evaluate read it."
        ),
    ] = None,
    units: Annotated[
        int | None, typer.Option(help="For a model: how many units are shown, at most [dim](6)[/].")
    ] = None,
    identity: Annotated[
        str | None, typer.Option("--id", help="With --data: column with the series' name.")
    ] = None,
    stamp: Annotated[str | None, typer.Option("--time", help="With --data: column with the stamp.")] = None,
    target: Annotated[str | None, typer.Option(help="With --data: column to forecast.")] = None,
    text: Annotated[str | None, typer.Option(help="With --data: column with the text.")] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(help="With --data: a column to leave out; may be given several times.")
    ] = None,
) -> None:
    """Write one HTML page to step through a cell: gates, states and gradient, live under changes of input and weights.

    The page needs no server and no network.
    """
    columns = {"id": identity, "time": stamp, "target": target, "text": text, "ignore": tuple(ignore or ())}
    if Path(cell).is_dir():
        _only("a model folder", hidden=hidden, seed=seed)
        subject = _of_model(Path(cell), data, columns, _given(steps, _MODEL_STEPS), _given(units, 6))
    else:
        _only("a cell", data=data, units=units, **columns)
        subject = _of_cell(cell, _given(hidden, 4), _given(steps, _CELL_STEPS), _given(seed, 0))
    _write(subject, out or Path(f"{Path(cell).resolve().stem if _is_path(cell) else cell}.html"))


def _given(number: int | None, default: int) -> int:
    return default if number is None else number


def _only(what: str, **options: Any) -> None:
    """Raises where an option was given that has no use."""
    for name, value in options.items():
        if value not in (None, ()):
            raise ArgumentError(f"--{name}: {what} has no use for this option; leave it out")


def _is_path(cell: str) -> bool:
    return Path(cell).exists() or cell.endswith(".json")


def _of_cell(cell: str, hidden: int, steps: int, seed: int) -> Subject:
    from gatewise import cells, explorer
    from gatewise.spec import Program
    from gatewise.store.files import read_file

    found: str | Program = cell
    if not _is_path(cell) and cell not in cells.names():
        raise ArgumentError(
            f"cell: expected a cell's name, a model folder or a JSON file with a program, got {cell!r}, which is "
            "none of them; `gatewise cells` lists the names"
        )
    if _is_path(cell):
        found = Program.from_json(read_file(cell, limit=16_000_000).decode("utf-8", errors="replace"))
    return explorer.of_cell(found, hidden, steps=steps, seed=seed)


def _of_model(folder: Path, data: str | None, columns: dict[str, Any], steps: int, units: int) -> Subject:
    """The first recurrent layer of a model folder, on the first sequence that the model reads of the data."""
    from gatewise import explorer
    from gatewise.store import model_kind

    kind = model_kind(folder)
    if data is None:
        _only("a model folder without --data", **columns)
        layer = _first_layer(folder)
        source, args, kwargs = "normal random numbers, since no --data was given", (None,), {}
    else:
        call = _first_call(kind, folder, data, columns)
        layer, args, kwargs = call.layer, call.args, call.kwargs
        source = f"the first sequence that it read of {Path(data).name}"
    direction = ", forward direction," if layer.bidirectional else ""
    origin = f"The first recurrent layer{direction} of the {kind} in “{folder.name}”, as it was fitted, on {source}."
    kwargs = {name: kwargs[name] for name in ("hx", "streams", "lengths") if name in kwargs}
    return explorer.of_layer(layer, *args[:2], **kwargs, steps=steps, units=units, origin=origin)


def _first_call(kind: str, folder: Path, data: str, columns: dict[str, Any]) -> Any:
    """What the first recurrent layer is called with when the model predicts, or, where it does not, is evaluated."""
    from gatewise import explorer
    from gatewise.cli import evaluate, predict

    readings = {**predict.READINGS, "language-model": evaluate.READINGS["language-model"]}
    reading = readings.get(kind, predict.FORECASTS)
    reading.check(kind, columns)
    options = dict.fromkeys(reading.options) | {n: v for n, v in columns.items() if n in reading.options}
    with TemporaryDirectory() as place, explorer.first_call() as calls:
        reading.run(kind, folder, data, Path(place) / "out.csv", options)
    if not calls:
        raise ArgumentError(
            f"--data: the model in {str(folder)!r} called no recurrent layer on {data!r}; leave --data out"
        )
    return calls[0]


def _first_layer(folder: Path) -> nn.Recurrent:
    """The first recurrent layer of a loaded model."""
    from gatewise import nn, tasks
    from gatewise.inspect.recording import networks_of

    networks = networks_of(tasks.load(folder)).values()
    layers = (
        module for network in networks for module in network.modules() if isinstance(module, nn.Recurrent)
    )
    layer = next(layers, None)
    if layer is None:
        raise ArgumentError(f"{str(folder)!r}: the model has no recurrent layer; name a cell instead")
    return layer


def _write(subject: Subject, out: Path) -> None:
    from gatewise import explorer
    from gatewise.store import atomic_write

    if out.is_dir():
        raise ArgumentError(
            f"--out: {str(out)!r} is a folder; name a file, such as {str(out / 'page.html')!r}"
        )
    atomic_write(out, explorer.page(subject).encode("utf-8"))
    say(f"written to {out}: {subject.title}, {subject.steps} steps; open it in a browser")
