"""One step: a batch, its loss, its gradient, the optimiser; nothing that is not finite reaches a weight."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gatewise.errors import ArgumentError, ArgumentTypeError
from gatewise.train.config import TrainConfig
from gatewise.train.monitoring import Monitor
from gatewise.train.optimisation import clip_gradients, make_averaging, make_optimizer
from gatewise.train.placement import Placement
from gatewise.train.protocols import BatchSource, Objective

__all__ = ["NotFiniteError", "Stepper"]

_LOOK_EVERY = 16  # steps between two looks at a device that computes on its own
_LEAST_SCALE = 2.0**-20  # a float16 loss scale below this means that every step overflows


class NotFiniteError(ArithmeticError):
    """A number is not finite; the run turns it into an error that says all it knows.

    Attributes:
        what: "the loss", "the gradient" or "the validation loss".
        step: counted from 1.
        batch: the step's batch, where it is still known.
    """

    def __init__(self, what: str, step: int, batch: Mapping[str, Tensor] | None = None) -> None:
        super().__init__(what)
        self.what, self.step, self.batch = what, step, batch


class Stepper:
    """What a step needs: the model, the loss, the optimiser and the average of the weights.

    Args:
        model: on the placement's device.
        objective: the loss.
        batches: the training data.
        config: the optimiser's options.
        placement: device, precision and processes.

    Attributes:
        parameters: what is trained.
        optimizer: the optimiser.
        averaging: the average of the weights, or None.
        monitor: what looks on at the steps, or None.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        batches: BatchSource,
        config: TrainConfig,
        placement: Placement,
    ) -> None:
        named = [(name, one) for name, one in model.named_parameters() if one.requires_grad]
        self.parameters = [parameter for _, parameter in named]
        tell = getattr(model, "rate_factors", None)
        factors: Mapping[str, float] = tell() if callable(tell) else {}
        self.optimizer = make_optimizer(
            self.parameters, config, [factors.get(name, 1.0) for name, _ in named]
        )
        self.averaging = make_averaging(self.parameters, config)
        self.monitor: Monitor | None = None
        self._model = model
        self._rate_factor = getattr(batches, "rate_factor", None)
        self._objective, self._batches, self._placement = objective, batches, placement
        self._clip = config.gradient_clip
        self._waiting: list[tuple[int, Tensor]] = []  # (step, norm) not yet looked at
        self._loss: Callable[[Mapping[str, Tensor]], Tensor]
        if placement.world > 1:
            self._loss = placement.step_module(model, objective)
        else:
            self._loss = functools.partial(objective.loss, model)

    def step(self, epoch: int, position: int, step: int, rate: float) -> Tensor:
        """Do one step of the optimiser.

        Args:
            epoch: from 0.
            position: the step within the epoch, from 0.
            step: the step in all, from 0.
            rate: the learning rate.

        Returns:
            The loss, detached; this process's share of it where there are several.

        Raises:
            NotFiniteError: the loss or gradient is not finite; it has reached no weight.
        """
        if self.monitor is None:
            return self._step(epoch, position, step, rate)
        with self.monitor.watch(self._model, step + 1) as watch:
            scaler = self._placement.scaler
            scale = scaler.get_scale() if scaler is not None and watch.due else 1.0
            loss = self._step(epoch, position, step, rate)
            watch.tell(loss, scale)
            return loss

    def _step(self, epoch: int, position: int, step: int, rate: float) -> Tensor:
        batch = self._batches.batch(epoch, position)
        if not isinstance(batch, Mapping):
            raise ArgumentTypeError(
                f"batches: batch() must return tensors by name, came {type(batch).__name__}"
            )
        if callable(self._rate_factor):
            rate = rate * self._rate_factor(epoch, position)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        self.optimizer.zero_grad(set_to_none=True)
        weight = 1.0
        if self._placement.world > 1:
            batch, weight = self._share(batch)
        batch = self._placement.move(batch)
        with self._placement.autocast():
            loss = self._loss(batch)
        self._check_loss(loss, step + 1, batch)
        if weight != 1.0:
            loss = loss * weight
        self._descend(loss, step + 1, batch)
        if self.averaging is not None:
            self.averaging.update(step + 1)
        return loss.detach().reshape(())

    def look(self) -> None:
        """Look at the gradients' norms that no one has looked at yet.

        Raises:
            NotFiniteError: one is not finite.
        """
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            finite = torch.isfinite(torch.stack([norm for _, norm in waiting])).tolist()
            for (step, _), good in zip(waiting, finite, strict=True):
                if not good:
                    raise NotFiniteError("the gradient", step)

    def _share(self, batch: Mapping[str, Tensor]) -> tuple[Mapping[str, Tensor], float]:
        """Take this process's part of a batch, and what its loss weighs in the mean over the processes."""
        part, rows = self._placement.share(batch, getattr(self._batches, "batch_dim", 0))
        weigh = getattr(self._objective, "weight", None)
        weight = float(weigh(part)) if callable(weigh) and rows > 0 else rows
        total = self._placement.total(weight)
        return part, weight * self._placement.world / total if total > 0 else 0.0

    def _check_loss(self, loss: Any, step: int, batch: Mapping[str, Tensor]) -> None:
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            came = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            raise ArgumentTypeError(f"objective: loss() must return a tensor with one number, came {came}")
        if not loss.requires_grad:
            raise ArgumentError(
                "objective: the loss does not depend on the model's parameters; nothing can be learned "
                "from it"
            )
        # Alone among several, a process must not stop here: the others would wait. The gradient tells all.
        if loss.device.type == "cpu" and self._placement.world == 1 and not math.isfinite(loss.item()):
            raise NotFiniteError("the loss", step, batch)

    def _descend(self, loss: Tensor, step: int, batch: Mapping[str, Tensor]) -> None:
        """Differentiate, clip and step; refuse a gradient that is not finite before it reaches a weight."""
        scaler = self._placement.scaler
        if scaler is not None:
            scaler.scale(loss).backward()
            scaler.unscale_(self.optimizer)
            clip_gradients(self.parameters, self._clip)
            scaler.step(self.optimizer)  # skips a step that overflowed, and lowers the scale
            scaler.update()
            if step % _LOOK_EVERY == 0 and scaler.get_scale() < _LEAST_SCALE:
                raise NotFiniteError("the gradient", step, batch)
            return
        loss.backward()
        norm = clip_gradients(self.parameters, self._clip)
        if self._looks_at_once(norm):
            if not math.isfinite(norm.item()):
                raise NotFiniteError("the gradient", step, batch)
            self.optimizer.step()
            return
        # Looking at each norm would stall the device. Fused optimisers skip a step themselves when found_inf
        # says so (this is how torch.amp.GradScaler tells them); the step is named a little later.
        self.optimizer.found_inf = (~torch.isfinite(norm)).float()  # type: ignore[attr-defined]
        self.optimizer.grad_scale = None  # type: ignore[attr-defined]
        self.optimizer.step()
        self._waiting.append((step, norm))
        if len(self._waiting) >= _LOOK_EVERY:
            self.look()

    def _looks_at_once(self, norm: Tensor) -> bool:
        """Tell whether a norm can be read without waiting for the device."""
        return norm.device.type == "cpu" or not self.optimizer.defaults.get("fused")
