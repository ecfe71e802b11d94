"""Training: states that go on between windows, penalties, dropout, exact resume amid an epoch, dynamic evaluation."""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gatewise import cells
from gatewise.nn.dropout import locked_dropout
from gatewise.tasks import LanguageModel
from gatewise.tasks.language import heads
from gatewise.tasks.language import options as language_options
from gatewise.tasks.language.dynamic import Dynamic, dynamic_log_probabilities, gradient_scales
from gatewise.tasks.language.heads import AdaptiveHead, FullHead
from gatewise.tasks.language.network import LanguageNetwork, NetworkPlan
from gatewise.tasks.language.regularisation import embed, slowness_penalty
from gatewise.tasks.language.scoring import log_probabilities, mean_loss
from gatewise.tasks.language.training import LanguageObjective, WindowSource
from tests.tasks.language.corpus import FAST, fitted, text

ROOT = Path(__file__).parents[3]
RATES = ("dropout", "input_dropout", "hidden_dropout", "embedding_dropout", "weight_drop")


def network(**options) -> LanguageNetwork:
    torch.manual_seed(3)
    sizes = {"tokens": 11, "embedding_size": 6, "hidden_size": 8, "num_layers": 2, "tied": True}
    return LanguageNetwork(
        NetworkPlan(program=cells.get(options.pop("cell", "lstm")), **{**sizes, **options})
    )


def tokens(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 11, count)


def objective(validation=None, **options) -> LanguageObjective:
    settings = {"activation": 0.0, "slowness": 0.0, "about": "", **options}
    return LanguageObjective(tokens(200) if validation is None else validation, **settings)


def source(ids, **options) -> WindowSource:
    settings = {"batch_size": 4, "window": 12, "variable": False, "scale_rate": False, "seed": 0, **options}
    return WindowSource(ids, **settings)


@pytest.mark.parametrize("cell", ["lstm", "gru", "sru", "slstm"])
def test_states_go_on_from_window_to_window(cell) -> None:
    model, ids = network(cell=cell), tokens(401)
    windows, goal = source(ids), objective()
    losses = [goal.loss(model, windows.batch(0, step)).item() for step in range(windows.steps_per_epoch())]
    lengths = [windows.batch(0, step)["tokens"].shape[0] for step in range(windows.steps_per_epoch())]
    inputs, targets = (torch.from_numpy(one) for one in windows.streams.window(0, 100))
    with torch.no_grad():
        output, _, _ = model(inputs)
        whole = F.cross_entropy(model.head.logits(output).flatten(0, 1), targets.flatten())
    assert np.average(losses, weights=lengths) == pytest.approx(float(whole), abs=1e-5)
    # The next epoch begins afresh.
    assert float(goal.loss(model, windows.batch(1, 0))) == pytest.approx(losses[0], abs=1e-6)
    assert float(objective().loss(model, windows.batch(0, 1))) != pytest.approx(losses[1], abs=1e-6)


def test_gradients_end_at_the_window() -> None:
    model, windows, goal = network(), source(tokens(401)), objective()
    goal.loss(model, windows.batch(0, 0)).backward()
    model.zero_grad()
    goal.loss(
        model, windows.batch(0, 1)
    ).backward()  # would fail if the graph of the first window were reached
    assert all(not state.requires_grad for layer in goal._states for state in layer)


def test_penalties_are_what_they_are_called() -> None:
    model, batch = network(), source(tokens(401)).batch(0, 0)
    plain = float(objective().loss(model, batch))
    dropped, output, _ = model(batch["tokens"])
    assert float(objective(activation=2.0).loss(model, batch)) == pytest.approx(
        plain + 2.0 * float(dropped.pow(2).mean()), abs=1e-5
    )
    changes = output[1:] - output[:-1]
    assert float(objective(slowness=3.0).loss(model, batch)) == pytest.approx(
        plain + 3.0 * float(changes.pow(2).mean()), abs=1e-5
    )
    assert float(slowness_penalty(output[:1])) == 0.0


def test_locked_dropout_drops_the_same_at_every_step() -> None:
    torch.manual_seed(0)
    dropped = locked_dropout(torch.ones(9, 3, 200), 0.25, True)
    assert (dropped == dropped[0]).all()
    torch.testing.assert_close(dropped.unique(), torch.tensor([0.0, 4 / 3]))
    assert 0.68 < float((dropped[0] > 0).float().mean()) < 0.82
    assert not (dropped[0, 0] == dropped[0, 1]).all()
    assert locked_dropout(dropped, 0.25, False) is dropped


def test_embedding_dropout_drops_whole_tokens_wherever_they_come() -> None:
    torch.manual_seed(0)
    numbers = torch.randint(0, 50, (40, 10))
    found = embed(numbers, torch.ones(50, 4), 0.3, True)
    by_token = [found[numbers == token] for token in range(50)]
    assert all(len(one.unique()) == 1 for one in by_token)
    assert 5 < sum(float(one.max()) == 0 for one in by_token) < 25
    assert (embed(numbers, torch.ones(50, 4), 0.3, False) == 1).all()


