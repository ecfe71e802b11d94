"""What happens to calls of other threads when the process ends.

A daemon thread that comes back from C++ while the interpreter is taken down is thrown out of it by Python, which C++
answers by aborting the whole process, with exit code 134 after all work is done; torch's own layers do so too. Threads
that are in a call are therefore ended by SystemExit before the interpreter is.
"""

from __future__ import annotations

import atexit
import ctypes
import sys
import threading
import time
from types import FrameType

__all__ = ["end_calls"]

LOOK, WAIT = 0.02, 5.0
"""Seconds: how long to look for threads in a call, and how long to wait for those that were seen in one."""


def end_calls() -> None:
    """Ends every other thread that is in a call of Gatewise, and waits until it has ended, for some seconds at most."""
    own, seen = threading.get_ident(), set[int]()
    started = time.monotonic()
    while True:
        frames = {ident: frame for ident, frame in sys._current_frames().items() if ident != own}
        seen |= {ident for ident, frame in frames.items() if _is_in_a_call(frame)}
        for ident in seen & frames.keys():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(SystemExit))
        left = bool(seen & frames.keys())
        del frames
        passed = time.monotonic() - started
        if threading.active_count() == 1 or passed > (WAIT if left else LOOK):
            return
        time.sleep(0.001)


def _is_in_a_call(frame: FrameType | None) -> bool:
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).startswith("gatewise."):
            return True
        frame = frame.f_back
    return False


atexit.register(end_calls)
