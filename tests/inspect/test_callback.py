"""A monitored training is the same training, bit for bit; what it records is right and outlives a killed run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence

from gatewise import inspect, nn, train
from gatewise.errors import ArgumentError, ArgumentTypeError, StoreError
from gatewise.inspect import FlowMonitor, gradient_flow, read_records
from gatewise.train.monitoring import check_monitor


class Model(torch.nn.Module):
    """Two layers with everything random in them, and a head."""

    def __init__(self, cell: str = "lstm", **options: Any) -> None:
        super().__init__()
        self.rnn = nn.Recurrent(cell, 3, 5, num_layers=2, batch_first=True, **options)
        self.drop = torch.nn.Dropout(0.2)  # draws after the layer does
        self.head = torch.nn.Linear(10 if options.get("bidirectional") else 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        output, _ = self.rnn(x)
        return self.head(self.drop(output))


RANDOM = {"dropout": 0.3, "recurrent_dropout": 0.2, "weight_drop": 0.2, "zoneout": 0.1, "bidirectional": True}


class Source:
    """Random sequences, a pure function of epoch and step."""

    def steps_per_epoch(self) -> int:
        return 6

    def batch(self, epoch: int, step: int) -> Mapping[str, Tensor]:
        generator = torch.Generator().manual_seed(100 * epoch + step)
        return {"x": torch.randn(4, 7, 3, generator=generator)}


class Objective:
    """The running mean of the first feature."""

    def loss(self, model: torch.nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        target = batch["x"][..., :1].cumsum(1) / torch.arange(1, 8)[:, None]
        return (model(batch["x"]) - target).square().mean()

    def validate(self, model: torch.nn.Module) -> dict[str, float]:
        return {"loss": float(self.loss(model, Source().batch(99, 0)))}


def fitted(options: dict[str, Any], monitor: FlowMonitor | None, **config: Any) -> dict[str, Tensor]:
    """The weights and the optimiser's result after two epochs, and the generator's state."""
    torch.manual_seed(3)
    model = Model(**options)
    settings = train.TrainConfig(max_epochs=2, learning_rate=1e-2, keep_best=False, **config)
    history = train.fit(model, Objective(), Source(), settings, monitor=monitor)
    losses = torch.tensor([e["train_loss"] for e in history.epochs], dtype=torch.float64)
    return {**model.state_dict(), "losses": losses, "generator": torch.get_rng_state()}


@pytest.mark.parametrize(
    "options", [{}, RANDOM, {"cell": "gru"}, {"cell": "sru", "learn_initial_state": True}]
)
def test_a_monitored_run_equals_an_unmonitored_one_bit_for_bit(options: dict[str, Any]) -> None:
    monitor = FlowMonitor(every=2)
    plain, watched = fitted(options, None), fitted(options, monitor)
    assert all(torch.equal(plain[name], watched[name]) for name in plain)
    assert [record.step for record in monitor.records] == [1, 2, 4, 6, 8, 10, 12]
    assert all(record.layers for record in monitor.records)


def test_precision_and_clipping_leave_the_gradients_as_they_came() -> None:
    exact, cast, clipped = FlowMonitor(every=100), FlowMonitor(every=100), FlowMonitor(every=100)
    fitted({}, exact)
    fitted({}, cast, precision="bfloat16")
    fitted({}, clipped, gradient_clip=1e-6)
    one, two, three = (monitor.records[0] for monitor in (exact, cast, clipped))
    assert one.gradient_norm == three.gradient_norm
    # bfloat16 keeps 8 bits: some hundred roundings of 0.4 %.
    assert two.gradient_norm == pytest.approx(one.gradient_norm, rel=0.1)
    np.testing.assert_allclose(two.layers[0].loss_gradient, one.layers[0].loss_gradient, rtol=0.1)


def stepped(model: torch.nn.Module, monitor: FlowMonitor, loss: Any, rate: float = 0.1) -> None:
    """One step of plain gradient descent."""
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    with monitor.watch(model) as watch:
        value = loss(model)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        watch.tell(value)


def test_what_is_recorded_is_the_gradient_flow_of_the_step() -> None:
    torch.manual_seed(2)
    model, x, monitor = (
        nn.LSTM(3, 4, num_layers=2, bidirectional=True),
        torch.randn(6, 3, 3),
        FlowMonitor(every=1),
    )
    before = {name: value.clone() for name, value in model.state_dict().items()}
    lengths = torch.tensor([6, 2, 4])

    def loss(output: Tensor, state: Any) -> Tensor:
        return output[:, :, 0].square().sum() + state[1].sum()

    stepped(model, monitor, lambda model: loss(*model(x, lengths=lengths)))
    gradients = {name: p.grad for name, p in model.named_parameters()}
    after = {name: value.clone() for name, value in model.state_dict().items()}
    record = monitor.records[0]
    model.load_state_dict(before)
    flow = gradient_flow(model, x, lengths=lengths, loss=loss)
    assert [seen.name for seen in record.layers] == [layer.name for layer in flow.layers]
    for seen, layer in zip(record.layers, flow.layers, strict=True):
        np.testing.assert_allclose(seen.loss_gradient, layer.loss_gradient_by_lag[seen.lags], rtol=1e-5)
        assert seen.lags.tolist() == [0, 1, 2, 3, 4, 5]
        assert seen.reach[0] == pytest.approx(1, rel=1e-6)
        # A random direction keeps no more than the best one: the median over the sequences of both.
        assert (seen.reach[1:] <= layer.jacobian_norm[: len(seen.reach) - 1] * 1.01).sum() >= 3
    assert record.loss == pytest.approx(float(loss(*model(x, lengths=lengths)).detach()), rel=1e-6)
    own = [g for name, g in gradients.items() if name.endswith("l1_reverse")]
    assert record.gradient_norms["l1_reverse"] == pytest.approx(
        float(torch.cat([g.flatten() for g in own]).norm())
    )
    moved = torch.cat([(after[n] - before[n]).flatten() for n in before if n.endswith("_l0")]).norm()
    held = torch.cat([before[n].flatten() for n in before if n.endswith("_l0")]).norm()
    assert record.updates["l0"] == pytest.approx(float(moved / held), rel=1e-5)


def test_the_reach_estimates_the_mean_over_directions() -> None:
    model, x, monitor = nn.GRU(3, 6), torch.randn(12, 1, 3), FlowMonitor(every=1)
    stepped(model, monitor, lambda model: model(x)[0][-1].sum(), rate=0.0)
    layer = gradient_flow(model, x, lags=list(range(1, 12))).layers[0]
    seen = monitor.records[0].layers[0]
    # Four directions: the root of their mean square errs by some 20 to 40 %, which factors of 2.5 bound.
    ratio = seen.reach[1:] / layer.rms_gain[: len(seen.reach) - 1]
    assert (ratio > 0.4).all()
    assert (ratio < 2.5).all()


@pytest.mark.parametrize("form", ["padded", "packed", "unbatched", "autocast", "called twice"])
def test_layouts(form: str) -> None:
    model, monitor = nn.GRU(3, 4), FlowMonitor(every=1)
    x = torch.randn(5, 2, 3)

    def loss(model: torch.nn.Module) -> Tensor:
        if form == "packed":
            return model(pack_padded_sequence(x, [2, 5], enforce_sorted=False))[0].data.sum()
        if form == "autocast":
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return model(x.bfloat16())[0].float().sum()
        if form == "called twice":
            return model(x[:1])[0].sum() + model(x)[0].sum()
        return model(x[:, 0] if form == "unbatched" else x)[0].sum()

    stepped(model, monitor, loss, rate=0.0)
    (seen,) = monitor.records[0].layers
    assert seen.lags.tolist() == [0, 1, 2, 3, 4]
    options = {"lengths": [2, 5]} if form == "packed" else {}
    given = x[:, :1] if form == "unbatched" else x
    flow = gradient_flow(model, given, loss=lambda y, h: y.sum(), **options).layers[0]
    np.testing.assert_allclose(seen.loss_gradient, flow.loss_gradient_by_lag, rtol=0.05)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("read", ["output", "h", "c"])
@pytest.mark.parametrize("make", [nn.LSTM, nn.GRU, nn.RNN, partial(nn.Recurrent, "lstm_peephole")])
def test_a_loss_may_read_any_one_thing_that_a_layer_gives(make, read, masked) -> None:
    torch.manual_seed(0)
    model, x = make(3, 4), torch.randn(9, 2, 3)
    mask = torch.ones(9, 2, dtype=torch.bool) if masked else None
    monitor = FlowMonitor(every=1)

    def loss(output, state) -> Tensor:
        states = (state,) if isinstance(state, Tensor) else state
        return {"output": output[-1], "h": states[0], "c": states[-1]}[read].sum()

    with monitor.watch(model):
        loss(*model(x, mask=mask)).backward()
    [layer] = monitor.records[0].layers
    flow = gradient_flow(model, x, mask=mask, loss=loss).layers[0]
    assert layer.loss_gradient[0] > 0
    np.testing.assert_allclose(layer.loss_gradient, flow.loss_gradient_by_lag[layer.lags], rtol=1e-4)


def test_planted_verdicts() -> None:
    for factor, cell, kind in ((0.3, "rnn_tanh", "vanishing"), (3.0, "rnn_relu", "exploding")):
        model = nn.Recurrent(cell, 3, 8, init="orthogonal")
        with torch.no_grad():
            model.weight_hh_l0.mul_(factor)
        monitor = FlowMonitor()
        stepped(model, monitor, lambda model: model(torch.randn(40, 2, 3))[0].mean(), rate=0.0)
        assert monitor.records[0].layers[0].verdict.kind == kind


def test_steps_runs_and_models_without_recurrent_layers() -> None:
    monitor, model = FlowMonitor(every=3), torch.nn.Linear(3, 1)
    for step in (1, 2, 3, 4, 5, 6, 1, 2, 3):
        with monitor.watch(model, step) as watch:
            assert watch.due == (step in (1, 3, 6))
            model.zero_grad()
            model(torch.ones(3)).sum().backward()
    assert [(r.run, r.step) for r in monitor.records] == [(0, 1), (0, 3), (0, 6), (1, 1), (1, 3)]
    assert monitor.records[0].layers == ()
    assert monitor.records[0].loss is None
    assert monitor.records[0].updates["model"] == 0


def test_an_error_in_the_step_leaves_no_hook_and_no_record() -> None:
    monitor, model = FlowMonitor(every=1), nn.GRU(3, 4)

    def fail() -> None:
        with monitor.watch(model):
            model(torch.ones(2, 1, 3))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert monitor.records == []
    assert not model._forward_hooks
    assert not model._forward_pre_hooks
    assert all(not p._post_accumulate_grad_hooks for p in model.parameters())


def test_an_estimator_is_watched_through_the_ambient_monitor() -> None:
    with train.monitored(FlowMonitor(every=4)) as monitor:
        fitted({}, None)
    assert [record.step for record in monitor.records] == [1, 4, 8, 12]
    fitted({}, None)
    assert len(monitor.records) == 4


def test_the_file_holds_what_the_monitor_saw(tmp_path: Path) -> None:
    path = tmp_path / "flow.jsonl"
    monitor = FlowMonitor(every=4, path=path)
    fitted({}, monitor)
    stored = read_records(path)
    assert [r.to_dict() for r in stored] == [r.to_dict() for r in monitor.records]
    # A run that goes on from an earlier step does some steps again: the later record counts.
    path.write_bytes(path.read_bytes() + path.read_bytes().splitlines(keepends=True)[0])
    assert len(read_records(path)) == len(stored)


KILLED = """
import os, signal, sys, torch
from gatewise import inspect, nn
model, monitor = nn.GRU(3, 4), inspect.FlowMonitor(every=1, path=sys.argv[1])
for step in range(1000):
    with monitor.watch(model) as watch:
        loss = model(torch.randn(4, 2, 3))[0].sum()
        loss.backward()
    if step == 4:
        with open(sys.argv[1], "ab") as file:
            file.write(b'{"run": 0, "st')  # as a kill in the middle of a write leaves it
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_file_outlives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "flow.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(path)], capture_output=True, timeout=120, check=False
    )
    assert done.returncode == -9, done.stderr
    assert [r.step for r in read_records(path)] == [1, 2, 3, 4, 5]
    fitted({}, FlowMonitor(every=12, path=path))
    assert all(json.loads(line) for line in path.read_text().splitlines())
    assert [r.step for r in read_records(path)] == [1, 2, 3, 4, 5, 12]


