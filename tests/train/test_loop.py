"""The loop learns, stops when it should, and leaves the model and the process as it promises."""

from __future__ import annotations

import copy
import math
import random

import numpy
import pytest
import torch
from torch import nn

from gatewise.errors import ArgumentError, ArgumentTypeError, DataError
from gatewise.train import DivergenceError, TrainConfig, fit
from tests.train.toys import Scripted, Squares, Sums, network, numbers, same_weights, train, weights


def test_equals_a_loop_written_out():
    """The same numbers as the plain torch loop that it replaces."""
    model, history = train(network(0.0), schedule="constant", patience=None, keep_best=False, max_epochs=2)
    plain = network(0.0)
    optimizer = torch.optim.AdamW(plain.parameters(), lr=1e-2, weight_decay=0.0, fused=True)
    source, objective, losses = Sums(), Squares(), []
    for epoch in range(2):
        for step in range(10):
            optimizer.zero_grad()
            loss = objective.loss(plain, source.batch(epoch, step))
            loss.backward()
            nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.item())
    # clip_grad_norm_ multiplies by 1 where the norm is small; all else is the same arithmetic.
    assert same_weights(model, plain)
    assert history.epochs[1]["train_loss"] == pytest.approx(sum(losses[10:]) / 10, rel=1e-12)
    assert history.epochs[1]["validation_loss"] == objective.validate(plain.eval())["loss"]


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle", "plateau"])
def test_learns(optimizer, schedule):
    rate = 0.05 if optimizer == "sgd" else 0.02
    _, history = train(
        network(0.0), optimizer=optimizer, schedule=schedule, max_epochs=12, learning_rate=rate, patience=None
    )
    assert history.stopped == "finished"
    assert history.best_loss < 0.2 < 0.8 < history.epochs[0]["validation_loss"]


def test_history():
    heard = []
    _, history = train(max_epochs=3, on_epoch=heard.append)
    assert [record["epoch"] for record in history.epochs] == [1, 2, 3]
    assert [record["step"] for record in history.epochs] == [10, 20, 30]
    assert set(history.epochs[0]) == {
        "epoch", "step", "train_loss", "validation_loss", "validation_mae", "learning_rate", "seconds"
    }  # fmt: skip
    assert heard == history.epochs
    assert history.steps == 30
    assert history.seconds >= sum(record["seconds"] for record in history.epochs) > 0
    assert (
        history.best()["validation_loss"]
        == history.best_loss
        == min(record["validation_loss"] for record in history.epochs)
    )


def test_the_same_seed_gives_the_same_run_and_another_one_does_not():
    first, one = train(seed=3)
    random.random(), torch.rand(3)
    second, two = train(seed=3)
    third, _ = train(seed=4)
    assert same_weights(first, second)
    assert numbers(one) == numbers(two)
    assert not same_weights(first, third)


def test_the_generators_are_given_back():
    random.seed(7), numpy.random.seed(7), torch.manual_seed(7)
    expected = random.random(), numpy.random.rand(), torch.rand(1).item()
    random.seed(7), numpy.random.seed(7), torch.manual_seed(7)
    train()
    assert (random.random(), numpy.random.rand(), torch.rand(1).item()) == expected


def test_patience_and_the_best_weights():
    snapshots = []
    model = network()
    _, history = train(
        model,
        objective=Scripted([5, 3, 4, 3, 3.5, 9]),
        on_epoch=lambda _: snapshots.append(weights(model)),
        max_epochs=50,
        patience=3,
    )
    assert (history.stopped, len(history.epochs)) == ("patience", 5)
    assert (history.best_epoch, history.best_loss) == (2, 3)
    assert all(torch.equal(value, snapshots[1][name]) for name, value in model.state_dict().items())
    assert not torch.equal(snapshots[1]["0.weight"], snapshots[4]["0.weight"])


def test_without_keep_best_the_last_weights_stay():
    snapshots = []
    model = network()
    train(
        model,
        objective=Scripted([1, 2, 3]),
        on_epoch=lambda _: snapshots.append(weights(model)),
        max_epochs=3,
        keep_best=False,
    )
    assert all(torch.equal(value, snapshots[2][name]) for name, value in model.state_dict().items())


def test_the_model_ends_in_eval_mode_without_gradients():
    model, _ = train(network())
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_modes_during_the_run():
    seen = []

    class Watching(Squares):
        def loss(self, model, batch):
            seen.append(("loss", model.training, torch.is_grad_enabled()))
            return super().loss(model, batch)

        def validate(self, model):
            seen.append(("validate", model.training, torch.is_grad_enabled()))
            return super().validate(model)

    train(network().eval(), objective=Watching(), max_epochs=2, batches=Sums(steps=1))
    assert seen == [("loss", True, True), ("validate", False, False)] * 2


