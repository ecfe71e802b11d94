"""A report's pictures: inside its page, and as files of their own for papers and slides."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from html import escape
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from gatewise.store.files import atomic_write, make_folder

__all__ = ["kept_pictures", "picture", "picture_pdf", "picture_png", "write_pictures"]

Kept = list[tuple[str, Figure]]
_kept: ContextVar[Kept | None] = ContextVar("kept", default=None)


def picture(figure: Figure, alternative: str) -> str:
    """A figure as SVG inside the page, with a text for those who do not see it."""
    kept = _kept.get()
    if kept is not None:
        kept.append((alternative, figure))
    # A fixed salt and no date: the same numbers give the same bytes.
    with rc_context({"svg.hashsalt": "gatewise", "svg.fonttype": "path"}):
        data = _saved(figure, "svg", metadata={"Date": None, "Creator": "Gatewise"})
    encoded = base64.b64encode(data).decode("ascii")
    return f'<figure><img alt="{escape(alternative)}" src="data:image/svg+xml;base64,{encoded}"></figure>'


def picture_png(figure: Figure) -> bytes:
    """A figure as PNG, sharp on screens of twice the usual density."""
    return _saved(figure, "png", dpi=160, metadata={"Software": "Gatewise"})


def picture_pdf(figure: Figure) -> bytes:
    """A figure as PDF: vectors, and letters that stay text, in the kind of font (TrueType) that journals take."""
    with rc_context({"pdf.fonttype": 42}):
        return _saved(figure, "pdf", metadata={"CreationDate": None, "Creator": "Gatewise"})


def _saved(figure: Figure, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, **options)
    return buffer.getvalue()


@contextmanager
def kept_pictures() -> Iterator[Kept]:
    """Keeps every picture that a report shows inside the block, with its text, in the order of the page.

    Example:
        >>> from gatewise.report.canvas import canvas
        >>> with kept_pictures() as kept, canvas(3.0, 2.0) as (figure, axes):
        ...     shown = picture(figure, "Loss by epoch")
        >>> [text for text, _ in kept]
        ['Loss by epoch']
    """
    kept: Kept = []
    token = _kept.set(kept)
    try:
        yield kept
    finally:
        _kept.reset(token)


def write_pictures(kept: Sequence[tuple[str, Figure]], folder: Path) -> list[str]:
    """Writes pictures as PDF and as PNG, named after their texts; returns the names.

    Args:
        kept: texts and figures.
        folder: made if need be; files of the same names are replaced.

    Raises:
        StoreError: the folder or a file cannot be written.
    """
    make_folder(folder)
    names: list[str] = []
    for text, figure in kept:
        plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:80].rstrip("-") or "picture"
        name, number = plain, 1
        while name in names:
            number += 1
            name = f"{plain}-{number}"
        names.append(name)
        atomic_write(folder / f"{name}.pdf", picture_pdf(figure))
        atomic_write(folder / f"{name}.png", picture_png(figure))
    return names
