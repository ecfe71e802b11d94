"""One run of the training loop: its state, its steps, its end."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from gatewise.errors import ArgumentError, ArgumentTypeError, StoreError
from gatewise.train.checkpoint import CheckpointFolder, CheckpointWarning
from gatewise.train.config import TrainConfig
from gatewise.train.diagnosis import DivergenceError, diagnose
from gatewise.train.fingerprint import fingerprint
from gatewise.train.interrupt import Interrupt
from gatewise.train.memory import collect, restore
from gatewise.train.optimisation import Averaging, clip_gradients, make_optimizer
from gatewise.train.placement import Placement
from gatewise.train.progress import Plan, Progress, Snapshot, TimeLeft, estimate
from gatewise.train.protocols import BatchSource, History, Objective
from gatewise.train.randomness import Randomness
from gatewise.train.schedule import Schedule

__all__ = ["Run"]

_REPORT_SECONDS = 0.1
_LOOK_EVERY = 16  # steps between two looks at a device that computes on its own
_LEAST_SCALE = 2.0**-20  # a float16 loss scale below this means that every step overflows
_FINAL = ("finished", "max_steps", "patience")


class Run:
    """One run. `fit` is the way in.

    Attributes:
        epoch: the running epoch, from 0.
        position: steps done in it.
        step: steps done in all.
        history: what is given back.
        best: the best weights by name, or None.
        waited: epochs since the best.
        loss_sum: of this epoch's steps, a float64 scalar on the device.
        seconds_before: time spent before this process took over.
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
        self.objective, self.batches, self.config = objective, batches, config
        self.placement, self._progress, self._on_epoch, self._interrupt = (
            placement,
            progress,
            on_epoch,
            interrupt,
        )
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = make_optimizer(self.parameters, config)
        self._steps_per_epoch = batches.steps_per_epoch()
        self._total = min(config.max_epochs * self._steps_per_epoch, config.max_steps or 2**62)
        self.schedule = Schedule(config, self._total)
        self.averaging = Averaging(self.parameters, config.ema_decay) if config.averaging == "ema" else None
        self.randomness = Randomness(placement.device, config.seed + 1_000_003 * placement.rank)
        self.epoch = self.position = self.step = self.waited = 0
        self.history = History()
        self.best: dict[str, Tensor] | None = None
        exact = torch.float32 if placement.device.type == "mps" else torch.float64
        self.loss_sum = torch.zeros((), dtype=exact, device=placement.device)
        self.seconds_before = 0.0
        self._rate = 0.0
        self._validation_seconds = 0.0  # the last one's, and of all in this process
        self._validations_seconds = 0.0
        self._steps_here = 0
        self._waiting: list[tuple[int, Tensor]] = []  # (step, norm) not yet looked at
        self._folder: CheckpointFolder | None = None
        if config.checkpoint_folder is not None:
            identity = fingerprint(model, objective, batches, config, placement.precision)
            self._folder = CheckpointFolder(config.checkpoint_folder, identity)
        self._loss: Callable[[Mapping[str, Tensor]], Tensor]
        if placement.world > 1:
            self._loss = placement.step_module(model, objective)
        else:
            self._loss = lambda batch: objective.loss(model, batch)
        self._start = self._now = self._last_checkpoint = time.monotonic()
        self._next_report = 0.0
        self._elapsed = 0.0

    # ---- from start to end -------------------------------------------------------------------------

    def go(self) -> History:
        """Resume if there is something to resume from, train, and end with the best weights."""
        self._resume()
        self._progress.start(self._plan())
        ending = "ended by an error"
        try:
            if not self.history.stopped:
                self.history.stopped = self._train()
            ending = self._ending()
        except KeyboardInterrupt:
            ending = "stopped at once by a second Ctrl-C"
            raise
        finally:
            self._seconds()
            self._keep()
            self._progress.stop(ending)
        return self.history

    def _train(self) -> str:
        """Train until there is a reason to stop, and return it."""
        while True:
            reason = self._control()
            self.model.train()
            while self.position < self._steps_per_epoch and not reason:
                self._train_step()
                reason = self._control()
                if self._checkpoint_due() and not reason:
                    self._checkpoint()
            self._look(everything=True)
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
            if self._checkpoint_due():
                self._checkpoint()

    def _control(self) -> str:
        """Read clock and keyboard, agree with the other processes, return a reason to stop or none."""
        self._now = time.monotonic()
        self._elapsed = self.seconds_before + self._now - self._start
        asked = self._interrupt.asked
        if self.placement.world > 1:
            due = float(self._now - self._last_checkpoint >= self.config.checkpoint_every_seconds)
            self._elapsed, stop, self._due = self.placement.largest([self._elapsed, float(asked), due])
            asked = stop > 0
        if asked:
            return "interrupted"
        if self.step >= self._total and self.config.max_steps == self._total and self._total_cuts:
            return "max_steps"
        limit = self.config.max_time
        if limit is not None and self._elapsed + self._validation_seconds >= limit:
            return "max_time"
        if self._now >= self._next_report:
            self._report()
        return ""

    @property
    def _total_cuts(self) -> bool:
        """Whether max_steps ends the run before max_epochs would."""
        return self._total < self.config.max_epochs * self._steps_per_epoch

    def _epoch_reason(self) -> str:
        """Return why the run ends after an epoch, or nothing."""
        if self.epoch >= self.config.max_epochs:
            return "finished"
        if self.config.patience is not None and self.waited >= self.config.patience:
            return "patience"
        return ""

    # ---- a step ------------------------------------------------------------------------------------

    def _train_step(self) -> None:
        """Do one step of the optimiser."""
        batch = self.batches.batch(self.epoch, self.position)
        if not isinstance(batch, Mapping):
            raise ArgumentTypeError(
                f"batches: batch() must return tensors by name, came {type(batch).__name__}"
            )
        limit = self.config.max_time
        self._rate = self.schedule.rate(self.step, 0.0 if limit is None else self._elapsed / limit)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate
        self.optimizer.zero_grad(set_to_none=True)
        weight = 1.0
        if self.placement.world > 1:
            batch, weight = self._share(batch)
        batch = self.placement.move(batch)
        with self.placement.autocast():
            loss = self._loss(batch)
        self._check_loss(loss, batch)
        if weight != 1.0:
            loss = loss * weight
        self._descend(loss, batch)
        self.loss_sum += loss.detach()
        self.step += 1
        self.position += 1
        self._steps_here += 1
        if self.averaging is not None:
            self.averaging.update(self.step)

    def _share(self, batch: Mapping[str, Tensor]) -> tuple[Mapping[str, Tensor], float]:
        """Take this process's part of a batch, and what its loss weighs in the mean over the processes."""
        part, rows = self.placement.share(batch, getattr(self.batches, "batch_dim", 0))
        weigh = getattr(self.objective, "weight", None)
        weight = float(weigh(part)) if callable(weigh) and rows > 0 else rows
        total = self.placement.total(weight)
        return part, weight * self.placement.world / total if total > 0 else 0.0

    def _check_loss(self, loss: Any, batch: Mapping[str, Tensor]) -> None:
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            came = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            raise ArgumentTypeError(f"objective: loss() must return a tensor with one number, came {came}")
        if not loss.requires_grad:
            raise ArgumentError(
                "objective: the loss does not depend on the model's parameters; nothing can be learned"
            )
            # Alone among several, a process must not stop here: the others would wait. The gradient tells
            # all of them.  loss.device.type == "cpu" and self.placement.world == 1 and not
            # math.isfinite(loss.item()): ise self._diverged("the loss", self.step + 1, batch)

    def _descend(self, loss: Tensor, batch: Mapping[str, Tensor]) -> None:
        """Differentiate, clip and step; refuse a gradient that is not finite before it reaches a weight."""
        scaler = self.placement.scaler
        if scaler is not None:
            scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            scaler.unscale_(self.optimizer)
            clip_gradients(self.parameters, self.config.gradient_clip)
            scaler.step(self.optimizer)  # skips a step that overflowed, and lowers the scale
            scaler.update()
            if self.step % _LOOK_EVERY == 0 and scaler.get_scale() < _LEAST_SCALE:
                raise self._diverged("the gradient", self.step + 1, batch)
            return
        loss.backward()  # type: ignore[no-untyped-call]
        norm = clip_gradients(self.parameters, self.config.gradient_clip)
        if norm.device.type == "cpu":
            if not math.isfinite(norm.item()):
                raise self._diverged("the gradient", self.step + 1, batch)
            self.optimizer.step()
            return
        # Looking at each norm would stall the device. Fused optimisers skip a step themselves when found_inf
        # says so (this is how torch.amp.GradScaler tells them); the step is named a little later.
        self.optimizer.found_inf = (~torch.isfinite(norm)).float()  # type: ignore[attr-defined]
        self.optimizer.grad_scale = None  # type: ignore[attr-defined]
        self.optimizer.step()
        self._waiting.append((self.step + 1, norm))
        if len(self._waiting) >= _LOOK_EVERY:
            self._look()

    def _look(self, *, everything: bool = False) -> None:
        """Look at the norms of the last steps."""
        if self._waiting and (everything or len(self._waiting) >= _LOOK_EVERY):
            waiting, self._waiting = self._waiting, []
            finite = torch.isfinite(torch.stack([norm for _, norm in waiting])).tolist()
            for (step, _), good in zip(waiting, finite, strict=True):
                if not good:
                    raise self._diverged("the gradient", step, None)

    def _diverged(self, what: str, step: int, batch: Mapping[str, Tensor] | None) -> DivergenceError:
        epoch = (step - 1) // self._steps_per_epoch + 1
        text = diagnose(
            what,
            step=step,
            epoch=epoch,
            rate=self._rate,
            clip=self.config.gradient_clip,
            precision=self.placement.precision,
            batch=batch,
            model=self.model,
        )
        if self.best is not None and self.config.keep_best:
            text += f". The model holds the best weights so far, of epoch {self.history.best_epoch}"
        return DivergenceError(text, step=step, epoch=epoch, history=self.history)

    # ---- an epoch's end ----------------------------------------------------------------------------

    def _end_epoch(self) -> None:
        """Validate, remember the best, and go to the next epoch."""
        began = time.monotonic()
        train_loss = self.placement.total(self.loss_sum.item()) / self.placement.world / self.position
        averaged = self.averaging.applied() if self.averaging is not None else nullcontext()
        self.model.eval()
        with averaged:
            with torch.no_grad(), self.placement.autocast():
                measures = self._measures(self.objective.validate(self.model))
            loss = measures["loss"]
            improved = self.history.best_loss is None or loss < self.history.best_loss
            if improved:
                self.history.best_epoch, self.history.best_loss = self.epoch + 1, loss
                if self.config.keep_best:
                    self._remember()
        self._validation_seconds = time.monotonic() - began
        self._validations_seconds += self._validation_seconds
        self.waited = 0 if improved else self.waited + 1
        self.schedule.validated(loss)
        self._seconds()
        record = {"epoch": self.epoch + 1, "step": self.step, "train_loss": train_loss}
        record |= {f"validation_{name}": value for name, value in measures.items()}
        earlier = sum(before["seconds"] for before in self.history.epochs)
        record |= {"learning_rate": self._rate, "seconds": self.history.seconds - earlier}
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
        values = self.placement.agree(list(plain.values()))
        plain = dict(zip(plain, values, strict=True))
        if not math.isfinite(plain["loss"]):
            raise self._diverged("the validation loss", self.step, None)
        return plain

    def _remember(self) -> None:
        """Keep a copy of the weights as they are in the model now."""
        tensors = {
            name: value for name, value in self.model.state_dict().items() if isinstance(value, Tensor)
        }
        if self.best is None:
            self.best = {name: value.detach().clone() for name, value in tensors.items()}
        else:
            for name, value in tensors.items():
                self.best[name].copy_(value.detach())

    def _keep(self) -> None:
        """Leave the model with the weights that the run stands for, in eval mode."""
        if self.config.keep_best and self.best is not None:
            self.model.load_state_dict(self.best, strict=False)
        elif self.averaging is not None and self.step > 0:
            self.averaging.copy_into_parameters()
        self.optimizer.zero_grad(set_to_none=True)
        self.model.eval()

    # ---- checkpoints -------------------------------------------------------------------------------

    _due = 0.0

    def _checkpoint_due(self) -> bool:
        if self._folder is None:
            return False
        every = self.config.checkpoint_every_steps
        if every is not None and self.step % every == 0 and self.position > 0:
            return True
        if self.placement.world > 1:
            return self._due > 0
        return self._now - self._last_checkpoint >= self.config.checkpoint_every_seconds

    def _checkpoint(self, *, must: bool = False) -> None:
        """Write a checkpoint; if that fails, warn and train on, unless it is the run's first."""
        if self._folder is None:
            return
        self._look(everything=True)
        self._seconds()
        tensors, state = collect(self)
        if self.placement.is_main:
            try:
                self._folder.save(self.step, tensors, state)
            except StoreError as error:
                if must:
                    raise
                warnings.warn(
                    f"{error}. Training goes on; the earlier checkpoint is kept", CheckpointWarning, 2
                )
        self._now = self._last_checkpoint = time.monotonic()
        self._due = 0.0

    def _resume(self) -> None:
        """Take up the newest checkpoint, or write the first one, so that a folder that fails does so now."""
        if self._folder is None:
            return
        found = self._folder.load()
        (furthest,) = self.placement.largest([-1.0 if found is None else float(found[1].get("step", -1))])
        if found is None and furthest >= 0:
            raise StoreError(
                f"{self._folder.folder}: the processes see different checkpoints; give a folder that all of "
                "them share"
            )
        self.placement.wait()
        if found is None:
            self._checkpoint(must=True)
            return
        restore(self, *found, source=self._folder.folder)
        self._elapsed = self.seconds_before

    # ---- what is told ------------------------------------------------------------------------------

    def _seconds(self) -> None:
        self.history.seconds = self.seconds_before + time.monotonic() - self._start
        self.history.steps = self.step

    def _plan(self) -> Plan:
        return Plan(
            max_epochs=self.config.max_epochs,
            steps_per_epoch=self._steps_per_epoch,
            total_steps=self._total,
            patience=self.config.patience,
            max_time=self.config.max_time,
            step=self.step,
            device=str(self.placement.device),
            precision=self.placement.precision,
            parameters=sum(parameter.numel() for parameter in self.parameters),
        )

    def _report(self) -> None:
        """Tell the progress where the run is."""
        self._next_report = time.monotonic() + _REPORT_SECONDS
        last = self.history.epochs[-1] if self.history.epochs else None
        mean = self.loss_sum.item() / self.position if self.position else None
        if mean is None and last is not None:
            mean = last["train_loss"]
        self._progress.update(
            Snapshot(
                epoch=min(self.epoch + 1, self.config.max_epochs),
                step_in_epoch=self.position,
                step=self.step,
                train_loss=mean,
                validation_loss=None if last is None else last["validation_loss"],
                best_loss=self.history.best_loss,
                learning_rate=self._rate,
                seconds=self._elapsed,
                left=self._left(),
            )
        )

    def _left(self) -> TimeLeft:
        spent = time.monotonic() - self._start - self._validations_seconds
        limit, patience = self.config.max_time, self.config.patience
        left = self._total - self.step
        return estimate(
            steps_left=left,
            epochs_left=math.ceil((left + self.position) / self._steps_per_epoch),
            patience_epochs=None if patience is None else max(patience - self.waited, 0),
            steps_to_epoch_end=self._steps_per_epoch - self.position,
            steps_per_epoch=self._steps_per_epoch,
            step_seconds=spent / self._steps_here if self._steps_here else None,
            validation_seconds=self._validation_seconds,
            budget=None if limit is None else limit - self._elapsed,
        )

    def _ending(self) -> str:
        """Say how the run ended and what the model holds."""
        history = self.history
        reasons = {
            "finished": f"all {self.config.max_epochs} epochs done",
            "max_steps": f"all {self.config.max_steps} steps done",
            "patience": f"no improvement in {self.config.patience} epochs",
            "max_time": f"time is up (max_time={self.config.max_time})",
            "interrupted": f"stopped by Ctrl-C after step {self.step}",
        }
        text = reasons[history.stopped]
        if history.best_epoch is None:
            text += "; no epoch was validated, the weights are kept as they are"
        elif self.config.keep_best:
            text += f"; the best weights are kept, of epoch {history.best_epoch} "
            text += f"(validation loss {history.best_loss:.4g})"
        if history.stopped in ("interrupted", "max_time") and self._folder is not None:
            text += f"; to continue, run it again with {self._folder.folder}"
        return text