def test_max_steps_within_an_epoch():
    _, history = train(max_steps=13, max_epochs=5)
    assert (history.stopped, history.steps) == ("max_steps", 13)
    assert [(record["epoch"], record["step"]) for record in history.epochs] == [(1, 10), (2, 13)]


def test_max_steps_at_an_epochs_end():
    _, history = train(max_steps=20, max_epochs=5)
    assert (history.stopped, len(history.epochs)) == ("max_steps", 2)
    _, history = train(max_steps=20, max_epochs=2)
    assert (history.stopped, len(history.epochs)) == ("finished", 2)


def test_max_time_ends_the_run_and_the_schedule():
    _, history = train(max_time=0.5, max_epochs=100_000, patience=None)
    assert history.stopped == "max_time"
    assert 0.2 < history.seconds < 2.5
    assert history.best_epoch is not None
    assert history.epochs[-1]["learning_rate"] < 0.3 * 1e-2  # the cosine came down, though epochs were left


def test_max_time_too_short_for_an_epoch_still_validates_once():
    _, history = train(max_time=1e-6, batches=Sums(steps=1000))
    assert history.stopped == "max_time"
    assert history.steps == 0
    assert history.epochs == []
    _, history = train(max_time=0.05, batches=Sums(steps=100_000))
    assert 0 < history.steps < 100_000
    assert len(history.epochs) == 1
    assert history.best_epoch == 1


def test_weight_decay_leaves_biases_alone():
    """With a loss that has no gradient of its own, only decay moves the weights."""

    class Nothing(Squares):
        def loss(self, model, batch):
            return sum((parameter * 0).sum() for parameter in model.parameters())

    model, before = network(), weights(network())
    train(model, objective=Nothing(), weight_decay=0.1, keep_best=False, max_epochs=1)
    assert torch.equal(model[0].bias, before["0.bias"])
    assert model[0].weight.norm() < 0.995 * before["0.weight"].norm()


