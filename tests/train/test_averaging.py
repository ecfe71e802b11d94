"""Plain SGD, the mean of weights that validation triggers (NT-ASGD), and learning rates by step."""

from __future__ import annotations

import pytest
import torch

from gatewise.train import TrainConfig
from gatewise.train.optimisation import TriggeredAveraging
from tests.train.test_checkpoints import CutAt, CutError
from tests.train.toys import Scripted, Squares, Sums, network, numbers, same_weights, train

# With trigger_epochs=1 the fourth is the first above the least of those more than one epoch before.
LOSSES = [1.0, 0.5, 0.6, 0.7, 0.8, 0.9]
PLAIN = {
    "optimizer": "sgd", "momentum": 0.0, "schedule": "constant", "gradient_clip": None, "learning_rate": 0.05,
    "averaging": "triggered", "trigger_epochs": 1, "max_epochs": 6, "keep_best": False,
}  # fmt: skip


class ByEpoch(Squares):
    """Squares whose validation losses are written down, and go on at a resume."""

    def __init__(self) -> None:
        self.epoch = torch.zeros((), dtype=torch.int64)

    def validate(self, model):
        self.epoch += 1
        return {"loss": LOSSES[int(self.epoch) - 1]}

    def state_tensors(self):
        return {"epoch": self.epoch}

    def load_state_tensors(self, tensors):
        self.epoch = tensors["epoch"].clone()


def test_the_mean_is_that_of_the_weights_since_the_trigger() -> None:
    trained, history = train(network(0.0), objective=Scripted(LOSSES), batches=Sums(5), **PLAIN)
    assert history.stopped == "finished"
    model, seen = network(0.0), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for epoch in range(6):
        for step in range(5):
            optimizer.zero_grad()
            Squares().loss(model, Sums(5).batch(epoch, step)).backward()
            optimizer.step()
            if epoch >= 4:
                seen.append([parameter.detach().double() for parameter in model.parameters()])
    for found, *parts in zip(trained.parameters(), *seen, strict=True):
        torch.testing.assert_close(found.double(), torch.stack(parts).mean(0), rtol=0, atol=1e-6)
    assert not same_weights(trained, model)


def test_without_a_trigger_it_is_the_weights_themselves() -> None:
    falling = Scripted([1.0, 0.9, 0.8, 0.7, 0.6, 0.5])
    trained, _ = train(network(0.0), objective=falling, batches=Sums(5), **PLAIN)
    plain, _ = train(network(0.0), batches=Sums(5), **{**PLAIN, "averaging": None})
    assert same_weights(trained, plain)


@pytest.mark.parametrize("at", [(0, 2), (3, 0), (4, 3), (5, 4)])
def test_resumed_equals_uninterrupted(tmp_path, at) -> None:
    options = {**PLAIN, "momentum": 0.5 if at[0] == 4 else 0.0}
    with pytest.raises(CutError):
        train(
            objective=ByEpoch(), batches=CutAt(*at, steps=5),
            checkpoint_folder=tmp_path, checkpoint_every_steps=1, **options,
        )  # fmt: skip
    resumed, there = train(objective=ByEpoch(), batches=Sums(5), checkpoint_folder=tmp_path, **options)
    whole, expected = train(objective=ByEpoch(), batches=Sums(5), **options)
    assert same_weights(resumed, whole)
    assert numbers(there) == numbers(expected)


@pytest.mark.parametrize(
    ("losses", "patience", "begins"),
    [([3, 2, 1], 1, None), ([3, 2, 2.5, 2.1], 1, 4), ([3, 2, 2.5], 1, None), ([1, 2, 2, 2, 2, 2], 4, 6)],
)
def test_when_it_begins(losses, patience, begins) -> None:
    averaging = TriggeredAveraging([torch.nn.Parameter(torch.zeros(1))], patience)
    found = None
    for epoch in range(1, len(losses) + 1):
        averaging.validated(losses[:epoch])
        if averaging.count is not None and found is None:
            found = epoch
    assert found == begins


class Halved(Sums):
    """A source that halves the learning rate of every second step."""

    def rate_factor(self, epoch, step):
        return 0.5 if step % 2 else 1.0


def test_a_source_may_scale_the_learning_rate() -> None:
    options = {**PLAIN, "averaging": None, "max_epochs": 1}
    trained, _ = train(network(0.0), batches=Halved(4), **options)
    model = network(0.0)
    for step in range(4):
        loss = Squares().loss(model, Sums(4).batch(0, step))
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                parameter -= 0.05 * (0.5 if step % 2 else 1.0) * gradient
    for one, two in zip(trained.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-6)


@pytest.mark.parametrize("options", [{"momentum": 1.0}, {"momentum": -0.1}, {"trigger_epochs": 0}])
def test_what_cannot_be_is_refused(options) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        TrainConfig(**options)
