"""Checkpoints: exact resume wherever a run was cut, torn files passed over, other runs refused."""

from __future__ import annotations

import errno
import json
import math
import os
import random
import warnings

import numpy
import pytest
import torch
from torch import nn

from gatewise.errors import StoreError
from gatewise.store import pack_tensors, unpack_tensors
from gatewise.store.documents import digest
from gatewise.train import CheckpointWarning
from gatewise.train.randomness import Randomness, isolated
from tests.train.toys import Squares, Sums, network, numbers, same_weights, train


class CutError(Exception):
    """Stands for the end of the process."""


class CutAt(Sums):
    """A source that ends the process when a batch is asked for."""

    def __init__(self, epoch, step, **options):
        super().__init__(**options)
        self.at = (epoch, step)

    def batch(self, epoch, step):
        if (epoch, step) == self.at:
            raise CutError
        return super().batch(epoch, step)


def names(folder):
    return sorted(os.listdir(folder))


def cut(folder, epoch, step, **options):
    """Train until a step is reached, leaving checkpoints."""
    with pytest.raises(CutError):
        train(
            batches=CutAt(epoch, step), checkpoint_folder=folder, **{"checkpoint_every_steps": 3, **options}
        )


EVERY_KIND = [
    {},
    {"optimizer": "adam", "schedule": "one_cycle", "warmup_steps": 3},
    {"optimizer": "sgd", "schedule": "plateau", "weight_decay": 0.01},
    {"averaging": "ema", "ema_decay": 0.9},
    {"precision": "bfloat16"},
    {"precision": "float16"},
    {"keep_best": False, "averaging": "ema"},
    {"max_steps": 27},
]


@pytest.mark.parametrize("options", EVERY_KIND)
@pytest.mark.parametrize("at", [(0, 1), (0, 5), (1, 0), (2, 6)])
def test_resumed_equals_uninterrupted(tmp_path, options, at):
    # A checkpoint at every step, so that the cut ones include the first and last step of an epoch.
    cut(tmp_path, *at, checkpoint_every_steps=1, **options)
    resumed, there = train(checkpoint_folder=tmp_path, **options)
    whole, expected = train(**options)
    assert same_weights(resumed, whole)
    assert numbers(there) == numbers(expected)
    assert (there.best_epoch, there.best_loss, there.stopped, there.steps) == (
        expected.best_epoch, expected.best_loss, expected.stopped, expected.steps
    )  # fmt: skip


def test_checkpoints_change_nothing(tmp_path):
    with_them, there = train(checkpoint_folder=tmp_path, checkpoint_every_steps=1)
    without, expected = train()
    assert same_weights(with_them, without)
    assert numbers(there) == numbers(expected)


def test_early_stopping_is_resumed(tmp_path):
    class Worse(Squares):
        """A validation loss that depends on the model alone, and soon rises."""

        def validate(self, model):
            return {"loss": abs(super().validate(model)["loss"] - 1.5)}

    options = {"max_epochs": 40, "patience": 3}
    whole, expected = train(objective=Worse(), **options)
    assert expected.stopped == "patience"
    last = expected.epochs[-1]["epoch"]
    cut(tmp_path, last - 1, 4, objective=Worse(), **options)
    resumed, there = train(objective=Worse(), checkpoint_folder=tmp_path, **options)
    assert same_weights(resumed, whole)
    assert numbers(there) == numbers(expected)


def test_the_initial_weights_do_not_matter_to_a_resumed_run(tmp_path):
    cut(tmp_path, 2, 1)
    resumed, _ = train(network(seed=99), checkpoint_folder=tmp_path)
    whole, _ = train()
    assert same_weights(resumed, whole)


def test_every_generator_is_resumed():
    """beartype draws from Python's generator, so whole runs that use it are compared in test_killed.py."""

    def draw():
        return [random.gauss(0, 1), numpy.random.standard_normal(), torch.rand(()).item()]

    def odd_numbers():
        draw()  # gauss() keeps every second number for later: the state must hold it

    with isolated(torch.device("cpu")):
        generators = Randomness(torch.device("cpu"), seed=5)
        assert set(generators.state()) == {"torch"}, "what was not used is not stored"
        assert {"torch", "python", "numpy"} < set(generators.state(everything=True))
        odd_numbers()
        state = generators.state()
        assert {"torch", "python", "numpy"} < set(state)
        expected = [draw() for _ in range(3)]
        again = Randomness(torch.device("cpu"), seed=6)
        again.restore(state)
        assert [draw() for _ in range(3)] == expected


class Carrying(Squares):
    """Carries a tensor from step to step, as truncated backpropagation does."""

    def __init__(self):
        self.carried = torch.zeros(1)

    def loss(self, model, batch):
        loss = (model(batch["x"]) - batch["y"] - 0.1 * self.carried).square().mean()
        self.carried = 0.5 * self.carried + loss.detach()
        return loss

    def state_tensors(self):
        return {"carried": self.carried}

    def load_state_tensors(self, tensors):
        self.carried = tensors["carried"]


