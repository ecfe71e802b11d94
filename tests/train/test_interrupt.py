"""Ctrl-C keeps the best so far and says so; a second one stops at once."""

from __future__ import annotations

import io
import os
import signal
import threading

import pytest
import torch

from gatewise.train.interrupt import Interrupt
from gatewise.train.progress import LineProgress
from tests.train.toys import Squares, Sums, network, numbers, same_weights, train, weights

pytestmark = pytest.mark.usefixtures("ctrl_c_is_heard")


class Pressing(Sums):
    """Presses Ctrl-C while given batches are made."""

    def __init__(self, *moments, **options):
        super().__init__(**options)
        self.moments = set(moments)

    def batch(self, epoch, step):
        if (epoch, step) in self.moments:
            signal.raise_signal(signal.SIGINT)
        return super().batch(epoch, step)


def test_the_first_keeps_the_best(capfd):
    snapshots, model, stream = [], network(), io.StringIO()
    _, history = train(
        model,
        batches=Pressing((2, 4)),
        on_epoch=lambda _: snapshots.append(weights(model)),
        progress=LineProgress(stream),
    )
    assert (history.stopped, history.steps, len(history.epochs)) == (
        "interrupted",
        25,
        2,
    )  # its step was finished
    best = snapshots[history.best_epoch - 1]
    assert all(torch.equal(value, best[name]) for name, value in model.state_dict().items())
    assert f"stopped by Ctrl-C after step 25; the best weights are kept, of epoch {history.best_epoch}" in (
        stream.getvalue()
    )
    assert "Ctrl-C again stops at once" in capfd.readouterr().err


def test_silence_is_kept(capfd):
    train(batches=Pressing((2, 4)))
    assert capfd.readouterr() == ("", "")


def test_before_the_first_validation_the_weights_stay():
    stream = io.StringIO()
    model, history = train(batches=Pressing((0, 4)), progress=LineProgress(stream))
    assert history.best_epoch is None
    assert not same_weights(model, network())
    assert "no epoch was validated, the weights are kept as they are" in stream.getvalue()


def test_the_second_stops_at_once_and_keeps_the_best():
    class Again(Squares):
        def loss(self, model, batch):
            if self.pressed():
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
                raise AssertionError("it went on")
            return super().loss(model, batch)

        calls = 0

        def pressed(self):
            self.calls += 1
            return self.calls == 25

    snapshots, model, stream = [], network(), io.StringIO()
    with pytest.raises(KeyboardInterrupt):
        train(
            model,
            objective=Again(),
            on_epoch=lambda _: snapshots.append(weights(model)),
            progress=LineProgress(stream),
        )
    assert any(
        all(torch.equal(value, one[name]) for name, value in model.state_dict().items()) for one in snapshots
    )
    assert "stopped at once by a second Ctrl-C" in stream.getvalue()


def test_ctrl_c_during_validation():
    class Pressed(Squares):
        def validate(self, model):
            signal.raise_signal(signal.SIGINT)
            return super().validate(model)

    _, history = train(objective=Pressed())
    assert (history.stopped, len(history.epochs), history.best_epoch) == ("interrupted", 1, 1)


def test_an_interrupted_run_is_continued_bit_for_bit(tmp_path):
    _, cut = train(batches=Pressing((1, 3)), checkpoint_folder=tmp_path)
    assert any(name.startswith(f"step-{cut.steps:012}-") for name in os.listdir(tmp_path)), "work was lost"
    train(batches=Pressing((2, 9)), checkpoint_folder=tmp_path)  # at an epoch's last step
    resumed, history = train(checkpoint_folder=tmp_path)
    whole, expected = train()
    assert same_weights(resumed, whole)
    assert numbers(history) == numbers(expected)
    assert history.stopped == "finished"


def test_the_handler_is_given_back():
    before = signal.getsignal(signal.SIGINT)
    train(batches=Pressing((0, 1)))
    assert signal.getsignal(signal.SIGINT) is before
    with Interrupt(loud=False) as interrupt:
        signal.raise_signal(signal.SIGINT)
        assert interrupt.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is before, "a third is nobody's business any more"
    assert signal.getsignal(signal.SIGINT) is before


def test_a_handler_that_ignores_is_respected():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _, history = train(batches=Pressing((0, 1)))
    finally:
        signal.signal(signal.SIGINT, before)
    assert history.stopped == "finished"


def test_in_another_thread_signals_are_left_alone():
    before, results = signal.getsignal(signal.SIGINT), []

    def work():
        results.append(train()[1].stopped)
        results.append(signal.getsignal(signal.SIGINT) is before)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert results == ["finished", True]
