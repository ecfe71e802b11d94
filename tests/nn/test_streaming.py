"""Feeding one step at a time gives the whole sequence's numbers, for every cell and every extra."""

from __future__ import annotations

import pytest
import torch
from torch.nn.utils import prune

from gatewise import cells, nn
from gatewise.errors import ArgumentError, ShapeError
from gatewise.nn import streaming
from tests.nn.helpers import assert_equal, differentiate, layer, rows_of, streams_for

TIME, BATCH, INPUT, HIDDEN = 6, 3, 4, 6


def stream(module: nn.Recurrent, x, streams=None):
    state, outputs = None, []
    for t in range(x.shape[0]):
        y, state = module.step(x[t], state, streams=rows_of(streams, t))
        outputs.append(y)
    return torch.stack(outputs), state


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("cell", cells.names())
def test_streaming_equals_batch(cell, batched) -> None:
    several = len(cells.get(cell).inputs) > 1
    module = layer(cell, INPUT, HIDDEN, 1 if several else 2).eval()
    lead = (TIME, BATCH) if batched else (TIME,)
    x = torch.randn(*lead, INPUT, dtype=torch.float64)
    streams = streams_for(module, lead)
    expected = module(x, streams=streams)
    got = stream(module, x, streams)
    assert_equal(got, expected)
    assert isinstance(got[1], nn.RecurrentState)
    with torch.inference_mode():
        assert_equal(stream(module, x, streams), expected)


@pytest.mark.parametrize("options", [{}, {"batch_first": True}, {"residual": True}])
@pytest.mark.parametrize("cell", ["lstm", "gru", "lstm_peephole", "gru_d"])
def test_many_rows_step_as_a_few_do(cell, options) -> None:
    """From some hundred rows on a step goes another way."""
    several = len(cells.get(cell).inputs) > 1
    module = layer(cell, HIDDEN, HIDDEN, 1 if several else 2, **options).eval()
    rows = streaming._MANY_ROWS + 3
    x = torch.randn(2, rows, HIDDEN, dtype=torch.float64)
    streams = streams_for(module, (2, rows))
    state, parts, few = None, [slice(0, 100), slice(100, rows)], [None, None]
    for t in range(2):
        y, state = module.step(x[t], state, streams=rows_of(streams, t))
        for place, part in enumerate(parts):
            own = rows_of(streams, (t, part))
            got, few[place] = module.step(x[t, part], few[place], streams=own)
            assert_equal(y[part], got)


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_torch_layers_stream_and_differentiate(kind) -> None:
    module = kind(INPUT, HIDDEN, 2, dtype=torch.float64)
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64, requires_grad=True)
    expected, got = module(x), stream(module, x)
    assert type(got[1]) is type(expected[1])
    assert_equal(got, expected)
    wanted = [x, *module.parameters()]
    assert_equal(differentiate(got, wanted), differentiate(expected, wanted))
    middle = module(x[:3])[1]  # a state of a whole call goes on as a stream, and back
    y, after = module.step(x[3], middle)
    assert_equal(y, expected[0][3])
    assert_equal(module(x[4:], after)[1], expected[1])


@pytest.mark.parametrize(
    "extra",
    [{"zoneout": 0.2}, {"zoneout": (0.1, 0.4)}, {"recurrent_dropout": 0.3}, {"weight_drop": 0.5}, {"residual": True},
     {"dropout": 0.5}, {"learn_initial_state": True}, {"layer_norm": True}, {"batch_first": True}],
)  # fmt: skip
def test_streaming_equals_batch_with_extras(extra) -> None:
    module = layer("lstm", HIDDEN, HIDDEN, 2, **extra).eval()
    x = torch.randn(TIME, BATCH, HIDDEN, dtype=torch.float64)
    expected = module(x.transpose(0, 1) if module.batch_first else x)
    output, state = stream(module, x)
    assert_equal(output.transpose(0, 1) if module.batch_first else output, expected[0])
    assert_equal(state, expected[1])


def test_float32_streams_within_its_rounding() -> None:
    """A row alone and the same row in a batch differ in the last bits of their products; 32 ulp over six steps."""
    module = nn.LSTM(INPUT, HIDDEN, 2).eval()
    x = torch.randn(TIME, BATCH, INPUT)
    torch.testing.assert_close(
        stream(module, x)[0], module(x)[0], rtol=0, atol=32 * torch.finfo(torch.float32).eps
    )