def test_bad_files_and_arguments_are_named(tmp_path: Path) -> None:
    for options, error, words in (
        ({"every": 0}, ArgumentError, "every: "),
        ({"every": 1.5}, ArgumentTypeError, "every: "),
        ({"lags": 1}, ArgumentError, "lags: "),
        ({"path": 3}, ArgumentTypeError, "path: "),
        ({"path": tmp_path / "none" / "flow.jsonl"}, StoreError, "none"),
    ):
        with pytest.raises(error, match=words):
            FlowMonitor(**options)  # type: ignore[arg-type]
    monitor = FlowMonitor()
    with pytest.raises(ArgumentTypeError, match="model: "):
        monitor.watch(3)
    with pytest.raises(ArgumentTypeError, match="step: "):
        monitor.watch(torch.nn.Linear(1, 1), 1.5)
    with pytest.raises(ArgumentError, match="step: "):
        monitor.watch(torch.nn.Linear(1, 1), 0)
    with pytest.raises(ArgumentTypeError, match="monitor: "):
        check_monitor(3)
    with pytest.raises(StoreError, match="none"):
        read_records(tmp_path / "none")
    (tmp_path / "other").write_text("[1]\n")
    with pytest.raises(StoreError, match="line 1"):
        read_records(tmp_path / "other")


def test_a_file_that_fails_later_warns_and_training_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monitor = FlowMonitor(every=1, path=folder / "flow.jsonl")
    (folder / "flow.jsonl").unlink()
    folder.rmdir()
    with pytest.warns(inspect.MonitorWarning, match="gone"):
        stepped(nn.GRU(3, 4), monitor, lambda model: model(torch.randn(4, 2, 3))[0].sum())
    assert len(monitor.records) == 1