def test_clipping_equals_torchs(monkeypatch):
    norms = []

    class Watching(Squares):
        def loss(self, model, batch):
            if model[0].weight.grad is not None:
                norms.append(1)
            return 1000 * super().loss(model, batch)

    clipped, _ = train(
        network(0.0), objective=Watching(), optimizer="sgd", schedule="constant", keep_best=False
    )
    free, _ = train(
        network(0.0), objective=Watching(), optimizer="sgd", gradient_clip=None, learning_rate=1e-5
    )
    assert clipped[0].weight.isfinite().all()
    assert not norms, "gradients are cleared before each step"
    plain, source = network(0.0), Sums()
    optimizer = torch.optim.SGD(plain.parameters(), lr=1e-2, momentum=0.9, nesterov=True, fused=True)
    for step in range(40):
        optimizer.zero_grad()
        (1000 * Squares().loss(plain, source.batch(step // 10, step % 10))).backward()
        nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        optimizer.step()
    assert same_weights(clipped, plain)
    assert not same_weights(free, plain)


def test_averaging():
    """The average follows its recursion; validation and the kept weights are those of the average."""
    seen, model = [], network(0.0)
    averages = weights(model)

    class Watching(Squares):
        def loss(self, model, batch):
            seen.append(weights(model))
            return super().loss(model, batch)

        def validate(self, model):
            self.validated = weights(model)
            return super().validate(model)

    objective = Watching()
    train(model, objective=objective, averaging="ema", ema_decay=0.9, max_epochs=1, schedule="constant")
    last, _ = train(network(0.0), max_epochs=1, schedule="constant", keep_best=False)
    for step, after in enumerate([*seen[1:], weights(last)], start=1):
        decay = min(0.9, (1 + step) / (10 + step))
        averages = {name: decay * value + (1 - decay) * after[name] for name, value in averages.items()}
    for name, value in averages.items():
        torch.testing.assert_close(objective.validated[name], value, rtol=1e-5, atol=1e-6)
        assert torch.equal(model.state_dict()[name], objective.validated[name])


def test_buffers_belong_to_the_best_weights():
    model = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    snapshots = []
    train(
        model,
        objective=Scripted([1, 2, 3]),
        on_epoch=lambda _: snapshots.append(weights(model)),
        max_epochs=3,
    )
    assert torch.equal(model[1].running_mean, snapshots[0]["1.running_mean"])
    assert model[1].num_batches_tracked == 10


def test_frozen_parameters_stay():
    model = network()
    model[0].weight.requires_grad_(False)
    before = model[0].weight.clone()
    train(model)
    assert torch.equal(model[0].weight, before)


def test_a_parameter_without_a_gradient_is_no_obstacle():
    class Part(Squares):
        def loss(self, model, batch):
            return model[0](batch["x"]).square().mean()

    train(objective=Part())


def test_a_loss_in_brackets():
    """A loss of shape (1,) trains like one without."""

    class Bracketed(Squares):
        def loss(self, model, batch):
            return super().loss(model, batch).reshape(1)

    first, history = train(objective=Bracketed())
    second, expected = train()
    assert same_weights(first, second)
    assert numbers(history) == numbers(expected)


def test_float64():
    model = copy.deepcopy(network()).double()
    _, history = train(model, batches=Sums(dtype=torch.float64))
    assert next(model.parameters()).dtype == torch.float64
    assert history.stopped == "finished"


# ---- what is not finite ----------------------------------------------------------------------------


class Poisoned(Sums):
    """One batch has a NaN."""

    def batch(self, epoch, step):
        batch = dict(super().batch(epoch, step))
        if (epoch, step) == (2, 3):
            batch["x"][0, 0] = math.nan
        return batch


def test_a_nan_in_a_batch_is_named_and_the_best_is_kept():
    snapshots, model = [], network()
    with pytest.raises(DivergenceError) as raised:
        train(model, batches=Poisoned(), on_epoch=lambda _: snapshots.append(weights(model)))
    error = raised.value
    assert (error.step, error.epoch) == (24, 3)
    assert "the loss is not finite at step 24 (epoch 3" in str(error)
    assert "the batch itself holds NaN or infinity in 'x'" in str(error)
    assert len(error.history.epochs) == 2
    best = snapshots[error.history.best_epoch - 1]
    assert all(torch.equal(value, best[name]) for name, value in model.state_dict().items())


def test_a_gradient_that_is_not_finite_reaches_no_weight():
    class Root(Squares):
        calls = 0

        def loss(self, model, batch):
            self.calls += 1
            zero = model[0].bias.sum() * 0
            return super().loss(model, batch) + (
                zero.sqrt() if self.calls == 5 else 0
            )  # its derivative is infinite

    model = network()
    with pytest.raises(
        DivergenceError, match=r"the gradient is not finite at step 5 .*'0.bias'.*learning_rate"
    ):
        train(model, objective=Root())
    assert all(value.isfinite().all() for value in model.state_dict().values())


def test_gradients_looked_at_later_are_skipped_at_once(monkeypatch):
    """On a device of its own pace the norm is read later; the step must have changed nothing."""
    from gatewise.train.stepper import Stepper

    monkeypatch.setattr(Stepper, "_looks_at_once", lambda self, norm: False)
    usual, _ = train()
    monkeypatch.undo()
    expected, _ = train()
    assert same_weights(usual, expected)
    monkeypatch.setattr(Stepper, "_looks_at_once", lambda self, norm: False)

    class Root(Squares):
        calls = 0

        def loss(self, model, batch):
            self.calls += 1
            return super().loss(model, batch) + ((model[0].bias.sum() * 0).sqrt() if self.calls == 5 else 0)

    model = network()
    with pytest.raises(DivergenceError, match="the gradient is not finite at step 5 "):
        train(model, objective=Root())
    assert all(value.isfinite().all() for value in model.state_dict().values())


def test_a_validation_loss_that_is_not_finite():
    with pytest.raises(DivergenceError, match="the validation loss is not finite at step 20 "):
        train(objective=Scripted([1, math.nan]))


def test_a_rate_that_is_too_high_says_so():
    with pytest.raises(DivergenceError, match=r"learning_rate.*gradient_clip=1.0"):
        train(
            network(0.0),
            optimizer="sgd",
            learning_rate=1e30,
            gradient_clip=None,
            schedule="constant",
            max_epochs=50,
        )


# ---- what cannot be trained ------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [0, -1])
def test_an_empty_source(steps):
    with pytest.raises(DataError, match="nothing to train on"):
        train(batches=Sums(steps=steps))


def test_a_model_with_nothing_to_train():
    with pytest.raises(ArgumentError, match="nothing to train"):
        train(nn.Tanh())
    frozen = network()
    frozen.requires_grad_(False)
    with pytest.raises(ArgumentError, match="nothing to train"):
        train(frozen)
    with pytest.raises(ArgumentError, match="meta"):
        train(nn.Linear(5, 1, device="meta"))


@pytest.mark.parametrize(
    ("loss", "error", "words"),
    [
        (lambda model, batch: 3.0, ArgumentTypeError, "a tensor with one number"),
        (lambda model, batch: model(batch["x"]), ArgumentTypeError, r"shape \(8, 1\)"),
        (lambda model, batch: torch.ones(()), ArgumentError, "does not depend on the model's parameters"),
    ],
)
def test_losses_that_are_none(loss, error, words):
    class Odd(Squares):
        pass

    Odd.loss = lambda self, model, batch: loss(model, batch)
    Odd.loss.__annotations__.clear()
    with pytest.raises(error, match=words):
        train(objective=Odd())


@pytest.mark.parametrize("measures", [{}, {"mae": 1.0}, 3.0, {"loss": "low"}, {"loss": None}])
def test_measures_that_are_none(measures):
    class Odd(Squares):
        def validate(self, model):
            return measures

    with pytest.raises(ArgumentTypeError, match="validate"):
        train(objective=Odd())


def test_batches_that_are_none():
    class Odd(Sums):
        def batch(self, epoch, step):
            return torch.ones(3)

    with pytest.raises(ArgumentTypeError, match=r"batch\(\) must return tensors by name"):
        train(batches=Odd())


@pytest.mark.parametrize("name", ["model", "objective", "batches", "config", "progress", "on_epoch"])
def test_arguments_of_the_wrong_type_are_named(name):
    from gatewise.train.loop import _check

    right = {
        "model": network(),
        "objective": Squares(),
        "batches": Sums(),
        "config": TrainConfig(),
        "progress": None,
        "on_epoch": None,
    }
    _check(**right)
    with pytest.raises(ArgumentTypeError, match=f"^{name}:"):
        _check(**{**right, name: 3})


def test_an_error_in_the_source_passes_through_and_keeps_the_best():
    class Failing(Sums):
        def batch(self, epoch, step):
            if epoch == 2:
                raise OSError("the disk is gone")
            return super().batch(epoch, step)

    snapshots, model = [], network()
    with pytest.raises(OSError, match="the disk is gone"):
        train(model, batches=Failing(), on_epoch=lambda _: snapshots.append(weights(model)))
    assert any(
        all(torch.equal(value, one[name]) for name, value in model.state_dict().items()) for one in snapshots
    )


def test_fit_is_what_the_package_offers():
    import gatewise.train

    assert gatewise.train.fit is fit


class Factored(torch.nn.Linear):
    """A layer whose bias learns at a tenth of the rate."""

    def rate_factors(self) -> dict[str, float]:
        """What the loop multiplies rates by."""
        return {"bias": 0.1}


def test_single_parameters_may_learn_at_rates_of_their_own() -> None:
    class Once:
        def steps_per_epoch(self) -> int:
            return 1

        def batch(self, epoch: int, step: int) -> dict[str, torch.Tensor]:
            return {"x": torch.ones(1, 1)}

    class Sum:
        def loss(self, model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
            return model(batch["x"]).sum()

        def validate(self, model: torch.nn.Module) -> dict[str, float]:
            return {"loss": 0.0}

    model = Factored(1, 1)
    before = [one.detach().clone() for one in (model.weight, model.bias)]
    config = TrainConfig(
        max_epochs=1, learning_rate=0.5, schedule="constant", optimizer="sgd", momentum=0, gradient_clip=None,
        keep_best=False, device="cpu", precision="float32",
    )  # fmt: skip
    fit(model, Sum(), Once(), config)
    # Both gradients are 1.
    torch.testing.assert_close(before[0] - model.weight.detach(), torch.full((1, 1), 0.5))
    torch.testing.assert_close(before[1] - model.bias.detach(), torch.full((1,), 0.05))


def test_a_goal_that_is_reached_ends_the_run(tmp_path):
    asked = []

    class Goal(Scripted):
        def reached(self, measures):
            asked.append(measures["loss"])
            return measures["loss"] < 0.5

    _, history = train(objective=Goal([0.9, 0.7, 0.4, 0.1]), max_epochs=9, checkpoint_folder=tmp_path)
    assert (history.stopped, history.steps, len(history.epochs)) == ("reached", 30, 3)
    assert asked == [0.9, 0.7, 0.4]
    # It stays so when it is taken up again.
    _, again = train(objective=Goal([0.9]), max_epochs=9, checkpoint_folder=tmp_path)
    assert (again.stopped, again.steps) == ("reached", 30)