def test_what_the_objective_carries_is_resumed(tmp_path):
    cut(tmp_path, 1, 6, objective=Carrying())
    resumed, _ = train(objective=Carrying(), checkpoint_folder=tmp_path)
    whole, _ = train(objective=Carrying())
    assert same_weights(resumed, whole)


def test_a_measure_that_is_nan_survives(tmp_path):
    class Odd(Squares):
        def validate(self, model):
            return {**super().validate(model), "mase": math.nan, "worst": math.inf}

    cut(tmp_path, 2, 1, objective=Odd())
    _, history = train(objective=Odd(), checkpoint_folder=tmp_path)
    assert all(math.isnan(record["validation_mase"]) for record in history.epochs)
    assert all(record["validation_worst"] == math.inf for record in history.epochs)


def test_a_finished_run_is_not_trained_again(tmp_path):
    class Never(Squares):
        def loss(self, model, batch):
            raise AssertionError("trained again")

    first, history = train(checkpoint_folder=tmp_path, objective=Squares())
    Never.__qualname__ = "Squares"  # the same objective, as far as its name says
    second, again = train(network(seed=5), checkpoint_folder=tmp_path, objective=Never())
    assert same_weights(first, second)
    assert numbers(again) == numbers(history)
    assert again.stopped == "finished"


def test_max_time_can_be_raised(tmp_path):
    options = {"max_epochs": 40, "patience": None, "checkpoint_folder": tmp_path}
    _, first = train(max_time=0.15, **options)
    assert first.stopped == "max_time"
    _, again = train(max_time=0.15, **options)
    assert (again.stopped, again.steps) == ("max_time", first.steps)
    _, second = train(max_time=600, **options)
    assert (second.stopped, second.steps) == ("finished", 400)
    assert second.seconds > first.seconds


def test_the_last_two_are_kept(tmp_path):
    cut(tmp_path, 2, 1)
    kept = names(tmp_path)
    assert [int(name[5:17]) for name in kept] == [18, 21]


def test_seconds_between_checkpoints(tmp_path, monkeypatch):
    cut(tmp_path / "rare", 3, 9, checkpoint_every_steps=None)
    assert [int(name[5:17]) for name in names(tmp_path / "rare")] == [0]
    cut(tmp_path / "often", 3, 9, checkpoint_every_steps=None, checkpoint_every_seconds=1e-9)
    assert [int(name[5:17]) for name in names(tmp_path / "often")] == [38, 39]


# ---- torn checkpoints ------------------------------------------------------------------------------


def tear(path, how):
    data = path.read_bytes()
    if how == "folder":
        path.unlink()
        path.mkdir()
        return
    middle = len(data) // 2
    path.write_bytes(
        {
            "cut": data[:middle],
            "empty": b"",
            "zeros": bytes(len(data)),
            "flipped": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
            "longer": data + b"\0",
        }[how]
    )


@pytest.mark.parametrize("how", ["cut", "empty", "zeros", "flipped", "longer", "folder"])
def test_a_torn_one_falls_back_to_the_one_before(tmp_path, how):
    cut(tmp_path, 2, 1)
    newest = names(tmp_path)[-1]
    tear(tmp_path / newest, how)
    with pytest.warns(CheckpointWarning, match=newest):
        resumed, history = train(checkpoint_folder=tmp_path)
    whole, expected = train()
    assert same_weights(resumed, whole)
    assert numbers(history) == numbers(expected)
    if how != "folder":
        assert newest not in names(tmp_path), "the torn one was overtaken and can go"


def test_all_torn_is_an_error_and_nothing_is_overwritten(tmp_path):
    cut(tmp_path, 2, 1)
    before = names(tmp_path)
    for name in before:
        tear(tmp_path / name, "cut")
    with pytest.raises(StoreError, match=r"no checkpoint in .* is whole.*torn.*remove the folder"):
        train(checkpoint_folder=tmp_path)
    assert names(tmp_path) == before


def forge(folder, change):
    """Change the newest checkpoint as someone who knows the format would: the name is made to fit."""
    path = folder / names(folder)[-1]
    tensors, metadata = unpack_tensors(path.read_bytes(), path)
    document = json.loads(metadata["gatewise"])
    change(tensors, document)
    data = pack_tensors(tensors, {"gatewise": json.dumps(document)})
    path.unlink()
    (folder / f"{path.name[:18]}{digest(data)[:16]}.safetensors").write_bytes(data)


def drop(key):
    return lambda tensors, document: tensors.pop(key)


def put(key, value):
    return lambda tensors, document: tensors.update({key: value})


def state(key, value):
    return lambda tensors, document: document["state"].update({key: value})


