"""`gatewise.load`: any model folder, whatever saved it."""

from __future__ import annotations

import importlib
import pkgutil

import numpy as np
import pytest
import torch

import gatewise
from gatewise import tasks
from gatewise.errors import StoreError
from gatewise.store import save_model
from gatewise.tasks.base import Estimator
from gatewise.tasks.loading import ESTIMATORS


def estimators() -> set[type[Estimator]]:
    """Every estimator that saves itself, of all the packages of the tasks."""
    for found in pkgutil.iter_modules(tasks.__path__, "gatewise.tasks."):
        importlib.import_module(found.name)
    every, more = set(), [Estimator]
    while more:
        own = more.pop().__subclasses__()
        more += own
        every.update(
            one for one in own if one.__module__.startswith("gatewise.") and not one.__subclasses__()
        )
    return every


def test_every_estimator_that_saves_is_loaded() -> None:
    named = {getattr(importlib.import_module(place.split(":")[0]), place.split(":")[1])
             for place in ESTIMATORS.values()}  # fmt: skip
    assert named == estimators()
    assert len(named) == len(ESTIMATORS)


def test_it_is_what_was_saved(tmp_path) -> None:
    X = np.random.default_rng(0).normal(size=(30, 8, 2))
    model = gatewise.SequenceClassifier(hidden_size=4, max_epochs=1, random_state=0, progress=False).fit(
        X, X[:, :, 0].mean(axis=1) > 0
    )
    model.save(tmp_path / "model")
    loaded = gatewise.load(tmp_path / "model")
    assert type(loaded) is gatewise.SequenceClassifier
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_what_is_no_estimators(tmp_path) -> None:
    save_model(tmp_path / "model", kind="teapot", config={}, tensors={"w": torch.zeros(1)}, card="none")
    with pytest.raises(
        StoreError, match=r"a model of a kind that is known \(anomaly-detector, .*came 'teapot'"
    ):
        gatewise.load(tmp_path / "model")
    with pytest.raises(StoreError, match="there is no model folder"):
        gatewise.load(tmp_path / "nothing")