@pytest.mark.parametrize("rate", RATES)
def test_each_rate_acts_in_training_alone(rate) -> None:
    model, batch = network(**{rate: 0.5}), source(tokens(401)).batch(0, 0)
    torch.manual_seed(1)
    first, second = (float(objective().loss(model.train(), batch)) for _ in range(2))
    assert first != second
    first, second = (float(objective().loss(model.eval(), batch)) for _ in range(2))
    assert first == second == pytest.approx(float(objective().loss(network().eval(), batch)))


def test_an_epochs_windows_read_every_token_once_and_rates_follow_their_lengths() -> None:
    windows = source(tokens(2001), variable=True, window=30, scale_rate=True)
    for epoch in (0, 1):
        parts = [windows.batch(epoch, step) for step in range(windows.steps_per_epoch())]
        assert (torch.cat([one["tokens"] for one in parts]).numpy() == windows.streams.inputs).all()
        assert (torch.cat([one["targets"] for one in parts]).numpy() == windows.streams.targets).all()
        for step, one in enumerate(parts):
            assert windows.rate_factor(epoch, step) == pytest.approx(len(one["tokens"]) / 30)
        assert [float(one["begins"][0, 0]) for one in parts] == [1.0] + [0.0] * (len(parts) - 1)
    lengths = [[len(windows.batch(epoch, step)["tokens"]) for step in range(5)] for epoch in (0, 1)]
    assert lengths[0] != lengths[1]


def test_an_adaptive_softmax_is_a_distribution_in_the_vocabularys_own_order() -> None:
    torch.manual_seed(0)
    order = np.random.default_rng(0).permutation(40).tolist()
    head = AdaptiveHead(8, order, [4, 16])
    states = torch.randn(6, 8)
    logs = head.log_probabilities(states)
    torch.testing.assert_close(logs.exp().sum(-1), torch.ones(6))
    targets = torch.tensor([order[0], order[5], order[39], 0, 7, 20])
    torch.testing.assert_close(head.losses(states, targets), -logs[range(6), targets])
    torch.testing.assert_close(head.mean_loss(states, targets), -logs[range(6), targets].mean())


