"""How a measurement is taken: in turns, as medians, with the machine's own matrix-product rate beside it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

__all__ = ["copy_rate", "in_turns", "product_rate"]


def in_turns(
    first: Callable[[], object], second: Callable[[], object], seconds: float
) -> tuple[float, float]:
    """Median seconds of two jobs that run in turns for about so long, at least five times each.

    Example:
        >>> one, two = in_turns(lambda: None, lambda: None, 0.01)
        >>> one < 0.01 and two < 0.01
        True
    """
    for _ in range(2):
        first()
        second()
    times: tuple[list[float], list[float]] = ([], [])
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < 5:
        for listed, job in zip(times, (first, second), strict=True):
            start = time.perf_counter()
            job()
            listed.append(time.perf_counter() - start)
    return statistics.median(times[0]), statistics.median(times[1])


def _best(job: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        job()
        times.append(time.perf_counter() - start)
    return min(times)


def product_rate() -> float:
    """Floating-point operations a second of torch's own float32 matrix product, the best of several."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    return 2 * 1024**3 / _best(lambda: a @ b, 10)


def copy_rate() -> float:
    """Bytes a second (read and written) of a large copy, the best of several."""
    a = torch.randn(1 << 24)
    b = torch.empty_like(a)
    return 2 * 4 * (1 << 24) / _best(lambda: b.copy_(a), 6)
