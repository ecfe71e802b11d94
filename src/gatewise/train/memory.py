"""A run to tensors and plain JSON, and back: all that its later numbers depend on."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gatewise.errors import StoreError
from gatewise.store.weights import apply_tensors
from gatewise.train.checkpoint import CheckpointWarning

if TYPE_CHECKING:
    from gatewise.train.run import Run

__all__ = ["collect", "restore"]

_RECORD = {"epoch", "step", "train_loss", "validation_loss", "learning_rate", "seconds"}
# What taking up a state raises if the state lies about itself.
_WRONG = (KeyError, ValueError, TypeError, RuntimeError, IndexError, AttributeError, OverflowError)


def collect(run: Run) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Gather a run's state. Every process must call it; the main one's result is whole.

    Args:
        run: between two steps.

    Returns:
        The tensors by name, and the rest as plain JSON.
    """
    tensors = {
        f"model.{name}": value for name, value in run.model.state_dict().items() if isinstance(value, Tensor)
    }
    tensors |= {f"best.{name}": value for name, value in (run.best or {}).items()}
    for index, state in run.stepper.optimizer.state_dict()["state"].items():
        tensors |= {
            f"optimizer.{index}.{key}": value for key, value in state.items() if isinstance(value, Tensor)
        }
    if run.stepper.averaging is not None:
        tensors |= {f"average.{index}": value for index, value in enumerate(run.stepper.averaging.average)}
    for name, value in run.randomness.state(everything=run.placement.world > 1).items():
        for rank, part in enumerate(run.placement.gather(value)):
            tensors[f"random.{rank}.{name}"] = part
    tell = getattr(run.objective, "state_tensors", None)
    if callable(tell):
        tensors |= {f"objective.{name}": value for name, value in tell().items()}
    mean = run.placement.total(run.loss_sum.item()) / run.placement.world
    state = {
        "epoch": run.epoch,
        "position": run.position,
        "step": run.step,
        "rate": run.rate,
        "loss_sum": _code(mean),
        "waited": run.waited,
        "best_epoch": run.history.best_epoch,
        "best_loss": run.history.best_loss,
        "stopped": run.history.stopped,
        "seconds": run.history.seconds,
        "epochs": [{key: _code(value) for key, value in record.items()} for record in run.history.epochs],
        "schedule": run.schedule.state(),
        "averaging": None if run.stepper.averaging is None else run.stepper.averaging.state(),
        "scaler": None if run.placement.scaler is None else run.placement.scaler.state_dict(),
        "world": run.placement.world,
    }
    return tensors, state


def restore(run: Run, tensors: dict[str, Tensor], state: dict[str, Any], *, source: Path) -> None:
    """Put a run into the state that `collect` gathered.

    Args:
        run: freshly made, of the same fingerprint.
        tensors: the tensors by name.
        state: the rest.
        source: where they came from, for the message.

    Raises:
        StoreError: something is missing or has the wrong form.
    """
    try:
        _restore(run, tensors, state, source)
    except _WRONG as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            f"the checkpoint in {source} does not fit this run ({type(error).__name__}: {error}); remove "
            "the folder to train afresh"
        ) from error


