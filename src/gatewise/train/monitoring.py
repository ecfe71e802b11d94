"""Looking on while a model is trained, without changing a bit of the training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from gatewise.errors import ArgumentTypeError

__all__ = ["Monitor", "Watch", "ambient", "check_monitor", "monitored"]


class Watch(Protocol):
    """What looks on during one step.

    Attributes:
        due: Whether this step is one that the monitor looks at.
    """

    due: bool

    def tell(self, loss: Tensor, scale: float = 1.0) -> None:
        """Hear the step's loss, a scalar, and what the gradients were multiplied by (float16's loss scale)."""
        ...


@runtime_checkable
class Monitor(Protocol):
    """Looks on at the steps of a training; it draws no random numbers and changes no tensor of it.

    `gatewise.inspect.FlowMonitor` is one.
    """

    def watch(self, model: nn.Module, step: int | None = None) -> AbstractContextManager[Watch]:
        """Return what to do a step within: its loss, its backward pass and the optimiser's update.

        Args:
            model: what is trained.
            step: counted from 1 over the whole run; None counts by itself.
        """
        ...


_ambient: ContextVar[Monitor | None] = ContextVar("gatewise_monitor", default=None)


def ambient() -> Monitor | None:
    """The monitor of the innermost `monitored` block, if there is one."""
    return _ambient.get()


@contextmanager
def monitored(monitor: Monitor) -> Iterator[Monitor]:
    """Every training inside the block, an estimator's too, is looked on by a monitor.

    Args:
        monitor: such as `gatewise.inspect.FlowMonitor`; a `monitor` that `fit` is given comes before it.

    Raises:
        ArgumentTypeError: it is no monitor.

    Example:
        >>> from gatewise import inspect
        >>> with monitored(inspect.FlowMonitor(every=100)) as monitor:
        ...     pass  # estimator.fit(X, y)
        >>> monitor.records
        []
    """
    check_monitor(monitor)
    token = _ambient.set(monitor)
    try:
        yield monitor
    finally:
        _ambient.reset(token)


def check_monitor(monitor: object) -> None:
    """Raises ArgumentTypeError unless it is a monitor or None."""
    if monitor is not None and not isinstance(monitor, Monitor):
        raise ArgumentTypeError(
            f"monitor: watch(model, step) or None is expected, came {type(monitor).__name__}"
        )
