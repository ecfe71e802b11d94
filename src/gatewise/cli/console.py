"""What is printed, and how: results on standard output, everything else on standard error.

Modules of the command line import what is heavy (torch) inside their commands, so that --help comes at once.
"""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from gatewise.tasks.forecast import Evaluation

__all__ = ["any_console", "errors", "fail", "output", "print_evaluation", "say"]


@dataclass
class Errors:
    """How errors are shown."""

    debug: bool = False


errors = Errors()
output = Console(highlight=False)
_messages = Console(stderr=True, highlight=False)


# What stands for signs that a console may lack and that have no plain letter in them.
_PLAIN = str.maketrans(
    {"–": "-", "—": "-", "−": "-", "…": "...", "·": ".", "•": "*", "×": "x", "⊙": "*", "≤": "<=", "≥": ">=", "±": "+-"}
    | {"‘": "'", "’": "'", "“": '"', "”": '"', "→": "->", "←": "<-", "ß": "ss", "∂": "d", "√": "sqrt", "σ": "sigma"}
)  # fmt: skip


def any_console() -> None:
    """Let every text be printed on every console: a sign that it cannot show is spelt plainly, or is a question mark.

    This is about what is shown; files are UTF-8 whatever the console.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def _spelt(error: UnicodeError) -> tuple[str, int]:
    """A codec's error handler: what is printed in place of what cannot be encoded."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    plain = unicodedata.normalize("NFKD", error.object[error.start : error.end].translate(_PLAIN))
    kept = (sign if sign.isascii() else "?" for sign in plain if not unicodedata.combining(sign))
    return "".join(kept), error.end


_ERRORS = "gatewise.spelt"
codecs.register_error(_ERRORS, _spelt)


def say(text: str) -> None:
    """A sentence for people, on standard error."""
    _messages.print(text, markup=False, soft_wrap=True)


def fail(text: str, code: int = 2) -> NoReturn:
    """Print one message and leave."""
    _messages.print("[bold red]error:[/] ", end="")
    _messages.print(text, markup=False, soft_wrap=True)
    sys.exit(code)


def print_evaluation(evaluation: Evaluation) -> None:
    """The table of errors, coverage and the verdict."""
    from gatewise.report.counting import counted
    from gatewise.tasks.forecast.card import table_rows

    header, *rows = table_rows(evaluation)
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title_justify="left")
    for index, name in enumerate(header):
        shown.add_column(name, justify="left" if index == 0 else "right", no_wrap=True)
    for index, row in enumerate(rows):
        shown.add_row(*row, style="bold" if index == 0 else "")
    output.print(
        f"Held-out errors: {counted(evaluation.windows, 'forecast')}, {evaluation.span[0]} to {evaluation.span[1]}",
        soft_wrap=True,
    )
    output.print(shown)
    if evaluation.intervals:
        inside = ", ".join(
            f"{share:.1%} in the {nominal:.0%} interval" for nominal, share in evaluation.intervals.items()
        )
        output.print(f"Coverage: {inside}", soft_wrap=True)
    output.print(evaluation.verdict, style="green" if evaluation.beats_trivial else "yellow", soft_wrap=True)
