"""Devices, precisions and processes: each run its own, side by side in one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState, PartialState

from gatewise.errors import ArgumentError, ArgumentTypeError
from gatewise.store import unpack_tensors
from gatewise.train import TrainConfig
from gatewise.train import placement as placement_module
from gatewise.train.placement import Placement
from tests.train.parallel import run
from tests.train.toys import Squares, network, numbers, same_weights, train

ROOT = Path(__file__).parents[2]


class Watching(Squares):
    """Notes the dtype that the first layer computes in, in training and in validation."""

    def __init__(self, pause=None):
        self.seen, self.pause = set(), pause

    def loss(self, model, batch):
        if self.pause is not None:
            self.pause()
        self.seen.add(model[0](batch["x"]).dtype)
        return super().loss(model, batch)

    def validate(self, model):
        self.seen.add(model[0](torch.ones(1, 5)).dtype)
        return super().validate(model)


PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@pytest.mark.parametrize(("precision", "dtype"), PRECISIONS.items())
def test_precision(precision, dtype):
    objective = Watching()
    model, history = train(
        network(0.0), objective=objective, precision=precision, max_epochs=8, learning_rate=0.02
    )
    assert objective.seen == {dtype}
    assert model[0].weight.dtype == torch.float32
    assert history.best_loss < 0.3
    assert not torch.is_autocast_enabled("cpu")


def test_auto_is_float32_on_the_cpu():
    objective = Watching()
    train(objective=objective)
    assert objective.seen == {torch.float32}


def test_one_after_the_other_leave_no_trace():
    alone, _ = train()
    train(precision="bfloat16")
    after, _ = train()
    assert same_weights(alone, after)
    assert PartialState._shared_state == {}
    assert AcceleratorState._shared_state == {}


def test_side_by_side_in_threads():
    """Two precisions whose steps alternate: each stays in its own."""
    turns = threading.Barrier(2, timeout=60)
    objectives = {name: Watching(pause=turns.wait) for name in ("float32", "bfloat16")}
    done = []

    def work(name):
        try:
            train(network(0.0), objective=objectives[name], precision=name, max_epochs=2)
            done.append(name)
        finally:
            if name not in done:
                turns.abort()  # the other must not wait for it

    threads = [threading.Thread(target=work, args=(name,)) for name in objectives]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == sorted(objectives)
    assert {name: objective.seen for name, objective in objectives.items()} == {
        "float32": {torch.float32},
        "bfloat16": {torch.bfloat16},
    }


def test_float16_scales_its_loss_and_skips_steps_that_overflow():
    placement = Placement(TrainConfig(precision="float16"))
    assert placement.scaler is not None
    assert Placement(TrainConfig(precision="bfloat16")).scaler is None

    class Large(Squares):
        """A loss whose scaled gradient overflows until the scale has come down."""

        def loss(self, model, batch):
            return super().loss(model, batch) * 1e32

    model, _ = train(objective=Large(), precision="float16", max_epochs=1)
    assert all(value.isfinite().all() for value in model.state_dict().values())


def test_a_device_that_is_not_there():
    for device in ("cuda:7", "nonsense", "meta", "cpu:x"):
        with pytest.raises(ArgumentError, match=r'device: .*"auto" picks one'):
            train(device=device)
    with pytest.raises(ArgumentTypeError, match="device"):
        train(device=3)


def test_a_device_by_name_or_object():
    for device in ("auto", "cpu", torch.device("cpu")):
        assert Placement(TrainConfig(device=device)).device == torch.device("cpu")


def test_one_of_several_that_was_not_launched_as_such_does_not_train_alone(monkeypatch):
    """WORLD_SIZE without the rest of torchrun's variables: Accelerate would answer "one process"."""
    monkeypatch.setattr(placement_module, "_launched_among_several", lambda: True)
    try:
        with pytest.raises(ArgumentError, match="torchrun"):
            train()
    finally:
        PartialState._reset_state()


# ---- several processes -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """What two processes under torchrun ended with: name -> (tensors, history); starting them takes seconds."""
    folder = tmp_path_factory.mktemp("parallel")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "tests.train.parallel", str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    results = {}
    for path in folder.iterdir():
        if path.is_file():
            tensors, metadata = unpack_tensors(path.read_bytes(), path)
            results[path.name] = tensors, json.loads(metadata["history"])
    return results


@pytest.mark.slow
def test_two_processes_equal_one(launched):
    """Gradients are summed in another order: float32 leaves some 1e-6 after 40 steps of a rate of 1e-2."""
    (one, first), (two, second) = launched["plain0"], launched["plain1"]
    expected, history, _ = run()
    for name, value in expected.state_dict().items():
        assert torch.equal(one[name], two[name]), "the processes differ"
        torch.testing.assert_close(one[name], value, rtol=1e-4, atol=1e-5)
    assert first["epochs"] == second["epochs"]
    assert (first["shares"], second["shares"]) == ([3] * 4, [4] * 4)  # of 7 rows
    for mine, theirs in zip(first["epochs"], numbers(history), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-4)


@pytest.mark.slow
def test_two_processes_resume_bit_for_bit(launched):
    (whole, history), (resumed, again) = launched["whole0"], launched["resumed0"]
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    assert again["epochs"] == history["epochs"]
    assert not torch.equal(whole["0.weight"], launched["plain0"][0]["0.weight"])
