"""Tables as plain text."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["aligned"]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """One line for each row: the first column to the left, the others to the right, two blanks between.

    Example:
        >>> print("\\n".join(aligned([["", "F1"], ["model", "94.7"]])))
                 F1
        model  94.7
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
