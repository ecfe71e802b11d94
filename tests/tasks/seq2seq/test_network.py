"""The encoder-decoder: a whole target at once against one step after the other, copies, coverage, every cell."""

from __future__ import annotations

import pytest
import torch

import gatewise
from gatewise import cells
from gatewise.decode import Limits, beam_search
from gatewise.errors import ArgumentError
from gatewise.spec import sigmoid, tanh
from gatewise.tasks.seq2seq.network import Seq2SeqNetwork
from gatewise.tasks.seq2seq.plan import NetworkPlan

SIZE, FOREIGN = 9, 3
SINGLE = [name for name in cells.names() if len(cells.get(name).inputs) == 1]


def network(**changes) -> Seq2SeqNetwork:
    """A small one, in float64."""
    plan = {
        "program": cells.get("gru"), "source_size": 11, "target_size": SIZE, "shared": False, "tied": True,
        "embedding_size": 6, "hidden_size": 8, "num_layers": 1, "attention": "additive", "feeding": "input",
        "copy": False, "coverage": False, "dropout": 0.2, "engine": "auto",
    }  # fmt: skip
    torch.manual_seed(0)
    return Seq2SeqNetwork(NetworkPlan(**(plan | changes))).double().eval()


def batch() -> dict[str, torch.Tensor]:
    """Three pairs of different lengths; some tokens of the source have no number in the target's vocabulary."""
    lengths, ends = torch.tensor([[5, 2, 4]]), [4, 6, 1]
    source = torch.randint(2, 11, (5, 3))
    copies = torch.randint(2, SIZE + FOREIGN, (5, 3))
    target = torch.randint(2, SIZE, (6, 3))
    target[1, 0], copies[3, 0] = SIZE + 2, SIZE + 2
    for place in range(3):
        source[int(lengths[0, place]) :, place] = 0
        copies[int(lengths[0, place]) :, place] = 0
        target[ends[place] :, place] = -1
    said = torch.cat([torch.full((1, 3), 2), target[:-1].clamp(min=0)])
    return {"source": source, "lengths": lengths, "copies": copies, "target_in": said, "target_out": target}


VARIANTS = {
    "input feeding": {},
    "context fed": {"feeding": "context"},
    "at once": {"feeding": "none", "attention": "general"},
    "dot": {"feeding": "none", "attention": "dot"},
    "two layers of lstm": {"program": cells.get("lstm"), "num_layers": 2},
    "copies": {"copy": True},
    "copies and coverage": {"copy": True, "coverage": True, "feeding": "none"},
    "coverage fed": {"coverage": True, "attention": "concat"},
    "own output layer": {"tied": False},
}


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_a_target_at_once_is_one_step_after_the_other(changes) -> None:
    model, given = network(**changes), batch()
    if not model.plan.copy:
        given["target_out"] = torch.where(given["target_out"] >= SIZE, 4, given["target_out"])
    whole = model(given)
    sums = torch.zeros(3, dtype=torch.float64).index_add(0, whole.sentence, whole.log_probs)
    for place in range(3):
        # One sentence alone, without padding, token by token.
        length = int(given["lengths"][0, place])
        copies = given["copies"][:length, place : place + 1] if model.plan.copy else None
        state = model.begin(given["source"][:length, place : place + 1], torch.tensor([length]), copies)
        total, overlap, covered = 0.0, 0.0, torch.zeros(length, dtype=torch.float64)
        for said, target in zip(given["target_in"][:, place], given["target_out"][:, place], strict=True):
            if target < 0:
                break
            step = model.step(said[None], state)
            torch.testing.assert_close(
                step.log_probs.exp().sum(), torch.tensor(1.0).double(), rtol=0, atol=1e-12
            )
            total, state = total + float(step.log_probs[0, target]), step.state
            overlap += float(torch.minimum(step.attention[0], covered).sum())
            covered = covered + step.attention[0]
        # Some hundred terms a step, 6 steps, float64: 1e-14 or so; 1e-10 leaves room for no wrong formula.
        assert abs(total - float(sums[place])) < 1e-10
        if model.plan.coverage:
            mine = float(whole.overlap[whole.sentence == place].sum())
            assert abs(mine - overlap) < 1e-12
    assert bool(whole.overlap.any()) == model.plan.coverage


def test_what_is_copied_is_what_the_paper_says() -> None:
    """Equation 9 of See et al. 2017, word by word."""
    model, given = network(copy=True).requires_grad_(False), batch()
    state = model.begin(given["source"], given["lengths"][0], given["copies"])
    embedded = model.tables[-1](torch.full((1, 3), 2)) * model.plan.embedding_size**0.5
    trace = model.decoder(embedded, state.decoder, state.memory)
    words = (trace.hidden[0] @ model.tables[-1].weight.T + model.bias).softmax(-1)
    read = torch.cat([trace.context[0], trace.output[0], embedded[0]], dim=-1)
    speaks = torch.sigmoid(read @ model.switch.weight.T + model.switch.bias)[:, 0]
    found = model.step(torch.full((3,), 2), state).log_probs.exp()
    assert found.shape == (3, SIZE + FOREIGN)
    for place in range(3):
        for word in range(SIZE + FOREIGN):
            expected = float(speaks[place] * words[place, word]) if word < SIZE else 0.0
            for position in range(int(given["lengths"][0, place])):
                if int(given["copies"][position, place]) == word:
                    expected += float((1 - speaks[place]) * trace.weights[0, place, position])
            assert abs(expected - float(found[place, word])) < 1e-12


@pytest.mark.parametrize("cell", SINGLE)
def test_every_cell_with_one_input(cell) -> None:
    model, given = network(program=cells.get(cell)), batch()
    given["target_out"] = torch.where(given["target_out"] >= SIZE, 4, given["target_out"])
    model.train()
    model(given).log_probs.sum().backward()
    missing = [name for name, one in model.named_parameters() if one.grad is None]
    assert not missing
    assert all(bool(torch.isfinite(one.grad).all()) for one in model.parameters())


@pytest.mark.parametrize(
    "changes", [{}, {"copy": True, "coverage": True, "feeding": "none"}], ids=["fed", "copies"]
)
def test_a_beam_over_a_batch_is_that_over_each_alone(changes) -> None:
    model, given = network(**changes), batch()
    limits = Limits(7, stop=(3,))

    def search(places: list[int]):
        length = int(given["lengths"][0, places].max())
        copies = given["copies"][:length, places] if model.plan.copy else None
        state = model.begin(given["source"][:length, places], given["lengths"][0, places], copies)
        with torch.no_grad():
            return beam_search(model, torch.full((len(places),), 2), state, limits, beam_size=4, n_best=4)

    for place, own in enumerate(search([0, 1, 2])):
        alone = search([place])[0]
        assert [one.tokens for one in own] == [one.tokens for one in alone]
        for one, other in zip(own, alone, strict=True):
            # As above, 7 steps.
            assert abs(one.log_prob - other.log_prob) < 1e-10


def test_a_cell_of_ones_own() -> None:
    @gatewise.cell(states="h", gates="f n")
    def mine(gate, state):
        f = sigmoid(gate.f)
        return f * state.h + (1 - f) * tanh(gate.n)

    given = batch()
    given["target_out"] = torch.where(given["target_out"] >= SIZE, 4, given["target_out"])
    assert len(network(program=cells.get(mine))(given).log_probs) == 11


def test_a_cell_with_several_inputs_is_refused() -> None:
    with pytest.raises(ArgumentError, match="one input stream"):
        network(program=cells.get("gru_d"))