@pytest.mark.skipif(
    heads.LinearCrossEntropyOptions is None, reason="torch before 2.13 computes all rows at once"
)
def test_a_large_vocabularys_loss_in_chunks_equals_that_of_all_rows_at_once() -> None:
    torch.manual_seed(0)
    head = FullHead(5, heads._MANY_TOKENS, None).double()
    states = torch.randn(2 * heads._CHUNK + 3, 5, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(0, heads._MANY_TOKENS, (len(states),))
    assert head._in_chunks(states)
    assert not head._in_chunks(states[: heads._CHUNK])
    inputs = (states, head.weight, head.bias)
    loss = head.mean_loss(states, targets)
    expected = F.cross_entropy(head.logits(states), targets)
    torch.testing.assert_close(loss, expected)
    # The loss is one part of what is trained on: its gradients are scaled by whatever comes back.
    for one, other in zip(
        torch.autograd.grad(3 * loss, inputs), torch.autograd.grad(3 * expected, inputs), strict=True
    ):
        torch.testing.assert_close(one, other)
    with torch.no_grad():
        assert not head._in_chunks(states)


def test_a_text_is_told_alike_in_any_parts(monkeypatch) -> None:
    model, ids = network().eval(), tokens(700)
    whole, _ = log_probabilities(model, ids)
    monkeypatch.setattr("gatewise.tasks.language.scoring._LONGEST_WINDOW", 37)
    monkeypatch.setattr("gatewise.tasks.language.scoring._MOST_LOGITS", 55)
    parts, _ = log_probabilities(model, ids)
    np.testing.assert_allclose(parts, whole, atol=1e-5)
    assert mean_loss(model, ids, streams=1) == pytest.approx(-float(whole.mean()), abs=1e-5)


# ---- dynamic evaluation ------------------------------------


@pytest.mark.parametrize("scaled", [False, True])
def test_dynamic_evaluation_equals_its_equations(scaled) -> None:
    model, ids = network(), tokens(24)
    how = Dynamic(learning_rate=0.05, decay=0.1, window=5, epsilon=0.01)
    scales = gradient_scales(model, tokens(600), window=20) if scaled else None
    before = copy.deepcopy(model.state_dict())
    found = dynamic_log_probabilities(model, ids, how, scales)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    own = copy.deepcopy(model).eval()
    start = [parameter.detach().clone() for parameter in own.parameters()]
    norm = None
    if scaled:
        mean = torch.cat([one.flatten() for one in scales]).mean()
        norm = [torch.clamp(one / mean, max=1 / how.decay) for one in scales]
    expected, states = [], None
    for at in range(0, 23, 5):
        part = torch.from_numpy(ids[at : min(at + 6, 24)])
        own.zero_grad()
        output, _, states = own(part[:-1, None], states)
        loss = F.cross_entropy(own.head.logits(output[:, 0]), part[1:], reduction="none")
        loss.mean().backward()
        expected += (-loss.detach()).tolist()
        states = [state.detach() for state in states]
        with torch.no_grad():
            for place, parameter in enumerate(own.parameters()):
                step = parameter.grad if not scaled else parameter.grad / (scales[place] + how.epsilon)
                back = how.decay * (start[place] - parameter) * (norm[place] if scaled else 1.0)
                parameter += back - how.learning_rate * step
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_dynamic_evaluation_learns_from_what_repeats_and_leaves_the_model_alone() -> None:
    model = fitted()
    repeated = "my lord loves , alas , alas , a ship .\n" * 15  # never so in training
    before = model.perplexity(repeated)
    assert model.perplexity(repeated, dynamic=Dynamic(learning_rate=0.1)) < 0.95 * before
    assert model.perplexity(repeated, dynamic=True, statistics=text(50)) < before
    assert model.perplexity(repeated) == before


@pytest.mark.parametrize(
    "options",
    [{"learning_rate": 0}, {"decay": 1.0}, {"window": 0}, {"window": 1.5}, {"epsilon": 0}, {"decay": "a"}],
)
def test_dynamic_options_are_checked(options) -> None:
    with pytest.raises((ValueError, TypeError), match=next(iter(options))):
        Dynamic(**options)
    with pytest.raises(ValueError, match="statistics"):
        fitted().perplexity("the king", statistics="text")
    with pytest.raises(TypeError, match="dynamic"):
        fitted().perplexity("the king", dynamic="yes")


# ---- a killed run ------------------------------------------

PROGRAM = """
import json, sys, torch
torch.set_num_threads(1)
from gatewise import train
from gatewise.store import pack_tensors
from gatewise.store.documents import digest
from gatewise.tasks.language import LanguageModel, options
from tests.tasks.language.corpus import text
folder, slow = sys.argv[1:3]
made = options._training
def often(*arguments):
    config = made(*arguments)
    return config.__class__(**{**vars(config), "checkpoint_every_steps": 3})
options._training = often
if slow == "slow":
    import time
    from gatewise.tasks.language.training import WindowSource
    batch = WindowSource.batch
    def late(self, epoch, step):
        time.sleep(0.05)
        print(epoch, step, flush=True)
        return batch(self, epoch, step)
    WindowSource.batch = late
model = LanguageModel(hidden_size=12, num_layers=2, batch_size=4, window=12, max_epochs=2, random_state=0,
                      progress=False, checkpoint_folder=folder).fit(text(60))
weights = digest(pack_tensors(model.fitted_.network.state_dict()))
losses = [[record["train_loss"], record["validation_loss"]] for record in model.history_]
print(json.dumps([weights, losses]))
"""


def start(folder: Path, slow: str) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), slow],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


class CutError(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("kind", [{}, {"optimizer": "asgd", "learning_rate": 3.0}])
def test_a_run_that_was_cut_goes_on_with_its_states(kind, tmp_path, monkeypatch) -> None:
    made, batch = language_options._training, WindowSource.batch

    def often(*arguments):
        return replace(made(*arguments), checkpoint_every_steps=2)

    def cut(self, epoch, step):
        if (epoch, step) == (1, 5):
            raise CutError
        return batch(self, epoch, step)

    monkeypatch.setattr(language_options, "_training", often)
    settings = {**FAST, "max_epochs": 2, "window": 12, **kind}
    whole = LanguageModel(**settings).fit(text(40))
    monkeypatch.setattr(WindowSource, "batch", cut)
    with pytest.raises(CutError):
        LanguageModel(checkpoint_folder=tmp_path, **settings).fit(text(40))
    monkeypatch.setattr(WindowSource, "batch", batch)
    resumed = LanguageModel(checkpoint_folder=tmp_path, **settings).fit(text(40))
    for name, value in whole.fitted_.network.state_dict().items():
        assert torch.equal(resumed.fitted_.network.state_dict()[name], value), name
    assert [one["train_loss"] for one in resumed.history_] == [one["train_loss"] for one in whole.history_]


@pytest.mark.slow
def test_a_killed_run_goes_on_bit_for_bit_amid_an_epoch(tmp_path) -> None:
    whole = json.loads(start(tmp_path / "whole", "quick").communicate()[0].splitlines()[-1])
    process = start(tmp_path / "cut", "slow")
    for line in process.stdout:
        if line.split()[:2] == ["0", "8"]:
            break
    time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    left = sorted(path.name for path in (tmp_path / "cut").glob("step-*"))
    assert 0 < int(left[-1][5:17]) < 12  # the first epoch has more steps
    resumed = json.loads(start(tmp_path / "cut", "quick").communicate()[0].splitlines()[-1])
    assert resumed == whole
