"""A number and what it counts, in words."""

from __future__ import annotations

__all__ = ["counted"]


def counted(number: int, noun: str, several: str | None = None) -> str:
    """The number and its noun, in the singular for 1.

    Args:
        number: how many.
        noun: one of them.
        several: the plural, where it is not `noun` and an s.

    Example:
        >>> counted(1, "forecast"), counted(1200, "layer"), counted(2, "series", "series")
        ('1 forecast', '1,200 layers', '2 series')
    """
    return f"{number:,} {noun if number == 1 else several or noun + 's'}"
