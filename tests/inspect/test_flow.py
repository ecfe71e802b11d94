"""d loss / d h_t equals finite differences, for every cell and layout; what gradient_flow refuses."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence

from gatewise import cells, nn
from gatewise.errors import ArgumentError, ArgumentTypeError, GatewiseError, ShapeError
from gatewise.inspect import gradient_flow
from gatewise.inspect.tapped import differentiate, run_tapped
from tests.inspect.finite_differences import Push, loss_gradient
from tests.nn.helpers import layer, rows_of, streams_for

TOLERANCE = 1e-7
"""What the differences err by (see STEP) where third derivatives reach 1e5: layer norm of 3 units."""


def begin(module: nn.Recurrent, batch: int) -> tuple[Tensor, ...]:
    """Random first states, (layers * directions, batch, width); sLSTM's normaliser is positive."""
    rows = module.num_layers * (2 if module.bidirectional else 1)
    made = {
        name: 0.5 * torch.randn(rows, batch, width, dtype=torch.float64)
        for name, width in zip(module.state_names, module._state_widths, strict=True)
    }
    if module.program.name == "slstm":
        made["n"] = made["n"].abs() + 0.5
    return tuple(made.values())


def score(output: Tensor) -> Tensor:
    """A loss that weighs each step and feature differently; over time and features, (copies,) remain."""
    weights = torch.linspace(0.5, 1.5, output.shape[0] * output.shape[-1], dtype=torch.float64)
    return (torch.sin(output) * weights.reshape(output.shape[0], 1, -1)).sum((0, 2))


def expected_norms(
    module: nn.Recurrent, x: Tensor, streams: Any, hx: tuple[Tensor, ...], lengths: list[int], place: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Norms of d loss / d state by time, row and state, and of all together; NaN beyond a row's length."""
    steps, batch = x.shape[:2]
    norms = np.full((len(hx), steps, batch), np.nan)
    for b, length in enumerate(lengths):
        for t in range(length):
            own = rows_of(streams, (slice(None, length), b))
            first = tuple(h[:, b] for h in hx)
            found = loss_gradient(
                module, x[:length, b], own, first, Push(*place, t),
                lambda output, finals: score(output) + 0.3 * torch.cat([s for f in finals for s in f], -1).sum(-1),
            )  # fmt: skip
            norms[:, t, b] = [float(g.norm()) for g in found]
    return norms, np.sqrt((norms**2).sum(0))


def measured(module: nn.Recurrent, x: Tensor, hx: Any, own: list[int], **options: Any) -> Any:
    """The flow of the same loss."""

    def loss(output: Tensor, state: Any) -> Tensor:
        output = output.transpose(0, 1) if module.batch_first else output
        finals = [state] if isinstance(state, Tensor) else list(state)
        total = 0.3 * sum(s.sum() for s in finals)
        for b, length in [pair for pair in enumerate(own) if pair[1]]:
            total = total + score(output[:length, b : b + 1]).sum()
        return total

    return gradient_flow(module, x, hx, loss=loss, **options)


@pytest.mark.parametrize("cell", cells.names())
def test_loss_gradients_equal_finite_differences(cell: str) -> None:
    module, (steps, batch) = layer(cell, 3, 4), (4, 2)
    x = torch.randn(steps, batch, 3, dtype=torch.float64)
    hx, streams = begin(module, batch), streams_for(module, (steps, batch))
    expected, together = expected_norms(module, x, streams, hx, [steps] * batch, (0, 0))
    with torch.no_grad():
        found = measured(module, x, hx, [steps] * batch, streams=streams).layers[0]
    assert found.state_names == module.state_names
    np.testing.assert_allclose(found.loss_gradient, together.mean(1), rtol=TOLERANCE, atol=1e-8)
    for name, norms in zip(module.state_names, expected, strict=True):
        np.testing.assert_allclose(
            found.loss_gradient_by_state[name], norms.mean(1), rtol=TOLERANCE, atol=1e-8
        )
    np.testing.assert_allclose(found.loss_gradient_by_lag, together.mean(1)[::-1], rtol=TOLERANCE, atol=1e-8)


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        ("lstm", {}),
        ("lstm", {"residual": True}),
        ("gru", {"batch_first": True}),
        ("gru", {"layer_norm": True}),
    ],
)
def test_two_layers_both_ways_of_ragged_sequences(cell: str, options: dict[str, Any]) -> None:
    module = layer(cell, 3, 3, num_layers=2, bidirectional=True, **options)
    lengths, steps = [4, 2, 0], 4
    x = torch.randn(steps, 3, 3, dtype=torch.float64)
    hx = begin(module, 3)
    given = x.transpose(0, 1) if module.batch_first else x
    flow = measured(module, given, hx if len(hx) > 1 else hx[0], lengths, lengths=lengths)
    assert [(f.name, f.layer, f.direction) for f in flow.layers] == [
        ("layer 0", 0, 0), ("layer 0 reverse", 0, 1), ("layer 1", 1, 0), ("layer 1 reverse", 1, 1),
    ]  # fmt: skip
    for found in flow.layers:
        _, together = expected_norms(module, x, None, hx, lengths, (found.layer, found.direction))
        np.testing.assert_allclose(
            found.loss_gradient, np.nanmean(together[:, :2], 1), rtol=TOLERANCE, atol=1e-8
        )
        # By lag, each sequence counts from where the layer ends: its own last step, or the first in time.
        ends = [together[:n, b][:: 1 if found.direction else -1] for b, n in enumerate(lengths)]
        by_lag = [np.mean([e[k] for e in ends if k < len(e)]) for k in range(steps)]
        np.testing.assert_allclose(found.loss_gradient_by_lag, by_lag, rtol=TOLERANCE, atol=1e-8)


