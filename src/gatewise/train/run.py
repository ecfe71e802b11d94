"""One run of the training loop: its state, its course, its end."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gatewise.errors import ArgumentTypeError, StoreError
from gatewise.train import telling
from gatewise.train.checkpoint import CheckpointFolder, CheckpointWarning
from gatewise.train.config import TrainConfig
from gatewise.train.diagnosis import DivergenceError, diagnose
from gatewise.train.fingerprint import fingerprint
from gatewise.train.interrupt import Interrupt
from gatewise.train.memory import collect, restore
from gatewise.train.placement import Placement
from gatewise.train.progress import Progress
from gatewise.train.protocols import BatchSource, History, Objective
from gatewise.train.randomness import Randomness
from gatewise.train.schedule import Schedule
from gatewise.train.stepper import NotFiniteError, Stepper

__all__ = ["Run"]

_REPORT_SECONDS = 0.1
_FINAL = ("finished", "max_steps", "reached", "patience")


class Run:
    """One run. `fit` is the way in and says what the arguments are.

    Attributes:
        epoch: the running epoch, from 0.
        position: steps done in it.
        step: steps done in all.
        steps_here: steps done by this process, earlier resumptions not included.
        history: what is given back.
        best: the best weights by name, or None.
        waited: epochs since the best.
        loss_sum: of this epoch's steps, a float64 scalar on the device.
        rate: the last step's learning rate.
        elapsed: seconds spent, earlier resumptions included.
        seconds_before: seconds that earlier resumptions spent.
        validation_seconds: of the last validation.
        validations_seconds: of all validations in this process.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        batches: BatchSource,
        config: TrainConfig,
        placement: Placement,
        progress: Progress,
        on_epoch: Callable[[Mapping[str, Any]], object] | None,
        interrupt: Interrupt,
    ) -> None:
        self.model = model.to(placement.device)
        self.objective, self.config, self.placement = objective, config, placement
        self._progress, self._on_epoch, self._interrupt = progress, on_epoch, interrupt
        self.stepper = Stepper(model, objective, batches, config, placement)
        self.steps_per_epoch = batches.steps_per_epoch()
        whole = config.max_epochs * self.steps_per_epoch
        self.total_steps = whole if config.max_steps is None else min(whole, config.max_steps)
        self._cut_by_steps = self.total_steps < whole
        self.schedule = Schedule(config, self.total_steps)
        self.randomness = Randomness(placement.device, config.seed + 1_000_003 * placement.rank)
        self.epoch = self.position = self.step = self.steps_here = self.waited = 0
        self.history = History()
        self.best: dict[str, Tensor] | None = None
        exact = torch.float32 if placement.device.type == "mps" else torch.float64
        self.loss_sum = torch.zeros((), dtype=exact, device=placement.device)
        self.rate = self.elapsed = self.seconds_before = 0.0
        self.validation_seconds = self.validations_seconds = 0.0
        self._folder: CheckpointFolder | None = None
        if config.checkpoint_folder is not None:
            identity = fingerprint(model, objective, batches, config, placement.precision)
            self._folder = CheckpointFolder(Path(config.checkpoint_folder), identity)
        self.started = self._now = self._last_checkpoint = time.monotonic()
        self._next_report = 0.0
        self._checkpoint_due = self._reached = False

    # ---- from start to end -------------------------------------------------------------------------

    def go(self) -> History:
        """Resume if there is something to resume from, train, and end with the best weights."""
        self._resume()
        self._progress.start(telling.plan(self))
        ending = "ended by an error"
        try:
            if not self.history.stopped:
                self.history.stopped = self._train()
            self._count()
            ending = telling.ending(self)
        except NotFiniteError as error:
            raise self._diverged(error) from None
        except KeyboardInterrupt:
            ending = "stopped at once by a second Ctrl-C"
            raise
        finally:
            self._count()
            self._keep()
            self._progress.stop(ending)
        return self.history

    def _train(self) -> str:
        """Train until there is a reason to stop, and return it."""
        while True:
            reason = self._control()
            self.model.train()
            while self.position < self.steps_per_epoch and not reason:
                self._train_step()
                reason = self._control()
                if self._checkpoint_due and not reason:
                    self._checkpoint()
            self.stepper.look()
            if reason in ("interrupted", "max_time"):
                self._checkpoint()  # before an unfinished epoch is closed: from here it can be continued
            if reason == "interrupted":
                return reason
            if self.position > 0:
                self._end_epoch()
            reason = reason or self._epoch_reason()
            if reason in _FINAL:
                self.history.stopped = reason
                self._checkpoint()
            if reason:
                return reason

    def _train_step(self) -> None:
        limit = self.config.max_time
        self.rate = self.schedule.rate(self.step, 0.0 if limit is None else self.elapsed / limit)
        self.loss_sum += self.stepper.step(self.epoch, self.position, self.step, self.rate)
        self.step += 1
        self.position += 1
        self.steps_here += 1

    def _control(self) -> str:
        """Read clock and keyboard, agree with the other processes, return a reason to stop or none."""
        self._now = time.monotonic()
        self.elapsed = self.seconds_before + self._now - self.started
        asked = self._interrupt.asked
        if self._folder is not None:
            every = self.config.checkpoint_every_steps
            late = self._now - self._last_checkpoint >= self.config.checkpoint_every_seconds
            self._checkpoint_due = late or (every is not None and self.step % every == 0)
        if self.placement.world > 1:
            mine = [self.elapsed, float(asked), float(self._checkpoint_due)]
            self.elapsed, stop, due = self.placement.largest(mine)
            asked, self._checkpoint_due = stop > 0, due > 0
        if asked:
            return "interrupted"
        if self._cut_by_steps and self.step >= self.total_steps:
            return "max_steps"
        limit = self.config.max_time
        if limit is not None and self.elapsed + self.validation_seconds >= limit:
            return "max_time"
        if self._now >= self._next_report:
            self._report()
        return ""

    def _epoch_reason(self) -> str:
        """Return why the run ends after an epoch, or nothing."""
        if self._reached:
            return "reached"
        if self.epoch >= self.config.max_epochs:
            return "finished"
        if self.config.patience is not None and self.waited >= self.config.patience:
            return "patience"
        return ""

    # ---- an epoch's end ----------------------------------------------------------------------------

    def _end_epoch(self) -> None:
        """Validate, remember the best, and go to the next epoch."""
        began = time.monotonic()
        train_loss = self.placement.total(self.loss_sum.item()) / self.placement.world / self.position
        averaging = self.stepper.averaging
        self.model.eval()
        with averaging.applied() if averaging is not None else nullcontext():
            with torch.no_grad(), self.placement.autocast():
                measures = self._measures(self.objective.validate(self.model))
            loss = measures["loss"]
            ask = getattr(self.objective, "reached", None)
            self._reached = callable(ask) and bool(ask(dict(measures)))
            improved = self.history.best_loss is None or loss < self.history.best_loss
            if improved:
                self.history.best_epoch, self.history.best_loss = self.epoch + 1, loss
                if self.config.keep_best:
                    self._remember()
        self.validation_seconds = time.monotonic() - began
        self.validations_seconds += self.validation_seconds
        self.waited = 0 if improved else self.waited + 1
        self.schedule.validated(loss)
        if averaging is not None:
            averaging.validated([*(before["validation_loss"] for before in self.history.epochs), loss])
        self._count()
        record = {"epoch": self.epoch + 1, "step": self.step, "train_loss": train_loss}
        record |= {f"validation_{name}": value for name, value in measures.items()}
        earlier = sum(before["seconds"] for before in self.history.epochs)
        record |= {"learning_rate": self.rate, "seconds": self.history.seconds - earlier}
        self.history.epochs.append(record)
        self.epoch, self.position = self.epoch + 1, 0
        self.loss_sum.zero_()
        self._report()
        self._progress.epoch(record, improved)
        if self._on_epoch is not None:
            self._on_epoch(dict(record))

    def _measures(self, measures: Any) -> dict[str, float]:
        """Check what validate() returned, and make it the same in every process."""
        if not isinstance(measures, Mapping) or "loss" not in measures:
            raise ArgumentTypeError('objective: validate() must return a dict with "loss", lower is better')
        try:
            plain = {str(name): float(value) for name, value in measures.items()}
        except (TypeError, ValueError, RuntimeError) as error:
            raise ArgumentTypeError(f"objective: validate() must return numbers by name ({error})") from error
        plain = dict(zip(plain, self.placement.agree(list(plain.values())), strict=True))
        if not math.isfinite(plain["loss"]):
            raise NotFiniteError("the validation loss", self.step)
        return plain

    def _remember(self) -> None:
        """Keep a copy of the weights as they are in the model now."""
        tensors = {
            name: value.detach()
            for name, value in self.model.state_dict().items()
            if isinstance(value, Tensor)
        }
        if self.best is None:
            self.best = {name: value.clone() for name, value in tensors.items()}
        else:
            for name, value in tensors.items():
                self.best[name].copy_(value)

    def _keep(self) -> None:
        """Leave the model with the weights that the run stands for, in eval mode."""
        averaging = self.stepper.averaging
        if self.config.keep_best and self.best is not None:
            self.model.load_state_dict(self.best, strict=False)
        elif averaging is not None and self.step > 0:
            averaging.copy_into_parameters()
        self.stepper.optimizer.zero_grad(set_to_none=True)
        self.model.eval()

    def _diverged(self, error: NotFiniteError) -> DivergenceError:
        """Say what is known of a number that is not finite."""
        epoch = max(error.step - 1, 0) // self.steps_per_epoch + 1
        text = diagnose(
            error.what,
            step=error.step,
            epoch=epoch,
            rate=self.rate,
            clip=self.config.gradient_clip,
            precision=self.placement.precision,
            batch=error.batch,
            model=self.model,
        )
        if self.best is not None and self.config.keep_best:
            text += f". The model holds the best weights so far, of epoch {self.history.best_epoch}"
        return DivergenceError(text, step=error.step, epoch=epoch, history=self.history)

    # ---- checkpoints -------------------------------------------------------------------------------

    def _checkpoint(self, *, must: bool = False) -> None:
        """Write a checkpoint; if that fails, warn and train on, unless it is the run's first."""
        if self._folder is None:
            return
        self.stepper.look()
        self._count()
        tensors, state = collect(self)
        if self.placement.is_main:
            try:
                self._folder.save(self.step, tensors, state)
            except StoreError as error:
                if must:
                    raise
                text = f"{error}. Training goes on; the earlier checkpoint is kept"
                warnings.warn(text, CheckpointWarning, stacklevel=2)
        self._last_checkpoint = time.monotonic()

    def _resume(self) -> None:
        """Take up the newest checkpoint, or write the first one, so that a folder that fails does so now."""
        if self._folder is None:
            return
        found = self._folder.load()
        step = -1.0 if found is None else float(found[1]["step"])
        if self.placement.largest([step, -step]) != [step, -step]:
            raise StoreError(
                f"{self._folder.folder}: the processes see different checkpoints; give a folder that all of "
                "them share"
            )
        if found is None:
            self._checkpoint(must=True)
        else:
            restore(self, *found, source=self._folder.folder)
            self.elapsed = self.seconds_before

    # ---- what is told ------------------------------------------------------------------------------

    def _count(self) -> None:
        self.history.seconds = self.seconds_before + time.monotonic() - self.started
        self.history.steps = self.step

    def _report(self) -> None:
        self._next_report = time.monotonic() + _REPORT_SECONDS
        self._progress.update(telling.snapshot(self))
