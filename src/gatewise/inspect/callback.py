"""A monitor of the gradient's flow during training, for `gatewise.train.fit` and for loops of one's own."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from gatewise.errors import ArgumentError, ArgumentTypeError
from gatewise.inspect.flow_log import FlowLog, FlowRecord, MonitoredLayer
from gatewise.inspect.replay import Seen, look, replay
from gatewise.inspect.updates import Updates
from gatewise.nn import Recurrent
from gatewise.nn.arguments import no_type_check

__all__ = ["FlowMonitor"]


class FlowMonitor:
    """Looks at the gradient's way through every recurrent layer of a model, every so many steps.

    A step that is looked at runs as any other. Beside it the monitor keeps what went into the recurrent layers and the
    gradients that came back to their outputs; after the step it runs those layers once more on them, with the same
    weights and the same dropout, and takes the norms of d loss / d h_t by distance from each sequence's end. Four of
    the sequences show how much of a gradient in a random direction arrives so many steps earlier (`reach`). No random
    number of the training is drawn, and no tensor of it is touched: a run that is looked at ends with the same bits.

    Layers inside torch.compile are not seen; a layer that is called one step at a time gives no lags.

    Args:
        every: The first step and each multiple of so many are looked at.
        path: A JSONL file that each record is appended to as one line, or None.
        lags: How many distances from the end, spread evenly over the logarithm.

    Attributes:
        records: What was seen, in order.

    Raises:
        ArgumentError: A value out of range.
        ArgumentTypeError: A wrong type.
        StoreError: The file cannot be written.

    Example:
        With `gatewise.train.fit(..., monitor=monitor)`, around an estimator's `fit` by `gatewise.train.monitored`, or
        in a loop:

        >>> import torch
        >>> from gatewise import inspect, nn
        >>> model, monitor = nn.LSTM(3, 8), inspect.FlowMonitor(every=10)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> for _ in range(20):
        ...     with monitor.watch(model) as watch:
        ...         loss = model(torch.ones(12, 4, 3))[0][-1].square().mean()
        ...         optimizer.zero_grad()
        ...         loss.backward()
        ...         optimizer.step()
        ...         watch.tell(loss)
        >>> [record.step for record in monitor.records], monitor.records[0].layers[0].name
        ([1, 10, 20], 'layer 0')
    """

    @no_type_check
    def __init__(
        self, every: int = 100, *, path: str | os.PathLike[str] | None = None, lags: int = 24
    ) -> None:
        for name, value, least in (("every", every, 1), ("lags", lags, 2)):
            if not isinstance(value, int) or isinstance(value, bool):
                raise ArgumentTypeError(f"{name}: expected an integer, got {value!r:.60}")
            if value < least:
                raise ArgumentError(f"{name}: expected at least {least}, got {value}")
        if path is not None and not isinstance(path, str | os.PathLike):
            raise ArgumentTypeError(f"path: expected a path or None, got {type(path).__name__}")
        self.every, self.lags = every, lags
        self.records: list[FlowRecord] = []
        self._log = None if path is None else FlowLog(Path(path))
        self._run = self._step = 0

    @no_type_check
    def watch(self, model: torch.nn.Module, step: int | None = None) -> AbstractContextManager[Any]:
        """What to do one step of a training within: loss, backward pass and the optimiser's update.

        Args:
            model: What is trained.
            step: Counted from 1; None counts the calls. A step that is not above the last one begins another run.

        Returns:
            A context whose value has `due`, whether this step is looked at, and `tell(loss)`, which is optional.

        Raises:
            ArgumentTypeError: Not a torch module, or a step that is no integer.
            ArgumentError: A step below 1.
        """
        if not isinstance(model, torch.nn.Module):
            raise ArgumentTypeError(f"model: expected a torch module, got {type(model).__name__}")
        if step is None:
            step = self._step + 1
        elif not isinstance(step, int) or isinstance(step, bool):
            raise ArgumentTypeError(f"step: expected an integer or None, got {step!r:.60}")
        if step < 1:
            raise ArgumentError(f"step: expected at least 1, got {step}; steps count from 1")
        if step <= self._step:
            self._run += 1
        self._step = step
        if step != 1 and step % self.every:
            return _IDLE
        return _Looking(self, model)

    def _keep(self, record: FlowRecord) -> None:
        self.records.append(record)
        if self._log is not None:
            self._log.append(record)


class _Idle:
    """A step that is not looked at."""

    due = False

    def tell(self, loss: Tensor, scale: float = 1.0) -> None:
        """Nobody listens."""

    def __enter__(self) -> _Idle:
        return self

    def __exit__(self, *_: object) -> None:
        return None


_IDLE = _Idle()


class _Looking:
    """A step that is looked at."""

    due = True

    def __init__(self, monitor: FlowMonitor, model: torch.nn.Module) -> None:
        self._monitor, self._model = monitor, model
        self._run, self._step = monitor._run, monitor._step
        self._loss: float | None = None
        self._scale = 1.0
        self._hooks = ExitStack()
        self._seen: dict[str, list[Seen]] = {}
        self._updates = Updates(model)

    def tell(self, loss: Tensor, scale: float = 1.0) -> None:
        """Hear the step's loss and the factor that its gradients carry."""
        self._loss, self._scale = float(loss.detach()), scale

    def __enter__(self) -> _Looking:
        self._updates.watch(self._hooks)
        for name, module in self._model.named_modules():
            if isinstance(module, Recurrent):
                look(module, self._seen.setdefault(name, []), self._hooks)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hooks.close()
        if kind is not None:
            return
        layers: list[MonitoredLayer] = []
        with self._updates.as_before():
            for name, seen in self._seen.items():
                layers += replay(name, seen, self._scale, self._monitor.lags)
        norm, norms = self._updates.gradients(self._scale)
        self._monitor._keep(
            FlowRecord(self._run, self._step, self._loss, norm, norms, self._updates.ratios(), tuple(layers))
        )
