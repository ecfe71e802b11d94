"""What the tasks' model folders have in common."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from gatewise.errors import GatewiseError, StoreError
from gatewise.spec import Program
from gatewise.store.documents import plain
from gatewise.tasks.base import Estimator

__all__ = [
    "give_found", "plain", "restored_parameters", "restored_plan", "restoring", "stored_found", "stored_parameters",
    "stored_plan", "stored_weights",
]  # fmt: skip

# Where it runs, how it tells of it and what it was drawn from is the loading side's business.
_NOT_STORED = ("checkpoint_folder", "random_state", "cell", "device")
_FOUND = ("history_", "best_epoch_", "stopped_", "fit_seconds_", "validation_")


@contextmanager
def restoring(path: Path, what: str) -> Iterator[None]:
    """Turns whatever a damaged config.json leads to into a StoreError that names the folder.

    Args:
        path: the model folder.
        what: what it should hold, with its article.

    Example:
        >>> with restoring(Path("run"), "a forecaster"):
        ...     {}["network"]
        Traceback (most recent call last):
            ...
        gatewise.errors.StoreError: run does not hold a forecaster that this version can read (KeyError: 'network'); ...
    """
    try:
        yield
    except StoreError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, GatewiseError) as error:
        raise StoreError(
            f"{path} does not hold {what} that this version can read ({type(error).__name__}: {error}); save the "
            "model anew"
        ) from error


def stored_parameters(estimator: Any, *left_out: str) -> dict[str, Any]:
    """The parameters of an estimator as JSON can hold them; a cell that is no name is None, the plan has its program.

    Args:
        estimator: fitted.
        *left_out: further names that are not stored.
    """
    own = {
        name: value
        for name, value in estimator.get_params().items()
        if name not in _NOT_STORED and name not in left_out
    }
    found: dict[str, Any] = plain(
        own | {"cell": estimator.cell if isinstance(estimator.cell, str) else None}, exact="parameters"
    )
    return found


def restored_parameters(config: dict[str, Any], program: Program) -> dict[str, Any]:
    """The same back from a folder's config.json."""
    parameters = dict(config["parameters"])
    return parameters | {"cell": parameters["cell"] or program}


def stored_plan(plan: Any, **instead: Any) -> dict[str, Any]:
    """A network's plan, a dataclass with a program, as JSON can hold it.

    Args:
        plan: the plan.
        **instead: what stands for fields that JSON cannot hold as they are.
    """
    own = {field.name: getattr(plan, field.name) for field in fields(plan)}
    found: dict[str, Any] = plain(own | {"program": json.loads(plan.program.to_json())} | instead)
    return found


def restored_plan(stored: dict[str, Any]) -> dict[str, Any]:
    """The fields of a plan from what `stored_plan` gave; lists are still lists."""
    return dict(stored) | {"program": Program.from_json(json.dumps(stored["program"]))}


def stored_weights(network: nn.Module) -> dict[str, Tensor]:
    """A network's weights on the CPU, none sharing memory with another."""
    return {name: value.detach().cpu().contiguous().clone() for name, value in network.state_dict().items()}


def stored_found(estimator: Estimator, *further: str) -> dict[str, Any]:
    """What `fit` found out about the training, and further attributes, as JSON can hold it."""
    found: dict[str, Any] = plain({name: getattr(estimator, name) for name in (*_FOUND, *further)})
    return found


def give_found(estimator: Estimator, config: dict[str, Any], *further: str) -> None:
    """Set what `stored_found` gave."""
    for name in (*_FOUND, *further):
        setattr(estimator, name, config["found"][name])
