"""Where a text that is being written stops: at a stop string, which is found even when tokens cut it in pieces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gatewise.errors import ArgumentError, ArgumentTypeError

__all__ = ["Stopper", "check_stops"]


class Stopper:
    """Lets a text through up to the first stop string; what may be the beginning of one waits.

    Args:
        stops: the strings.

    Attributes:
        found: whether one came; nothing is let through any more.

    Example:
        >>> stopper = Stopper(["END"])
        >>> stopper.push("one E"), stopper.push("nd EN"), stopper.push("D two"), stopper.found
        ('one ', 'End ', '', True)
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self.found = False
        self._stops, self._held = tuple(stops), ""

    def push(self, text: str) -> str:
        """What can be shown of the text so far that has not been shown."""
        if self.found:
            return ""
        if not self._stops:
            return text
        self._held += text
        places = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if places:
            self.found = True
            shown, self._held = self._held[: min(places)], ""
            return shown
        waiting = max(map(self._beginning, self._stops))
        cut = len(self._held) - waiting
        shown, self._held = self._held[:cut], self._held[cut:]
        return shown

    def flush(self) -> str:
        """What waits, when nothing follows."""
        shown, self._held = self._held, ""
        return shown

    def _beginning(self, stop: str) -> int:
        """How many of the last characters are the beginning of a stop string."""
        most = min(len(stop) - 1, len(self._held))
        return next((count for count in range(most, 0, -1) if self._held.endswith(stop[:count])), 0)


def check_stops(stop: Any) -> tuple[str, ...]:
    """One stop string or several as a tuple.

    Raises:
        ArgumentError: one is empty.
        ArgumentTypeError: one is no string.
    """
    stops = (stop,) if isinstance(stop, str) else tuple(stop or ())
    for one in stops:
        if not isinstance(one, str):
            raise ArgumentTypeError(f"stop: strings are expected, came {one!r}")
        if not one:
            raise ArgumentError("stop: an empty string would stop at once; leave it out")
    return stops
