"""Progress: what people see, and whether the time left is honest."""

from __future__ import annotations

import io
import time

import pytest
import rich.console

from gatewise.train.progress import (
    BarProgress,
    LineProgress,
    SilentProgress,
    TimeLeft,
    choose,
    clock,
    estimate,
)
from tests.train.toys import Scripted, Squares, Sums, same_weights, train


class Recording(SilentProgress):
    """Keeps what it hears."""

    def __init__(self):
        self.plan, self.snapshots, self.epochs, self.ending = None, [], [], None

    def start(self, plan):
        self.plan = plan

    def update(self, snapshot):
        self.snapshots.append((time.monotonic(), snapshot))

    def epoch(self, record, improved):
        self.epochs.append((record, improved))

    def stop(self, text):
        self.ending = text


class Slow(Sums):
    """Steps that take a while."""

    def __init__(self, seconds, **options):
        super().__init__(**options)
        self.seconds = seconds

    def batch(self, epoch, step):
        time.sleep(self.seconds)
        return super().batch(epoch, step)


class SlowSquares(Squares):
    def validate(self, model):
        time.sleep(0.1)
        return super().validate(model)


def test_what_is_told():
    progress = Recording()
    train(progress=progress, objective=Scripted([3, 2, 4, 1]), patience=None)
    plan = progress.plan
    assert (plan.max_epochs, plan.steps_per_epoch, plan.total_steps, plan.step) == (4, 10, 40, 0)
    assert (plan.device, plan.precision, plan.parameters) == ("cpu", "float32", 5 * 16 + 16 + 16 + 1)
    assert [improved for _, improved in progress.epochs] == [True, True, False, True]
    last = progress.snapshots[-1][1]
    assert (last.epoch, last.step, last.validation_loss, last.best_loss) == (4, 40, 1, 1)
    assert last.left.at_most == 0
    assert progress.ending == "all 4 epochs done; the best weights are kept, of epoch 4 (validation loss 1)"


def test_the_time_left_comes_true():
    progress = Recording()
    train(progress=progress, batches=Slow(0.01, steps=15), objective=SlowSquares(), patience=None)
    end = time.monotonic()
    later = [(end - at, snapshot) for at, snapshot in progress.snapshots if snapshot.epoch >= 2]
    assert len(later) > 4
    for true, snapshot in later:
        # A machine that others use beside us runs unevenly: half as much again, and a quarter of a second.
        assert snapshot.left.at_most == pytest.approx(true, rel=0.5, abs=0.25)


def test_the_time_left_under_patience_is_a_range_that_holds():
    progress = Recording()
    train(
        progress=progress,
        batches=Slow(0.01, steps=10),
        objective=Scripted([1, 2, 3, 4, 5]),
        max_epochs=100,
        patience=4,
    )
    end = time.monotonic()
    for at, snapshot in progress.snapshots:
        if snapshot.epoch >= 2:
            assert snapshot.left.at_least == pytest.approx(end - at, rel=0.5, abs=0.25)
            assert snapshot.left.at_most > 5 * snapshot.left.at_least


def test_the_time_left_under_max_time():
    progress = Recording()
    train(progress=progress, batches=Slow(0.01, steps=10), max_epochs=10_000, max_time=0.8, patience=None)
    assert all(snapshot.left.at_most <= 0.8 for _, snapshot in progress.snapshots)
    end = time.monotonic()
    for at, snapshot in progress.snapshots[2:]:
        assert snapshot.left.at_most == pytest.approx(end - at, abs=0.4)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, TimeLeft(9 * 10 * 2.0 + 9 * 5, None)),
        ({"step_seconds": None}, TimeLeft(None, None)),
        ({"step_seconds": None, "budget": 30.0}, TimeLeft(30.0, None)),
        ({"budget": 30.0}, TimeLeft(30.0, None)),
        ({"budget": -1.0}, TimeLeft(0.0, None)),
        ({"patience_epochs": 2}, TimeLeft(225.0, (10 + 10) * 2 + 2 * 5)),
        ({"patience_epochs": 2, "steps_to_epoch_end": 3}, TimeLeft(225.0, (3 + 10) * 2 + 2 * 5)),
        ({"patience_epochs": 50}, TimeLeft(225.0, 225.0)),
        ({"patience_epochs": 2, "budget": 20.0}, TimeLeft(20.0, 20.0)),
    ],
)
def test_estimate(changes, expected):
    usual = {
        "steps_left": 90,
        "epochs_left": 9,
        "patience_epochs": None,
        "steps_to_epoch_end": 10,
        "steps_per_epoch": 10,
        "step_seconds": 2.0,
        "validation_seconds": 5.0,
        "budget": None,
    }
    assert estimate(**{**usual, **changes}) == expected


def test_times_in_words():
    assert [clock(seconds) for seconds in (0, 59.6, 61, 3600, 36_000)] == [
        "0:00",
        "1:00",
        "1:01",
        "1:00:00",
        "10:00:00",
    ]
    assert str(TimeLeft()) == "time left: measuring"
    assert str(TimeLeft(80.0)) == "1:20 left"
    assert str(TimeLeft(80.0, 40.0)) == "0:40 to 1:20 left"
    assert str(TimeLeft(80.0, 80.0)) == "1:20 left"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_shows_epoch_losses_and_time(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    console = rich.console.Console(file=stream, force_terminal=True, width=160, color_system=None)
    train(progress=BarProgress(console), batches=Slow(0.02, steps=10), max_epochs=2)
    text = stream.getvalue()
    assert "training 113 parameters on cpu in float32: at most 2 epochs of 10 steps" in text
    for words in ("epoch 1/2", "epoch 2/2", "loss ", "validation ", "(best ", " left", "100%"):
        assert words in text
    assert text.rstrip().endswith(")")
    assert "all 2 epochs done; the best weights are kept" in text.splitlines()[-1]


def test_the_bar_survives_an_error(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    console = rich.console.Console(file=stream, force_terminal=True, width=160, color_system=None)

    class Failing(Sums):
        def batch(self, epoch, step):
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        train(progress=BarProgress(console), batches=Failing())
    assert "ended by an error" in stream.getvalue()
    assert "\x1b[?25h" in stream.getvalue(), "the cursor is shown again"


def test_lines():
    stream = io.StringIO()
    train(progress=LineProgress(stream), max_epochs=2, objective=Scripted([2, 3]))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("training 113 parameters")
    assert lines[1].startswith("epoch 1/2  loss ")
    assert "validation 2 (best)" in lines[1]
    assert "validation 3  " in lines[2]
    assert lines[3].startswith("all 2 epochs done")
    assert "\x1b" not in stream.getvalue()


def test_lines_within_long_epochs():
    stream = io.StringIO()
    train(progress=LineProgress(stream, every=0.15), batches=Slow(0.05, steps=10), max_epochs=1)
    inner = [line for line in stream.getvalue().splitlines() if "step " in line and "loss" in line]
    assert 1 <= len(inner) <= 5
    assert " left" in inner[0]


def test_choose(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(choose(Terminal()), BarProgress)
    assert isinstance(choose(io.StringIO()), LineProgress)
    assert isinstance(choose(Terminal(), silent=True), SilentProgress)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(choose(Terminal()), LineProgress)


def test_progress_changes_nothing():
    silent, _ = train()
    told, _ = train(progress=LineProgress(io.StringIO()))
    assert same_weights(silent, told)
