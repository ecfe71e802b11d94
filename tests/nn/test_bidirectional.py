"""The wrapper: two layers of any cell, with their outputs merged."""

from __future__ import annotations

import pytest
import torch

from gatewise import cells, nn
from gatewise.errors import ArgumentError, ArgumentTypeError
from tests.nn.helpers import assert_equal, layer, streams_for

TIME, BATCH, INPUT, HIDDEN = 5, 3, 4, 6


@pytest.mark.parametrize("cell", cells.names())
def test_concat_equals_a_bidirectional_layer(cell) -> None:
    both = layer(cell, INPUT, HIDDEN, bidirectional=True)
    ahead, behind = layer(cell, INPUT, HIDDEN), layer(cell, INPUT, HIDDEN, reverse=True)
    weights = both.state_dict()
    ahead.load_state_dict({n: p for n, p in weights.items() if not n.endswith("_reverse")})
    behind.load_state_dict(
        {n.removesuffix("_reverse"): p for n, p in weights.items() if n.endswith("_reverse")}
    )
    wrapped = nn.Bidirectional(ahead, backward_layer=behind)
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    extras = {"lengths": [5, 0, 2], "streams": streams_for(both, (TIME, BATCH))}
    expected = both(x, **extras)
    got = wrapped(x, **extras)
    assert_equal(got, expected)
    assert_equal(got[1].last(), expected[1].last())
    assert_equal(nn.RecurrentState.of(wrapped, tuple(got[1])).last(), expected[1].last())
    assert_equal(wrapped(x, got[1], **extras), both(x, expected[1], **extras))


def test_merges_and_twins() -> None:
    torch.manual_seed(1)
    module = nn.Bidirectional("gru", INPUT, HIDDEN, num_layers=2, merge="concat", batch_first=True)
    assert module.backward_layer.reverse
    assert not torch.equal(module.backward_layer.weight_ih_l0, module.forward_layer.weight_ih_l0)
    x = torch.randn(BATCH, TIME, INPUT)
    parts = module(x)[0].split(HIDDEN, dim=-1)
    for merge, expected in (("sum", parts[0] + parts[1]), ("mean", (parts[0] + parts[1]) / 2)):
        other = nn.Bidirectional(module.forward_layer, backward_layer=module.backward_layer, merge=merge)
        torch.testing.assert_close(other(x)[0], expected)
    torch.testing.assert_close(parts[0], module.forward_layer(x)[0])
    torch.testing.assert_close(parts[1], module.backward_layer(x)[0])
    torch.testing.assert_close(parts[1], nn_flipped(module.backward_layer, x))
    state = module(x)[1]  # layer by layer, forwards and backwards in turn, as torch orders them
    torch.testing.assert_close(state[0][0::2], module.forward_layer(x)[1][0])
    torch.testing.assert_close(state[0][1::2], module.backward_layer(x)[1][0])
    torch.testing.assert_close(module(x, state)[0][..., :HIDDEN], module.forward_layer(x, state[0][0::2])[0])


def nn_flipped(module: nn.Recurrent, x: torch.Tensor) -> torch.Tensor:
    """The same weights forwards over the sequence turned round."""
    plain = nn.Recurrent("gru", INPUT, HIDDEN, 2, batch_first=True)
    plain.load_state_dict(module.state_dict())
    return plain(x.flip(1))[0].flip(1)


def test_packed_and_gates() -> None:
    module = nn.Bidirectional(nn.LSTM(INPUT, HIDDEN), merge="sum")
    x = torch.randn(TIME, BATCH, INPUT)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, [5, 2, 4], enforce_sorted=False)
    output, state = module(packed)
    padded, _ = torch.nn.utils.rnn.pad_packed_sequence(output)
    expected, same = module(x, lengths=[5, 2, 4])
    torch.testing.assert_close(padded, expected)
    torch.testing.assert_close(tuple(state), tuple(same))
    assert len(module(x, return_gates=True)[2]) == 2
    assert "merge='sum'" in repr(module)


def test_errors() -> None:
    gru = nn.GRU(3, 4)
    cases = (
        ((gru,), {"merge": "max"}, ArgumentError, "merge: expected one of"),
        ((gru, 3), {}, ArgumentError, "sizes: expected none"),
        (("gru",), {}, ArgumentTypeError, "sizes: expected input_size and hidden_size"),
        (
            (nn.GRU(3, 4, bidirectional=True),),
            {},
            ArgumentError,
            "forward_layer: expected a layer with reverse=False",
        ),
        (
            (gru,),
            {"backward_layer": nn.GRU(3, 4)},
            ArgumentError,
            "backward_layer: expected a layer with reverse=True",
        ),
        ((gru,), {"backward_layer": nn.GRU(3, 5, reverse=True)}, ArgumentError, "backward_layer: expected"),
        (
            (gru,),
            {"backward_layer": torch.nn.GRU(3, 4)},
            ArgumentTypeError,
            "backward_layer: expected a gatewise.nn",
        ),
    )
    for args, options, error, match in cases:
        with pytest.raises(error, match=match):
            nn.Bidirectional(*args, **options)
    with pytest.raises(ArgumentError, match="hx: expected states of"):
        nn.Bidirectional(gru)(torch.zeros(2, 1, 3), torch.zeros(1, 1, 4))
