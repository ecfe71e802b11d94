"""Ctrl-C: the first one asks the loop to stop after its step, the second one stops at once."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any, Self

__all__ = ["Interrupt"]

_NOTE = b"\nstopping after this step and keeping the best so far; Ctrl-C again stops at once\n"


class Interrupt:
    """Catches SIGINT while a block runs, in the main thread; elsewhere it does nothing.

    Args:
        loud: write a line to standard error at the first Ctrl-C.

    Attributes:
        asked: whether there was one.
    """

    def __init__(self, *, loud: bool) -> None:
        self.asked = False
        self._loud = loud
        self._before: Any = None
        self._installed = False

    def __enter__(self) -> Self:
        """Take SIGINT over, if this is the main thread and nobody has chosen to ignore it."""
        if threading.current_thread() is threading.main_thread():
            before = signal.getsignal(signal.SIGINT)
            if before is not None and before is not signal.SIG_IGN:
                self._before = before
                signal.signal(signal.SIGINT, self._handle)
                self._installed = True
        return self

    def __exit__(self, *_: object) -> None:
        """Give SIGINT back."""
        self._restore()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            self._restore()
            raise KeyboardInterrupt
        self.asked = True
        if self._loud:
            try:
                os.write(2, _NOTE)  # not through sys.stderr: the signal may have come amid its own write
            except OSError:
                return

    def _restore(self) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, self._before)
            self._installed = False