def test_packed_masked_and_padded_input_give_the_same() -> None:
    module = layer("lstm", 3, 4, num_layers=2)
    x, lengths = torch.randn(6, 3, 3, dtype=torch.float64), [3, 6, 2]
    mask = torch.arange(6)[:, None] < torch.tensor(lengths)
    padded = gradient_flow(module, x, lengths=lengths)
    packed = gradient_flow(module, pack_padded_sequence(x, lengths, enforce_sorted=False))
    masked = gradient_flow(module, x, mask=mask)
    for other in (packed, masked):
        for one, two in zip(padded.layers, other.layers, strict=True):
            np.testing.assert_array_equal(one.loss_gradient, two.loss_gradient)
            np.testing.assert_array_equal(one.log_jacobian, two.log_jacobian)


def test_steps_that_are_masked_out_in_the_middle_are_no_steps() -> None:
    module = layer("gru", 3, 4)
    x, mask = torch.randn(6, 1, 3, dtype=torch.float64), torch.tensor([1, 0, 1, 1, 0, 1])[:, None].bool()
    whole = gradient_flow(module, x, mask=mask, lags=[1, 2, 3, 4]).layers[0]
    cut = gradient_flow(module, x[mask[:, 0]], lags=[1, 2, 3, 4]).layers[0]
    np.testing.assert_allclose(whole.log_jacobian, cut.log_jacobian, rtol=1e-12)
    np.testing.assert_allclose(whole.loss_gradient_by_lag[:4], cut.loss_gradient_by_lag, rtol=1e-12)
    assert np.isnan(whole.loss_gradient[[1, 4]]).all()


def test_the_output_of_a_step_that_does_not_count_says_nothing_of_its_state() -> None:
    module = layer("gru", 3, 4)
    call, _ = module._call(torch.randn(4, 2, 3, dtype=torch.float64), None, lengths=[4, 2])
    output, _, taps = run_tapped(call)
    differentiate([output.sum()], taps)
    assert (taps[0].state_gradients[0][2:, 1] == 0).all()
    assert (taps[0].state_gradients[0][:2, 1] != 0).all()


def test_resets_cut_the_gradient() -> None:
    module = layer("lstm", 3, 4)
    resets = torch.zeros(8, 2, dtype=torch.bool)
    resets[5] = True
    found = gradient_flow(
        module, torch.randn(8, 2, 3, dtype=torch.float64), resets=resets, lags=[1, 2, 3, 4, 8]
    ).layers[0]
    assert np.isfinite(found.log_jacobian[:, :2]).all()
    assert np.isneginf(found.log_jacobian[:, 2:]).all()
    assert (found.loss_gradient[:5] == 0).all()
    assert (found.loss_gradient[5:] > 0).all()