def _restore(run: Run, tensors: dict[str, Tensor], state: dict[str, Any], source: Path) -> None:
    apply_tensors(run.model, _part(tensors, "model."), source=source)
    best = _part(tensors, "best.")
    if best:
        like = run.model.state_dict()
        run.best = {
            name: best[name].to(value.device) for name, value in like.items() if isinstance(value, Tensor)
        }
        _check_like(run.best, {name: like[name] for name in run.best})
    _restore_optimizer(run, _part(tensors, "optimizer."))
    if run.stepper.averaging is not None:
        average = _part(tensors, "average.")
        values = [average[str(index)] for index in range(len(run.stepper.parameters))]
        _check_like(dict(enumerate(values)), dict(enumerate(run.stepper.parameters)))
        run.stepper.averaging.average = [value.to(run.placement.device) for value in values]
        run.stepper.averaging.restore(state["averaging"])
    take = getattr(run.objective, "load_state_tensors", None)
    if callable(take):
        take(_part(tensors, "objective."))
    _check_course(run, state)
    run.epoch, run.position, run.step = state["epoch"], state["position"], state["step"]
    run.waited, run.rate = state["waited"], float(state["rate"])
    run.loss_sum.fill_(_decode(state["loss_sum"]))
    run.history.best_epoch = state["best_epoch"]
    run.history.best_loss = None if state["best_loss"] is None else float(state["best_loss"])
    run.history.stopped = state["stopped"]
    run.history.epochs = [
        {key: _decode(value) for key, value in record.items()} for record in state["epochs"]
    ]
    run.seconds_before = run.history.seconds = float(state["seconds"])
    run.history.steps = run.step
    run.schedule.restore(state["schedule"])
    if run.placement.scaler is not None:
        run.placement.scaler.load_state_dict(state["scaler"])
    if state["world"] != run.placement.world:
        warnings.warn(
            f"the checkpoint in {source} was written by {state['world']} processes, {run.placement.world} "
            "take it up: the result will not be the same bit for bit",
            CheckpointWarning,
            2,
        )
    own = _part(tensors, f"random.{run.placement.rank}.")
    if own:
        run.randomness.restore(own)


def _check_course(run: Run, state: dict[str, Any]) -> None:
    """Refuse numbers that no run of this length can have."""
    steps, epochs = run.steps_per_epoch, state["epochs"]
    for key, most in (("epoch", run.config.max_epochs), ("position", steps), ("step", run.total_steps)):
        _expect(type(state[key]) is int and 0 <= state[key] <= most, key, state[key])
    _expect(type(state["waited"]) is int and state["waited"] >= 0, "waited", state["waited"])
    endings = ("", "finished", "max_steps", "reached", "patience")
    _expect(state["stopped"] in endings, "stopped", state["stopped"])
    if not state["stopped"]:  # max_steps may end a run amid an epoch
        _expect(state["step"] == state["epoch"] * steps + state["position"], "step", state["step"])
    _expect(isinstance(epochs, list) and len(epochs) == state["epoch"], "epochs", f"{epochs}"[:80])
    for index, record in enumerate(epochs):
        _expect(isinstance(record, dict) and record.keys() >= _RECORD, "epochs", record)
        _expect(record["epoch"] == index + 1, "epochs", record["epoch"])
    best = state["best_epoch"]
    _expect(
        (best is None and not epochs) or (type(best) is int and 1 <= best <= len(epochs)), "best_epoch", best
    )
    kept = run.config.keep_best and best is not None
    _expect(kept == (run.best is not None), "best weights", "missing" if kept else "some")


def _restore_optimizer(run: Run, tensors: dict[str, Tensor]) -> None:
    """Check the optimiser's tensors one by one: torch does not, and its fused kernels trust them."""
    optimizer = run.stepper.optimizer
    names = {"step", "exp_avg", "exp_avg_sq"}
    if run.config.optimizer == "sgd":
        names = {"momentum_buffer"} if run.config.momentum else set()
    states: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, _, key = name.partition(".")
        states.setdefault(int(number), {})[key] = value
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, state in states.items():
        _expect(0 <= index < len(parameters) and state.keys() == names, "optimiser", sorted(state))
        for key, value in state.items():
            shape = torch.Size() if key == "step" else parameters[index].shape
            dtype = torch.float32 if key == "step" else parameters[index].dtype
            _expect(
                value.shape == shape and value.dtype == dtype, f"optimiser {index} {key}", tuple(value.shape)
            )
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})


def _expect(true: bool, name: str, came: object) -> None:
    if not true:
        raise ValueError(f"{name} cannot be {came!r}")


def _check_like(values: dict[Any, Tensor], like: dict[Any, Tensor]) -> None:
    for name, value in values.items():
        if value.shape != like[name].shape or value.dtype != like[name].dtype:
            raise ValueError(f"{name} has shape {tuple(value.shape)} and dtype {value.dtype}")


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


def _code(value: float | int) -> float | int | str:
    """Write what JSON has no number for as text; a measure other than the loss may be NaN."""
    return value if math.isfinite(value) else str(value)


def _decode(value: Any) -> float | int:
    if isinstance(value, str):
        return float(value)
    if isinstance(value, (int, float)):
        return value
    raise TypeError(f"a number is expected, came {type(value).__name__}")
