"""Optimisers, gradient clipping and weight averaging: torch's own, in the device's quickest form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from gatewise.train.config import TrainConfig

__all__ = ["Averaging", "TriggeredAveraging", "clip_gradients", "make_averaging", "make_optimizer"]


def make_optimizer(
    parameters: list[nn.Parameter], config: TrainConfig, factors: Sequence[float] | None = None
) -> torch.optim.Optimizer:
    """Make the optimiser of a run.

    Weight decay goes to matrices alone: decaying a bias or a gain regularises nothing (Loshchilov & Hutter
    2019 leave it open; this is the usual practice since GPT-2).

    Args:
        parameters: what is trained, all on one device.
        config: names the optimiser.
        factors: what each parameter's learning rate is multiplied by; None: 1. Groups carry it as "factor".

    Returns:
        The optimiser, fused where the device has it: on two AVX2 cores fused AdamW took 168 microseconds a
        step for a two-layer LSTM, foreach 441.
    """
    own = [1.0] * len(parameters) if factors is None else list(factors)
    members: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for parameter, factor in zip(parameters, own, strict=True):
        members.setdefault((-factor, parameter.ndim < 2), []).append(parameter)
    groups = [
        {
            "params": members[key],
            "weight_decay": 0.0 if key[1] else float(config.weight_decay),
            "factor": -key[0],
        }
        for key in sorted(members)
    ]
    fused = all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in parameters)
    rate = float(config.learning_rate)
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=rate, fused=fused)
    if config.optimizer == "adam":
        return torch.optim.Adam(groups, lr=rate, fused=fused)
    momentum = float(config.momentum)
    return torch.optim.SGD(groups, lr=rate, momentum=momentum, nesterov=momentum > 0, fused=fused)


def clip_gradients(parameters: list[nn.Parameter], most: float | int | None) -> Tensor:
    """Scale the gradients down to a 2-norm of at most `most` over all of them (Pascanu 2013).

    Args:
        parameters: whose gradients.
        most: the largest norm, or None to leave them as they are.

    Returns:
        The norm before clipping, a scalar; not finite if any gradient is not.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients:
        return torch.zeros((), device="cpu")
    norm = nn.utils.get_total_norm(gradients, foreach=True)
    # On the CPU the norm is at hand, and most steps need no scaling; elsewhere, looking would stall.
    if most is not None and (norm.device.type != "cpu" or not norm.item() <= most):
        nn.utils.clip_grads_with_norm_(parameters, float(most), norm, foreach=True)
    return norm


def make_averaging(parameters: list[nn.Parameter], config: TrainConfig) -> Averaging | None:
    """Make the average of the weights that a run validates, if it wants one."""
    if config.averaging == "ema":
        return Averaging(parameters, config.ema_decay)
    if config.averaging == "triggered":
        return TriggeredAveraging(parameters, config.trigger_epochs)
    return None


class Averaging:
    """An exponential moving average of the weights (Polyak & Juditsky 1992, in its exponential form).

    The decay starts low, min(decay, (1 + n) / (10 + n)), so that the first weights are soon forgotten.

    Args:
        parameters: whose average.
        decay: the average's memory, above 0 and below 1.

    Attributes:
        average: one tensor per parameter.
    """

    def __init__(self, parameters: list[nn.Parameter], decay: float) -> None:
        self._parameters = parameters
        self._decay = decay
        self.average = [parameter.detach().clone() for parameter in parameters]

    def update(self, step: int) -> None:
        """Take the weights after a step (counted from 1) into the average."""
        decay = min(self._decay, (1 + step) / (10 + step))
        with torch.no_grad():
            get_ema_multi_avg_fn(decay)(self.average, self._parameters, None)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the average into the model while the block runs, then the weights back, bit for bit."""
        kept = [parameter.detach().clone() for parameter in self._parameters]
        self.copy_into_parameters()
        try:
            yield
        finally:
            _copy(kept, self._parameters)

    def copy_into_parameters(self) -> None:
        """Put the average into the model for good."""
        _copy(self.average, self._parameters)

    def validated(self, losses: Sequence[float]) -> None:
        """Take note of the validation losses of all epochs so far, the latest last."""

    def state(self) -> dict[str, int]:
        """Return what is neither a parameter nor the average, as plain JSON."""
        return {}

    def restore(self, state: dict[str, int]) -> None:
        """Take up what `state` gave."""


class TriggeredAveraging(Averaging):
    """The mean of all weights since validation stopped improving: NT-ASGD (Merity et al. 2018, algorithm 1).

    Until then it is the weights themselves.

    Args:
        parameters: whose mean.
        patience: epochs; the mean begins once a loss is above the least of those more than so many epochs ago.

    Attributes:
        count: steps in the mean; None: it has not begun.
    """

    def __init__(self, parameters: list[nn.Parameter], patience: int) -> None:
        super().__init__(parameters, 0.0)
        self._patience = patience
        self.count: int | None = None

    def update(self, step: int) -> None:
        """Take the weights after a step into the mean, if it has begun."""
        if self.count is None:
            return
        self.count += 1
        with torch.no_grad():
            torch._foreach_lerp_(self.average, [p.detach() for p in self._parameters], 1 / self.count)

    def copy_into_parameters(self) -> None:
        """Put the mean into the model for good, if there is one."""
        if self.count:
            super().copy_into_parameters()

    def validated(self, losses: Sequence[float]) -> None:
        """Begin, if the latest of all losses is above the least of those more than `patience` epochs ago."""
        earlier = losses[: -self._patience - 1]
        if self.count is None and earlier and losses[-1] > min(earlier):
            self.count = 0

    def state(self) -> dict[str, int]:
        """Return how many steps are in the mean; -1: it has not begun."""
        return {"count": -1 if self.count is None else self.count}

    def restore(self, state: dict[str, int]) -> None:
        """Take up what `state` gave."""
        count = int(state["count"])
        self.count = None if count < 0 else count


@torch.no_grad()
def _copy(source: list[Tensor], target: list[nn.Parameter]) -> None:
    for value, parameter in zip(source, target, strict=True):
        parameter.copy_(value)