def test_a_backward_direction_cannot_stream_and_says_why() -> None:
    for module in (
        nn.GRU(3, 4, bidirectional=True),
        nn.GRU(3, 4, reverse=True),
        nn.Bidirectional("gru", 3, 4),
    ):
        with pytest.raises(ArgumentError, match=r"last step, which a stream has not seen yet; use"):
            module.step(torch.zeros(2, 3))


def test_training_mode_step_draws_as_a_call_of_one_step() -> None:
    module = nn.LSTM(INPUT, HIDDEN, 2, dropout=0.5, recurrent_dropout=0.5, zoneout=0.3, weight_drop=0.3)
    x, state = torch.randn(BATCH, INPUT), module(torch.randn(2, BATCH, INPUT))[1]
    torch.manual_seed(3)
    one = module.step(x, state)
    torch.manual_seed(3)
    expected, after = module(x[None], state)
    assert_equal(one, (expected[0], after), 0.0)


def test_a_state_edited_in_place_is_what_the_next_step_reads() -> None:
    """As reinforcement learning does where an episode ends."""
    module = nn.LSTM(INPUT, HIDDEN, dtype=torch.float64).eval()
    x = torch.randn(2, BATCH, INPUT, dtype=torch.float64)
    with torch.no_grad():
        _, state = module.step(x[0])
        for tensor in state:
            tensor[:, 1] = 0
        y, _ = module.step(x[1], state)
        assert_equal(y[1], module.step(x[1, 1])[0])
        _, other = module.step(x[0])
        assert_equal(
            module.step(x[1], other.select([2, 0, 1]))[0], module(x[1:], other.select([2, 0, 1]))[0][0]
        )


def test_a_state_of_another_batch_or_layer_is_refused() -> None:
    module = nn.LSTM(INPUT, HIDDEN).eval()
    with torch.no_grad():
        _, state = module.step(torch.zeros(BATCH, INPUT))
        for row, other in (
            (torch.zeros(BATCH + 1, INPUT), module),
            (torch.zeros(BATCH, INPUT), nn.LSTM(INPUT, HIDDEN + 1)),
            (torch.zeros(BATCH, INPUT, dtype=torch.float64), nn.LSTM(INPUT, HIDDEN, dtype=torch.float64)),
        ):
            with pytest.raises(ShapeError, match="state: expected"):
                other.step(row, state)


def _prune(module):
    prune.l1_unstructured(module, "weight_hh_l0", amount=0.5)


def _double_input(module):
    module.register_forward_pre_hook(
        lambda m, args, kwargs: ((args[0] * 2, *args[1:]), kwargs), with_kwargs=True
    )


def _change_output(module):
    module.register_forward_hook(lambda m, args, result: (result[0] + 1, result[1]))


def _old_weight_norm(module):
    with pytest.warns(FutureWarning):
        torch.nn.utils.weight_norm(module, "weight_hh_l0")


def _parametrized(module):
    torch.nn.utils.parametrizations.weight_norm(module, "weight_hh_l0")


@pytest.mark.parametrize("hook", [_prune, _double_input, _change_output, _old_weight_norm, _parametrized])
@pytest.mark.parametrize("options", [{}, {"batch_first": True}])
def test_step_gives_the_calls_numbers_whatever_hooks_are_on(hook, options) -> None:
    module = layer("gru", INPUT, HIDDEN, **options).eval()
    hook(module)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(3)  # what a hook refreshes is stale from here on
    x, state = (
        torch.randn(1, BATCH, INPUT, dtype=torch.float64),
        torch.rand(1, BATCH, HIDDEN, dtype=torch.float64),
    )
    y, new = module.step(x[0], (state,))
    expected, after = module(x.transpose(0, 1) if options else x, (state,))
    assert_equal(y, expected[:, 0] if options else expected[0])
    assert_equal(new, after)


def test_step_minds_global_hooks_and_streams() -> None:
    module, x = layer("gru_d", INPUT, HIDDEN, 1).eval(), torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    streams = streams_for(module, (TIME, BATCH))
    handle = torch.nn.modules.module.register_module_forward_hook(
        lambda m, args, result: (result[0] * 2, result[1])
    )
    try:
        expected, _ = module(x, streams=streams)
        assert_equal(stream(module, x, streams)[0], expected)
    finally:
        handle.remove()
