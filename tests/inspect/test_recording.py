"""Recording: what is seen is what the layers did, whoever calls them, and nothing changes by looking."""

from __future__ import annotations

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

from gatewise import nn
from gatewise.errors import ArgumentError, ArgumentTypeError
from gatewise.inspect import record, trace


class Reader(torch.nn.Module):
    """A model that calls its layers in every way there is."""

    def __init__(self) -> None:
        super().__init__()
        self.front = nn.GRU(3, 4, batch_first=True, dropout=0.5, num_layers=2)
        self.back = nn.LSTM(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output, _ = self.front(input=x, lengths=[6, 3])
        state = None
        for step in output.transpose(0, 1):
            y, state = self.back.step(step, state)
        return y


def test_every_call_is_seen_and_nothing_changes() -> None:
    torch.manual_seed(0)
    model, x = Reader(), torch.randn(2, 6, 3)
    state = torch.get_rng_state()
    wanted = model(x)
    torch.set_rng_state(state)
    with record(model) as recording:
        got = model(x)
        assert model.training
    # Dropout drew the same numbers: looking draws none.
    assert torch.equal(got, wanted)
    assert [one.name for one in recording.layers()] == ["front, layer 1 of 2", "front, layer 2 of 2", "back"]
    assert recording.calls == 7
    front, back = recording.of("front, layer 1 of 2"), recording.of("back")
    assert front[0].valid.sum(0).tolist() == [6, 3]
    assert front[0].input.shape == (6, 2, 3)
    assert [one.fresh for one in back] == [True] + [False] * 5
    assert "step" not in model.back.__dict__
    model(x)
    assert recording.calls == 7


def test_a_trace_holds_the_outputs_and_starts() -> None:
    torch.manual_seed(0)
    model = nn.LSTM(3, 5, bidirectional=True, batch_first=True)
    hx = (torch.randn(2, 2, 5), torch.randn(2, 2, 5))
    x = torch.randn(2, 7, 3)
    ahead, back = trace(model, x, hx)
    output = model(x, hx)[0].detach().transpose(0, 1)
    torch.testing.assert_close(ahead.states["h"], output[..., :5])
    torch.testing.assert_close(back.states["h"], output[..., 5:])
    assert torch.equal(back.start["c"], hx[1][1])
    assert (ahead.layer.direction, back.layer.direction) == (0, 1)


def test_packed_input_and_zoneout() -> None:
    torch.manual_seed(0)
    model = nn.GRU(3, 5, zoneout=0.2)
    x = torch.randn(6, 3, 3)
    with record(model.eval()) as recording:
        output, _ = model(pack_padded_sequence(x, [6, 4, 1]))
    [one] = recording.traces
    assert one.valid.sum(0).tolist() == [6, 4, 1]
    padded, _ = torch.nn.utils.rnn.pad_packed_sequence(output)
    torch.testing.assert_close(one.states["h"] * one.valid[..., None], padded.detach())
    # Of a zoned unit 0.2 stays whatever the gate says.
    torch.testing.assert_close(one.retained["h"][one.valid], (0.2 + 0.8 * one.gates["z"])[one.valid])


def test_memory_is_bounded() -> None:
    model = nn.GRU(3, 5)
    with record(model, most_numbers=400) as recording:
        for _ in range(4):
            model(torch.randn(4, 2, 3))
    assert len(recording.traces) == 2
    assert recording.full
    assert recording.calls == 4


def test_what_cannot_be_recorded() -> None:
    with (
        pytest.raises(ArgumentError, match=r"one with a recurrent layer.*Linear without any"),
        record(torch.nn.Linear(2, 3)),
    ):
        pass
    with (
        pytest.raises(ArgumentTypeError, match="a torch module, or an estimator that was fitted"),
        record("a model"),
    ):
        pass
    with pytest.raises(ArgumentTypeError, match="each: a function"), record(nn.GRU(2, 3), each=3):
        pass
    with pytest.raises(ArgumentTypeError, match="a gatewise.nn layer is expected"):
        trace(torch.nn.GRU(2, 3), torch.zeros(4, 1, 2))
    with record(nn.GRU(2, 3)) as recording, pytest.raises(ArgumentError, match=r"those recorded \(none\)"):
        recording.of("x")


def test_an_error_of_the_model_leaves_no_trace_of_recording() -> None:
    model = nn.GRU(2, 3)
    with pytest.raises(ArgumentError), record(model):
        model.step(torch.zeros(1, 2), (torch.zeros(1, 1, 3), torch.zeros(1, 1, 3)))
    assert "step" not in model.__dict__
    assert not model._forward_hooks
