"""Lengths, masks and resets mean, for every cell, what a loop over single sequences gives."""

from __future__ import annotations

import itertools

import pytest
import torch

from gatewise import cells, nn
from gatewise.errors import ArgumentError
from tests.nn.helpers import assert_equal, differentiate, layer, leaves, rows_of, streams_for

TIME, BATCH, INPUT, HIDDEN = 6, 5, 4, 6
LENGTHS = torch.tensor([6, 0, 3, 1, 4])


def layers_of(cell: str) -> int:
    """Two layers, but for cells that stand alone."""
    return 1 if len(cells.get(cell).inputs) > 1 else 2


def alone(module: nn.Recurrent, x, streams, state, keep, row):
    """One row by itself, only the steps that are kept: (output at those steps, final state)."""
    picked = keep[:, row].nonzero()[:, 0]
    hx = tuple(s[:, row : row + 1] for s in state)
    if len(picked) == 0:
        return x.new_zeros(0, 1, 0), hx
    return module(x[picked, row : row + 1], hx, streams=rows_of(streams, (picked, slice(row, row + 1))))


def initial(module: nn.Recurrent) -> tuple[torch.Tensor, ...]:
    rows = module.num_layers * (2 if module.bidirectional else 1)
    generator = torch.Generator().manual_seed(8)
    return tuple(
        torch.rand(rows, BATCH, w, generator=generator, dtype=torch.float64) + 0.1
        for w in module._state_widths
    )


def check_against_loop(module, x, streams, state, keep, **ragged) -> None:
    output, final = module(x, state, streams=streams, **ragged)
    for row in range(BATCH):
        expected, last = alone(module, x, streams, state, keep, row)
        picked = keep[:, row]
        assert_equal(final.select([row]), last)
        assert bool((output[~picked, row] == 0).all())
        if picked.any():
            assert_equal(output[picked, row : row + 1], expected)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", cells.names())
def test_lengths_and_masks_equal_a_loop(cell, bidirectional) -> None:
    module = layer(cell, INPUT, HIDDEN, layers_of(cell), bidirectional=bidirectional)
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    streams, state = streams_for(module, (TIME, BATCH)), initial(module)
    keep = torch.arange(TIME)[:, None] < LENGTHS
    check_against_loop(module, x, streams, state, keep, lengths=LENGTHS)
    mask = torch.rand(TIME, BATCH) > 0.4
    mask[:, 1] = False
    check_against_loop(module, x, streams, state, mask, mask=mask)
    check_against_loop(module, x, streams, state, mask & keep, mask=mask, lengths=LENGTHS)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", cells.names())
def test_resets_cut_sequences(cell, bidirectional) -> None:
    """A reset at t: what is from t on never sees what was before, nor, in reverse, the other way round."""
    module = layer(cell, INPUT, HIDDEN, 1, bidirectional=bidirectional, learn_initial_state=True)
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    streams, state = streams_for(module, (TIME, BATCH)), initial(module)
    resets = torch.zeros(TIME, BATCH, dtype=torch.bool)
    resets[0, 0] = resets[2, 1] = resets[5, 2] = resets[1, 3] = resets[4, 3] = True
    output, final = module(x, state, streams=streams, resets=resets)
    for row in range(BATCH):
        cuts = sorted({0, TIME, *resets[:, row].nonzero()[:, 0].tolist()})
        given = [s[:, row : row + 1] for s in state]
        fresh = [getattr(module, f"initial_{n}").unsqueeze(1) for n in module.state_names]
        first_is_reset = bool(resets[0, row])
        for start, stop in itertools.pairwise(cuts):
            hx = []
            for g, f in zip(given, fresh, strict=True):
                ahead = g[:1] if start == 0 and not first_is_reset else f[:1]
                behind = [g[1:] if stop == TIME else f[1:]] if bidirectional else []
                hx.append(torch.cat([ahead, *behind]))
            part = (slice(start, stop), slice(row, row + 1))
            expected, last = module(x[part], tuple(hx), streams=rows_of(streams, part))
            assert_equal(output[part], expected)
            if stop == TIME:
                assert_equal([f[:1, row : row + 1] for f in final], [s[:1] for s in last])
            if bidirectional and start == 0:
                assert_equal([f[1:, row : row + 1] for f in final], [s[1:] for s in last])