@pytest.mark.parametrize(
    "change",
    [
        drop("model.0.weight"), drop("best.0.weight"), drop("optimizer.0.exp_avg"), drop("optimizer.3.step"),
        put("model.0.weight", torch.ones(3)), put("model.9.weight", torch.ones(3)),
        put("best.0.weight", torch.ones(3)), put("best.0.weight", torch.ones(16, 5, dtype=torch.float64)),
        put("optimizer.0.exp_avg", torch.ones(1)), put("optimizer.0.exp_avg_sq", torch.ones(10_000)),
        put("optimizer.x.exp_avg", torch.ones(1)), put("optimizer.77.exp_avg", torch.ones(1)),
        put("random.0.torch", torch.zeros(3, dtype=torch.uint8)), put("random.0.torch", torch.zeros(5056)),
        put("random.0.python", torch.zeros(3, dtype=torch.int64)),
        state("epoch", "x"), state("epoch", None), state("step", [1]), state("epochs", 3), state("epochs", [3]),
        state("schedule", None), state("loss_sum", None), state("seconds", "long"), state("best_loss", "low"),
        state("step", -5), state("position", 10**9), state("epoch", 3), state("stopped", "because"),
        state("waited", -1), state("epochs", []), state("epochs", [{"epoch": 1}]),
        lambda tensors, document: document.pop("state"),
        lambda tensors, document: document["state"].pop("world"),
        lambda tensors, document: document.update(format="other"),
        lambda tensors, document: document.update(version=2),
        lambda tensors, document: document.update(fingerprint=None),
        lambda tensors, document: document.update(fingerprint={"config": 3}),
    ],
)  # fmt: skip
def test_a_forged_checkpoint_is_an_error(tmp_path, change):
    cut(tmp_path, 2, 1)
    forge(tmp_path, change)
    os.unlink(tmp_path / names(tmp_path)[0])  # the older one, or it would be used
    with pytest.raises(StoreError, match=str(tmp_path)):
        train(checkpoint_folder=tmp_path)


def test_forging_itself_is_harmless(tmp_path):
    """What the attacks above start from is in order: they fail for what they changed."""
    cut(tmp_path, 2, 1)
    forge(tmp_path, lambda tensors, document: None)
    os.unlink(tmp_path / names(tmp_path)[0])
    resumed, _ = train(checkpoint_folder=tmp_path)
    assert same_weights(resumed, train()[0])


# ---- other runs ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"learning_rate": 0.5}, r"learning_rate \(0.01 there, 0.5 here\)"),
        ({"max_epochs": 9}, r"max_epochs \(4 there, 9 here\)"),
        ({"seed": 3}, r"seed \(0 there, 3 here\)"),
        ({"precision": "bfloat16"}, r"precision \(float32 there, bfloat16 here\)"),
        ({"batches": Sums(seed=1)}, "data: source"),
        ({"batches": Sums(steps=11)}, r"data: steps_per_epoch \(10 there, 11 here\)"),
        ({"objective": Carrying()}, r"objective: objective \(Squares there, Carrying here\)"),
        (
            {"model": nn.Sequential(nn.Linear(5, 1))},
            r"model: 0.weight \(float32\[16, 5\] there, float32\[1, 5\] here\)",
        ),
    ],
)
def test_another_run_is_refused_by_what_differs(tmp_path, options, words):
    cut(tmp_path, 2, 1)
    before = names(tmp_path)
    with pytest.raises(StoreError, match=words) as raised:
        train(checkpoint_folder=tmp_path, **options)
    assert "belongs to another run" in str(raised.value)
    assert "choose another checkpoint_folder" in str(raised.value)
    assert names(tmp_path) == before


def test_how_long_and_how_often_may_change(tmp_path):
    cut(tmp_path, 2, 1)
    _, history = train(
        checkpoint_folder=tmp_path,
        checkpoint_every_steps=None,
        checkpoint_every_seconds=5,
        device="cpu",
        max_time=900,
    )
    assert history.stopped == "finished"


def test_a_source_and_an_objective_that_name_themselves(tmp_path):
    class Named(Sums):
        def fingerprint(self):
            return f"rows of {self.rows}"

    class NamedSquares(Squares):
        def fingerprint(self):
            return "squares"

    train(checkpoint_folder=tmp_path, batches=Named(), objective=NamedSquares())
    with pytest.raises(StoreError, match=r"data: source \(rows of 8 there, rows of 9 here\)"):
        train(checkpoint_folder=tmp_path, batches=Named(rows=9), objective=NamedSquares())


# ---- disks -----------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_made_fails_before_training(tmp_path):
    class Never(Squares):
        def loss(self, model, batch):
            raise AssertionError("trained")

    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match=r"a file is in its place|file where a folder"):
        train(checkpoint_folder=tmp_path / "file", objective=Never())


def test_a_disk_that_fills_up_does_not_end_the_run(tmp_path, monkeypatch):
    cut(tmp_path, 1, 1)
    before = names(tmp_path)

    def full(_descriptor, _data):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "write", full)
    with pytest.warns(CheckpointWarning, match=r"disk is full.*Training goes on"):
        resumed, history = train(checkpoint_folder=tmp_path)
    monkeypatch.undo()
    assert history.stopped == "finished"
    assert same_weights(resumed, train()[0])
    assert names(tmp_path) == before


def test_foreign_files_in_the_folder_are_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "step-x.safetensors").write_text("mine")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(checkpoint_folder=tmp_path)
        train(checkpoint_folder=tmp_path)
    assert {"notes.txt", "step-x.safetensors"} < set(names(tmp_path))
