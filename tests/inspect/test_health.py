"""Health: what is planted is found and named, and what is sound is left in peace."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from gatewise import inspect, nn
from gatewise.errors import ArgumentError, ArgumentTypeError
from gatewise.inspect import health
from gatewise.inspect.inspection import Example, inspect_model
from gatewise.inspect.report import report_html


def lstm(hidden: int = 10) -> nn.LSTM:
    torch.manual_seed(0)
    return nn.LSTM(3, hidden)


def kinds(found: inspect.Health) -> set[str]:
    return {one.kind for one in found.findings}


@pytest.mark.filterwarnings("error")
def test_numbers_that_are_not_finite_are_found_with_where_they_come_from() -> None:
    torch.manual_seed(0)
    x = torch.randn(150, 2, 3)
    model = lstm()
    with torch.no_grad():
        model.weight_ih_l0[20 + 7] = float("nan")  # g of unit 7, and by way of h all others a step later
    found = health(model, x)
    assert [one.kind for one in found.findings] == ["states not finite"] * 2
    assert found.findings[0].words.startswith(
        "10 of 10 units of h in LSTM are no finite numbers, at 100.00% of the"
    )
    assert "among the weights" in found.findings[0].suggestion
    json.dumps(found.to_dict(), allow_nan=False)
    torn = x.clone()
    torn[75:, 0, 1] = float("inf")
    one = Example(tuple(map(str, range(150))), None, lambda: sound(torn[:, :1]))
    sound = lstm()
    sound.weight_ih_l0.data[:, 1] = 0  # 0 times infinity
    whole = inspect_model(sound, lambda: sound(torn), [one])
    assert {one.kind for one in whole.health.findings if one.serious} == {"states not finite"}
    assert "the inputs of 25.00% of the steps" in str(whole)
    assert not {one.feature for one in whole.responses} & {"input 2", "change of input 2"}
    assert "states not finite" in report_html(whole).lower()


def test_a_model_prepared_for_inference_is_examined_but_for_its_gradients() -> None:
    model, x = nn.prepare(lstm()), torch.randn(120, 1, 3)
    found = inspect_model(
        model, lambda: model(x), [Example(tuple(map(str, range(120))), None, lambda: model(x))]
    )
    assert found.explained is None
    assert "prepared for inference" in found.health.unmeasured[0]


def test_a_sound_layer_has_no_findings() -> None:
    torch.manual_seed(0)
    found = health(nn.LSTM(3, 16, init="orthogonal"), torch.randn(12, 32, 3))
    assert found.findings == ()
    assert found.healthy
    assert found.verdict == "Nothing serious was found."


def test_a_dead_unit_is_found() -> None:
    model = lstm()
    with torch.no_grad():
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
            getattr(model, name)[20 + 7] = 0.0  # g of unit 7: nothing is ever written
    found = health(model, torch.randn(50, 16, 3), flow=False)
    dead = [one for one in found.findings if one.kind == "dead units"]
    assert [one.where for one in dead] == ["LSTM, state h", "LSTM, state c"]
    assert dead[0].measured == pytest.approx(0.1)
    assert "1 of 10 units" in dead[0].words
    assert "unit 7" in dead[0].words


@pytest.mark.parametrize(
    ("gate", "push", "kind", "serious"),
    [
        ("i", -30, "gate stuck shut", True),
        ("o", 30, "gate stuck open", False),
        ("f", 30, "gate stuck open", False),
        ("f", -30, "gate stuck shut", True),
    ],
)
def test_a_stuck_gate_is_found(gate, push, kind, serious) -> None:
    model = lstm()
    begin = 10 * "ifgo".index(gate)
    with torch.no_grad():
        model.bias_ih_l0[begin : begin + 3] = push
    found = health(model, torch.randn(50, 16, 3), flow=False)
    [one] = [one for one in found.findings if "stuck" in one.kind]
    assert (one.kind, one.where, one.serious) == (kind, f"LSTM, gate {gate}", serious)
    assert one.measured == pytest.approx(0.3)
    assert "units 0, 1, 2" in one.words
    assert found.healthy is not serious


def test_saturated_units_are_found() -> None:
    model = nn.RNN(3, 10)
    with torch.no_grad():
        model.weight_ih_l0[:2] *= 1000
    found = health(model, torch.randn(50, 16, 3), flow=False)
    [one] = [one for one in found.findings if one.kind == "saturated units"]
    assert one.measured == pytest.approx(0.2)
    assert "2 of 10 units" in one.words
    assert not found.healthy


def test_units_that_all_do_the_same_are_found() -> None:
    model = lstm(40)
    with torch.no_grad():
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
            weight = getattr(model, name)
            for begin in range(0, 160, 40):
                weight[begin : begin + 40] = weight[begin]
    found = health(model, torch.randn(50, 16, 3), flow=False)
    [one] = [one for one in found.findings if one.kind == "few directions"]
    assert one.measured == pytest.approx(1 / 40, rel=1e-3)
    assert found.statistics.layers[0].dimension["h"] == pytest.approx(1.0, rel=1e-3)


def test_a_forgotten_start_is_found_and_a_long_memory_is_not() -> None:
    torch.manual_seed(0)
    x = torch.randn(100, 4, 3)
    short, far = nn.RNN(3, 12), nn.LSTM(3, 12, init="chrono", chrono_steps=200)
    [one] = [one for one in health(short, x).findings if one.kind == "forgotten start"]
    assert one.measured < one.threshold == inspect.THRESHOLDS["forgotten start"]
    found = health(far, x)
    # Input gates that begin nearly shut, and forget gates nearly open, are what chrono means: notes, nothing serious.
    assert kinds(found) == {"gate stuck shut", "gate stuck open"}
    assert found.healthy
    torch.nn.init.orthogonal_(short.weight_hh_l0, gain=4.0)
    assert "gradient explodes" in kinds(health(short, 0.01 * x))


@pytest.mark.parametrize("batch_first", [False, True])
def test_gradient_flow_is_that_of_the_steps_that_count(batch_first) -> None:
    torch.manual_seed(0)
    model, x = nn.LSTM(3, 8, batch_first=batch_first), torch.randn(40, 4, 3)
    mask = torch.rand(40, 4) > 0.4  # steps are left out in the middle
    x, mask = (x.transpose(0, 1), mask.t()) if batch_first else (x, mask)
    found = health(model, x, mask=mask).flows[""].layers[0]
    known = inspect.gradient_flow(model, x, mask=mask).layers[0]
    np.testing.assert_array_equal(found.lags, known.lags)
    np.testing.assert_allclose(found.log_jacobian, known.log_jacobian, rtol=1e-6)


def test_a_training_that_explodes_is_found() -> None:
    steady = [
        {"step": step, "loss": 1.0, "gradient_norm": 1.0, "updates": {"l0": 1e-3}} for step in range(30)
    ]
    x = torch.randn(20, 4, 3)
    assert not kinds(health(lstm(), x, history=steady, flow=False))
    steady[20] |= {"gradient_norm": 500.0, "updates": {"l0": 0.4}}
    steady[21] |= {"loss": float("nan")}
    found = health(lstm(), x, history=steady, flow=False)
    assert kinds(found) == {"exploding gradient", "exploding update", "loss not finite"}
    assert "500 times its usual 1" in str(found)
    # The first updates of a training are large by design.
    steady[20]["updates"], steady[0]["updates"] = {"l0": 1e-3}, {"l0": 0.4}
    assert "exploding update" not in kinds(health(lstm(), x, history=steady, flow=False))


def test_a_training_that_ends_in_nan_is_found_in_the_monitor_s_records_and_file(tmp_path) -> None:
    model, x = lstm(), torch.randn(20, 4, 3)
    monitor = inspect.FlowMonitor(every=1, path=tmp_path / "flow.jsonl")
    for factor in (1.0, 1.0, float("inf"), 1.0):
        with monitor.watch(model) as watch:
            loss = model(x)[0].square().mean()
            model.zero_grad()
            (loss * factor).backward()
            with torch.no_grad():
                for weight in model.parameters():
                    weight -= 0.1 * weight.grad
            watch.tell(loss)
    read = inspect.read_records(tmp_path / "flow.jsonl")
    assert [math.isfinite(one.loss) for one in read] == [True, True, True, False]
    for history in (monitor.records, read, [one.to_dict() for one in read]):
        found = health(lstm(), x, history=history, flow=False)
        words = {one.kind: one.words for one in found.findings}
        assert set(words) == {"loss not finite", "gradient not finite"}
        assert words["loss not finite"].endswith("in 1 of 4 records, first in record 4.")
        assert words["gradient not finite"].endswith("in 2 of 4 records, first in record 3.")
        assert not found.healthy


def test_it_is_json() -> None:
    found = health(lstm(), torch.randn(20, 4, 3))
    text = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert text["verdict"] == found.verdict
    assert text["thresholds"] == inspect.THRESHOLDS
    assert text["gradient_flow"][""]["layers"]


def test_a_whole_inspection_and_its_page() -> None:
    torch.manual_seed(0)
    model, x = nn.GRU(3, 6), torch.randn(300, 1, 3)
    text = ('"Ay," he said (twice). ' * 14)[:300]
    one = Example(tuple(text), tuple(text), lambda: model(x))
    found = inspect_model(model, lambda: model(x), [one], name="a <model>", data="random numbers")
    assert [(part.name, part.values.shape) for part in found.along] == [("z", (300, 6)), ("h", (300, 6))]
    np.testing.assert_array_equal(found.along[1].values, model(x)[0].detach()[:, 0].numpy())
    assert found.searched == (6, 300)
    assert found.explained.contributions.complete
    page = report_html(found, folder="model")
    assert "a &lt;model&gt;" in page
    assert "a <model>" not in page
    assert page.count("data:image/svg+xml;base64,") == 6
    assert "inside quotes" in page


def test_bad_input() -> None:
    with pytest.raises(ArgumentError, match="there is nothing to inspect in it"):
        health(torch.nn.Linear(2, 2), torch.zeros(3, 2))
    with pytest.raises(ArgumentTypeError, match="a torch module, or an estimator that was fitted"):
        health(object())
    with pytest.raises(ArgumentError, match="at least one step"):
        inspect.examine(lstm(), lambda: None)
    with pytest.raises(ArgumentTypeError, match="history: a number is expected for 'loss' .* came 'low'"):
        health(lstm(), torch.randn(20, 4, 3), history=[{"loss": "low"}], flow=False)