@pytest.mark.parametrize("cell", ["lstm", "gru", "sru", "slstm"])
def test_gradients_of_ragged_calls_equal_a_loop(cell) -> None:
    module = layer(cell, INPUT, HIDDEN, 2, bidirectional=True)
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64, requires_grad=True)
    state = initial(module)
    keep = torch.arange(TIME)[:, None] < LENGTHS
    _, final = module(x, state, lengths=LENGTHS)
    rows = [alone(module, x, None, state, keep, row)[1] for row in range(BATCH)]
    expected = [torch.cat(parts, dim=1) for parts in zip(*rows, strict=True)]
    wanted = [x, *module.parameters()]
    assert_equal(differentiate(leaves(final), wanted), differentiate(expected, wanted))


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_torch_layers_take_lengths_as_packing_does(kind, batch_first) -> None:
    module = kind(INPUT, HIDDEN, 2, bidirectional=True, batch_first=batch_first, dtype=torch.float64)
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    x = x.transpose(0, 1) if batch_first else x
    keep = [0, 2, 3, 4]
    lengths = LENGTHS[keep]
    x = x[keep] if batch_first else x[:, keep]
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        x, lengths, batch_first=batch_first, enforce_sorted=False
    )
    expected, last = module(packed)
    padded, _ = torch.nn.utils.rnn.pad_packed_sequence(expected, batch_first=batch_first)
    for given in (lengths, lengths.tolist(), lengths.to(torch.int32), tuple(lengths.tolist())):
        output, final = module(x, lengths=given)
        assert_equal(output, padded)
        assert_equal(final, last)
    mask = torch.arange(TIME) < lengths[:, None]
    assert_equal(module(x, mask=mask if batch_first else mask.T)[0], padded)


def test_padding_may_be_anything() -> None:
    """What lies behind a sequence's end reaches neither results nor gradients, not even NaN."""
    module = layer("lstm", INPUT, HIDDEN, 2, bidirectional=True)
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    keep = torch.arange(TIME)[:, None] < LENGTHS
    clean = x.clone().requires_grad_()
    dirty = torch.where(keep[..., None], x, torch.nan).requires_grad_()
    expected, got = module(clean, lengths=LENGTHS), module(dirty, lengths=LENGTHS)
    assert_equal(got, expected)
    wanted = list(module.parameters())
    assert_equal(differentiate(got, wanted), differentiate(expected, wanted))


def test_unbatched_mask_and_resets() -> None:
    module = layer("gru", INPUT, HIDDEN, batch_first=True)
    x = torch.randn(TIME, INPUT, dtype=torch.float64)
    mask = torch.tensor([True, True, False, True, False, True])
    resets = torch.tensor([False, False, False, True, False, False])
    output, final = module(x, mask=mask, resets=resets)
    assert_equal(final, module(x[[3, 5]])[1])
    assert_equal(output[mask], torch.cat([module(x[:2])[0], module(x[[3, 5]])[0]]))


def test_trace_follows_the_layout() -> None:
    module = nn.LSTM(INPUT, HIDDEN, 2, batch_first=True, bidirectional=True)
    x = torch.randn(BATCH, TIME, INPUT)
    output, state, trace = module(x, return_gates=True, lengths=LENGTHS)
    assert len(trace) == 4
    assert all(value.shape == (BATCH, TIME, HIDDEN) for steps in trace for value in steps.values())
    plain, same = module(x, lengths=LENGTHS)
    torch.testing.assert_close((output, tuple(state)), (plain, tuple(same)))
    found = [name for name in trace[2] if name.split(":")[-1] == "h"]
    assert (
        len(found) == 1
    )  # the state h of the upper forward layer is half of the output, where steps are kept
    keep = (torch.arange(TIME) < LENGTHS[:, None])[..., None]
    torch.testing.assert_close(trace[2][found[0]] * keep, output[..., :HIDDEN])
    assert module(x[0], return_gates=True)[2][0][found[0]].shape == (TIME, HIDDEN)


def test_learned_initial_state() -> None:
    module = nn.LSTM(INPUT, HIDDEN, learn_initial_state=True, dtype=torch.float64)
    assert set(dict(module.named_parameters())) > {"initial_h", "initial_c"}
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    assert_equal(
        module(x), module(x, tuple(torch.zeros(1, BATCH, HIDDEN, dtype=torch.float64) for _ in "hc"))
    )
    with torch.no_grad():
        module.initial_h.normal_()
        module.initial_c.normal_()
    explicit = tuple(p.unsqueeze(1).expand(1, BATCH, HIDDEN) for p in (module.initial_h, module.initial_c))
    assert_equal(module(x), module(x, explicit))
    grads = differentiate(module(x), [module.initial_h, module.initial_c])
    assert all(float(g.abs().sum()) > 0 for g in grads)
    x_t = torch.randn(BATCH, INPUT, dtype=torch.float64)
    assert_equal(module.step(x_t)[0], module(x_t[None])[0][0])


def test_streams_in_every_form() -> None:
    module = layer("gru_d", INPUT, HIDDEN)
    x, lengths = torch.randn(TIME, 3, INPUT, dtype=torch.float64), [6, 2, 4]
    streams = streams_for(module, (TIME, 3))
    expected, final = module(x, streams=streams, lengths=lengths)
    assert_equal(module(x, streams=(streams["m"], streams["d"]), lengths=lengths), (expected, final))

    def pack(values):
        return torch.nn.utils.rnn.pack_padded_sequence(values, lengths, enforce_sorted=False)

    output, last = module(pack(x), streams={name: pack(stream) for name, stream in streams.items()})
    assert_equal(torch.nn.utils.rnn.pad_packed_sequence(output)[0], expected)
    assert_equal(last, final)
    with pytest.raises(ArgumentError, match="streams.*: expected the input's batch_sizes"):
        module(pack(x), streams=(torch.nn.utils.rnn.pack_padded_sequence(x, [5, 5, 2]), pack(streams["d"])))