def test_without_a_loss_it_looks_back_from_each_last_step() -> None:
    module = layer("gru", 3, 4, bidirectional=True)
    found = gradient_flow(module, torch.randn(5, 2, 3, dtype=torch.float64), lengths=[5, 3]).layers
    for one in found:
        assert one.loss_gradient_by_lag[0] == pytest.approx(1.0, rel=1e-12)


def test_nothing_of_the_module_or_the_process_changes() -> None:
    module = nn.LSTM(3, 4, num_layers=2, dropout=0.5, dtype=torch.float64)
    head = torch.nn.Linear(4, 1, dtype=torch.float64)
    x, before = torch.randn(5, 2, 3, dtype=torch.float64), torch.get_rng_state()
    flow = gradient_flow(module, x, loss=lambda output, state: head(output).sum())
    assert torch.equal(torch.get_rng_state(), before)
    assert module.training
    assert all(p.grad is None for p in [*module.parameters(), *head.parameters()])
    # Dropout is off: the same again, and the same as in evaluation.
    again = gradient_flow(module.eval(), x, loss=lambda output, state: head(output).sum())
    np.testing.assert_array_equal(flow.layers[0].loss_gradient, again.layers[0].loss_gradient)


def test_words_and_json() -> None:
    flow = gradient_flow(nn.GRU(3, 4), torch.randn(9, 3, 3), lengths=[9, 4, 2])
    stored = json.loads(json.dumps(flow.to_dict(), allow_nan=False))
    assert stored["layers"][0]["cell"] == "gru"
    assert stored["verdict"]["kind"] == flow.verdict.kind
    assert len(stored["layers"][0]["jacobian_norm"]) == len(flow.layers[0].lags)
    assert "layer 0 (gru)" in flow.describe()
    assert "1 %" in flow.describe()


def test_an_unbatched_sequence_and_one_step() -> None:
    found = gradient_flow(nn.LSTM(3, 4), torch.randn(1, 3))
    assert found.verdict.kind == "unknown"
    assert found.layers[0].loss_gradient.shape == (1,)
    assert found.layers[0].lags.tolist() == [1]


def test_sequences_without_a_step() -> None:
    found = gradient_flow(nn.LSTM(3, 4), torch.randn(5, 2, 3), lengths=[0, 0]).layers[0]
    assert found.verdict.kind == "unknown"
    assert np.isnan(found.loss_gradient).all()
    assert found.horizon.window == 0


X = torch.zeros(5, 2, 3)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"module": torch.nn.LSTM(3, 4)}, ArgumentTypeError, "module: .*gatewise.nn"),
        ({"module": nn.prepare(nn.LSTM(3, 4).eval())}, ArgumentError, "prepared"),
        ({"input": torch.zeros(5, 2, 4)}, ShapeError, "input"),
        ({"input": torch.zeros(0, 2, 3)}, GatewiseError, "input"),
        ({"input": torch.full((5, 2, 3), math.nan)}, ArgumentError, "not finite"),
        ({"loss": 3}, ArgumentTypeError, "loss: "),
        ({"loss": lambda output, state: output}, ArgumentTypeError, "loss: .*one number"),
        ({"loss": lambda output, state: torch.zeros(())}, ArgumentError, "loss: .*depends"),
        ({"lags": 1}, ArgumentError, "lags: "),
        ({"lags": [0, 2]}, ArgumentError, "lags: .*1 to 5"),
        ({"lags": [9]}, ArgumentError, "lags: .*1 to 5"),
        ({"lags": "all"}, ArgumentTypeError, "lags: "),
        ({"rows": 0}, ArgumentError, "rows: "),
        ({"rows": 1.5}, ArgumentTypeError, "rows: "),
        ({"method": "svd"}, ArgumentError, "method: .*dense"),
        ({"tolerance": 0}, ArgumentError, "tolerance: "),
        ({"max_iterations": True}, ArgumentTypeError, "max_iterations: "),
        ({"shares": (1.5,)}, ArgumentError, "shares: "),
        ({"lengths": [9, 1]}, ShapeError, "lengths"),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], error: type[Exception], words: str) -> None:
    given: dict[str, Any] = {"module": nn.LSTM(3, 4), "input": X, **change}
    with pytest.raises(error, match=words):
        gradient_flow(given.pop("module"), given.pop("input"), **given)
