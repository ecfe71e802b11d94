"""The training loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from gatewise.errors import ArgumentError, ArgumentTypeError, DataError
from gatewise.train.allocation import kept_memory
from gatewise.train.config import TrainConfig
from gatewise.train.interrupt import Interrupt
from gatewise.train.monitoring import Monitor, ambient, check_monitor
from gatewise.train.placement import Placement
from gatewise.train.progress import Progress, SilentProgress
from gatewise.train.protocols import BatchSource, History, Objective
from gatewise.train.randomness import isolated
from gatewise.train.run import Run

__all__ = ["fit"]


def fit(
    model: nn.Module,
    objective: Objective,
    batches: BatchSource,
    config: TrainConfig,
    *,
    progress: Progress | None = None,
    on_epoch: Callable[[Mapping[str, Any]], object] | None = None,
    monitor: Monitor | None = None,
) -> History:
    """Train a model, to the end or until patience, time or Ctrl-C ends it; resume it if it was cut off.

    The model is moved to the run's device and trained in place; at the end it holds the best weights (with
    `config.keep_best`) and is in eval mode. With `config.checkpoint_folder`, a run that was killed continues
    from its last checkpoint and ends with the very numbers of one that was not (on the same machine and
    number of threads; a run bounded by `max_time` excepted). The random generators of torch, Python and
    numpy are seeded with `config.seed` and given back as they were. Under glibc the process keeps up to 1 GiB of freed
    memory until the end, unless the environment sets malloc's thresholds.

    Ctrl-C ends the run after the step and keeps the best so far (in the main thread; the run can be
    resumed); a second one raises KeyboardInterrupt at once. Under `torchrun` or `accelerate launch`, each
    process takes its share of every batch.

    Args:
        model: what is trained, weights in float32 or float64. An optional method `rate_factors() -> dict[str, float]`
            says what single parameters' learning rates are multiplied by (discriminative fine-tuning).
        objective: the loss and the validation.
        batches: the training data, a pure function of (epoch, step).
        config: all else.
        progress: whom to tell; None tells nobody. `gatewise.train.choose()` picks what fits the terminal.
        on_epoch: called with each epoch's record (see `History.epochs`) after it; what it raises ends the
            run.
        monitor: what looks on at the steps, such as `gatewise.inspect.FlowMonitor`; None takes the one of
            `gatewise.train.monitored`, if any. Of several processes the main one is looked on.

    Returns:
        What happened.

    Raises:
        ArgumentError: an argument cannot be used (a device that is not there, a model with nothing to train).
        ArgumentTypeError: an argument has the wrong type.
        DataError: the source has no batches.
        DivergenceError: the loss or gradient is not finite; the model holds the best weights so far.
        StoreError: the checkpoints cannot be written, are all torn, or belong to another run.

    Example:
        >>> import torch
        >>> class Source:
        ...     def steps_per_epoch(self):
        ...         return 4
        ...
        ...     def batch(self, epoch, step):
        ...         x = torch.linspace(-1, 1, 8).reshape(8, 1) + step / 8
        ...         return {"x": x, "y": 3 * x}
        >>> class Squares:
        ...     def loss(self, model, batch):
        ...         return (model(batch["x"]) - batch["y"]).square().mean()
        ...
        ...     def validate(self, model):
        ...         return {"loss": float((model(torch.ones(1, 1)) - 3).square())}
        >>> config = TrainConfig(max_epochs=60, learning_rate=0.1, patience=None)
        >>> history = fit(torch.nn.Linear(1, 1), Squares(), Source(), config)
        >>> history.stopped, history.best_loss < 0.01
        ('finished', True)
    """
    _check(model, objective, batches, config, progress, on_epoch)
    check_monitor(monitor)
    placement = Placement(config)
    shown = progress if progress is not None and placement.is_main else SilentProgress()
    loud = not isinstance(shown, SilentProgress)
    with kept_memory(), isolated(placement.device), Interrupt(loud=loud) as interrupt:
        run = Run(model, objective, batches, config, placement, shown, on_epoch, interrupt)
        if placement.is_main:
            run.stepper.monitor = monitor if monitor is not None else ambient()
        return run.go()


def _check(
    model: object,
    objective: object,
    batches: object,
    config: object,
    progress: object,
    on_epoch: object,
) -> None:
    """Refuse what cannot be trained, before anything is touched."""
    if not isinstance(model, nn.Module):
        raise ArgumentTypeError(f"model: a torch.nn.Module is expected, came {type(model).__name__}")
    if not isinstance(objective, Objective):
        raise ArgumentTypeError(
            f"objective: loss(model, batch) and validate(model) are expected, came {type(objective).__name__}"
        )
    if not isinstance(batches, BatchSource):
        raise ArgumentTypeError(
            f"batches: steps_per_epoch() and batch(epoch, step) are expected, came {type(batches).__name__}"
        )
    if not isinstance(config, TrainConfig):
        raise ArgumentTypeError(f"config: a TrainConfig is expected, came {type(config).__name__}")
    if progress is not None and not isinstance(progress, Progress):
        raise ArgumentTypeError(f"progress: a Progress or None is expected, came {type(progress).__name__}")
    if on_epoch is not None and not callable(on_epoch):
        raise ArgumentTypeError(f"on_epoch: a function or None is expected, came {type(on_epoch).__name__}")
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise ArgumentError("model: it has no parameter that requires a gradient; there is nothing to train")
    if any(parameter.is_meta for parameter in trained):
        raise ArgumentError("model: its parameters are on the meta device; build it on a real one")
    steps = batches.steps_per_epoch()
    if not isinstance(steps, int) or isinstance(steps, bool):
        raise ArgumentTypeError(f"batches: steps_per_epoch() must return an integer, came {steps!r}")
    if steps < 1:
        raise DataError(
            f"batches: the source has {steps} batches per epoch; there is nothing to train on: give more "
            "rows, a smaller batch size or shorter windows"
        )
