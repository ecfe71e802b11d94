"""Each problem's sequences against its definition, worked out slowly by other means; oracles, trivial answers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from gatewise.compare.problems import PROBLEMS, Adding, Adding1997, Copying, Dyck, TemporalOrder
from gatewise.errors import ArgumentError, ArgumentTypeError

SHORT = [
    Adding(7),
    Adding1997(40),
    Copying(5),
    TemporalOrder(20),
    TemporalOrder(33, symbols=3),
    Dyck(9),
    Dyck(8, 3, 2),
]
each = pytest.mark.parametrize("problem", SHORT, ids=lambda one: one.title)


def drawn(problem, rows: int, seed: int = 0) -> dict[str, torch.Tensor]:
    return problem.draw(np.random.default_rng(seed), rows)


def told(problem, answer, batch) -> dict[str, float]:
    return problem.measures(problem.tally(answer, batch))


def symbols(batch, row: int) -> list[int]:
    """The codes of one sequence, up to its length; everything beyond it is zero."""
    length = int(batch["lengths"][row])
    steps = batch["input"][row]
    assert (steps[length:] == 0).all()
    assert (steps[:length].sum(1) == 1).all()
    return steps[:length].argmax(1).tolist()


@each
def test_a_batch_is_a_pure_function(problem) -> None:
    first, again = problem.train_batch(3, 5, 4), problem.train_batch(3, 5, 4)
    assert all(torch.equal(first[name], again[name]) for name in first)
    held = next(iter(problem.held_out("validation")))
    tested = next(iter(problem.held_out("test")))
    for other in (problem.train_batch(4, 5, 4), problem.train_batch(3, 6, 4), held, tested):
        assert not np.array_equal(first["input"].numpy()[:4], other["input"].numpy()[:4])
    assert not np.array_equal(held["input"].numpy(), tested["input"].numpy())


@each
def test_held_out_sequences_are_as_many_as_is_said(problem) -> None:
    counts = [sum(len(b["lengths"]) for b in problem.held_out(part)) for part in ("validation", "test")]
    assert counts == [500, 2000]


@each
def test_widths_and_lengths(problem) -> None:
    batch = drawn(problem, 6)
    assert batch["input"].shape == (6, int(batch["lengths"].max()), problem.inputs)
    assert batch["input"].transpose(0, 1).is_contiguous()  # as the layers read it


def test_adding() -> None:
    batch = drawn(Adding(9), 400)
    for steps, target in zip(batch["input"].tolist(), batch["target"].tolist(), strict=True):
        marked = [place for place, (_, mark) in enumerate(steps) if mark == 1]
        assert len(marked) == 2
        assert marked[0] < 4 <= marked[1] < 9
        assert all(0 <= number < 1 for number, _ in steps)
        assert target == pytest.approx(steps[marked[0]][0] + steps[marked[1]][0], abs=1e-6)
    places = batch["input"][..., 1].sum(0)
    assert (places > 0).all()  # every step is marked at times


def test_adding_s_trivial_answer() -> None:
    batch = drawn(Adding(4), 40_000)
    found = told(Adding(4), torch.ones(40_000, 1), batch)["mse"]
    # Var of (s - 1)^2 is 7/180, so that the mean of 40,000 is within 4 deviations.
    assert found == pytest.approx(Adding(4).trivial().value, abs=4 * math.sqrt(7 / 180 / 40_000))


def test_adding_as_in_1997() -> None:
    problem = Adding1997(40)
    batch = drawn(problem, 600)
    zeroed = 0
    for row in range(600):
        length = int(batch["lengths"][row])
        assert 40 <= length <= 44
        numbers, marks = batch["input"][row].T.tolist()
        assert not any(numbers[length:] + marks[length:])
        assert marks[length - 1] == -1
        marked = [place for place, mark in enumerate(marks) if mark == 1]
        assert len(marked) == 2
        assert marked[0] < 10
        assert marked[1] < 19
        if marks[0] == 1:
            zeroed += 1
            assert numbers[0] == 0
        else:
            assert marks[0] == -1
        assert all(mark == 0 for mark in marks[1 : length - 1] if mark != 1)
        sum_of_marked = numbers[marked[0]] + numbers[marked[1]]
        assert float(batch["target"][row]) == pytest.approx(0.5 + sum_of_marked / 4, abs=1e-6)
    assert 40 < zeroed < 140  # one tenth by the first mark, and about 1 in 20 by the second


def test_the_share_that_always_a_half_gets_right() -> None:
    problem = Adding1997(400)
    batch = drawn(problem, 20_000)
    found = told(problem, torch.full((20_000, 1), 0.5), batch)["right"]
    # Where a mark falls on the first step, one number is zero: a tenth of the sequences, right more often.
    single = 0.16
    assert found == pytest.approx(0.9 * problem.trivial().value + 0.1 * single, abs=0.012)


@pytest.mark.parametrize("problem", [Adding(9), Adding1997(40)], ids=["2016", "1997"])
def test_adding_s_oracle(problem) -> None:
    batch = drawn(problem, 50)
    answer = batch["target"][:, None]
    assert float(problem.loss(answer, batch)) == 0
    assert told(problem, answer, batch) == {"loss": 0.0, "mse": 0.0, "right": 1.0}
    wrong = told(problem, answer + 0.05, batch)
    assert wrong["right"] == 0
    assert wrong["mse"] == pytest.approx(0.0025, rel=1e-4)


def test_copying() -> None:
    problem = Copying(4)
    batch = drawn(problem, 100)
    for row in range(100):
        read, said = symbols(batch, row), batch["target"][row].tolist()
        assert len(read) == len(said) == 24
        kept = read[:10]
        assert max(kept) <= 7
        assert read[10:] == [8, 8, 8, 9] + [8] * 10
        assert said == [8] * 14 + kept
    assert batch["input"][:, :10].sum((0, 1))[:8].min() > 60  # all eight symbols, about equally often


def test_copying_without_memory_and_with() -> None:
    problem = Copying(4)
    batch = drawn(problem, 50)
    blind = torch.full((50, 24, 10), -math.inf)
    blind[:, :14, 8] = 0
    blind[:, 14:, :8] = 0
    found = told(problem, blind, batch)
    assert found["loss"] == pytest.approx(problem.trivial().value, rel=1e-12)
    assert problem.trivial().value == pytest.approx(10 * math.log(8) / 24)
    assert found["accuracy"] == pytest.approx(1 / 8, abs=0.05)
    oracle = torch.nn.functional.one_hot(batch["target"], 10) * 100.0
    assert told(problem, oracle, batch) == {"loss": 0.0, "accuracy": 1.0, "sequences": 1.0}
    assert float(problem.loss(oracle, batch)) == 0


@pytest.mark.parametrize("problem", [TemporalOrder(100), TemporalOrder(100, symbols=3)], ids=["6a", "6b"])
def test_temporal_order(problem) -> None:
    windows = [(10, 20), (50, 60)] if problem.symbols == 2 else [(10, 20), (33, 43), (66, 76)]
    batch = drawn(problem, 300)
    classes = list(itertools.product((4, 5), repeat=problem.symbols))
    for row in range(300):
        read = symbols(batch, row)
        assert 100 <= len(read) <= 110
        assert [read[0], read[-1]] == [6, 7]
        places = [place for place, symbol in enumerate(read) if symbol in (4, 5)]
        assert all(low <= place <= high for place, (low, high) in zip(places, windows, strict=True))
        assert all(symbol < 4 for place, symbol in enumerate(read[1:-1], 1) if place not in places)
        assert int(batch["target"][row]) == classes.index(tuple(read[place] for place in places))
    assert set(batch["target"].tolist()) == set(range(2**problem.symbols))
    oracle = torch.nn.functional.one_hot(batch["target"], problem.outputs) * 100.0
    assert told(problem, oracle, batch) == {"loss": 0.0, "accuracy": 1.0}
    assert problem.trivial().value == 0.5**problem.symbols


class Stack:
    """Reads a word bracket by bracket, and says what may come with which chance."""

    def __init__(self, problem: Dyck) -> None:
        self.problem, self.open, self.read = problem, [], 0

    def chances(self) -> list[float]:
        kinds = self.problem.kinds
        chances = [0.0] * (2 * kinds + 1)
        down = 1.0 if len(self.open) == self.problem.depth else 0.5
        if not self.open:
            down = 0.5 if self.read >= self.problem.steps else 0.0
        for kind in range(kinds):
            chances[kind] = (1 - down) / kinds
        chances[kinds + self.open[-1][0] if self.open else 2 * kinds] = down
        return chances

    def push(self, code: int) -> int:
        """Take a symbol; how far back its opening bracket is, 0 for others."""
        kinds, distance = self.problem.kinds, 0
        if code < kinds:
            self.open.append((code, self.read))
        elif code < 2 * kinds:
            kind, place = self.open.pop()
            assert kind == code - kinds
            distance = self.read - place
        self.read += 1
        return distance


@pytest.mark.parametrize("problem", [Dyck(29), Dyck(12, 3, 2), Dyck(8, 2, 1)], ids=lambda one: one.title)
def test_dyck_words(problem) -> None:
    rows = 200
    batch = drawn(problem, rows)
    answer = torch.full((*batch["target"].shape, problem.outputs), -1e9, dtype=torch.float64)
    blind = answer.clone()
    losses, ups, chances_up, closings = [], 0, 0, {}
    for row in range(rows):
        read, length = symbols(batch, row), int(batch["lengths"][row])
        said = batch["target"][row].tolist()
        assert set(said[length:]) <= {-100}
        assert read == [2 * problem.kinds, *said[: length - 1]]
        assert said[length - 1] == 2 * problem.kinds
        assert problem.steps < length <= problem.longest
        stack = Stack(problem)
        for step, code in enumerate(said[:length]):
            chances = stack.chances()
            assert chances[code] > 0
            if 0 < len(stack.open) < problem.depth and step < problem.steps // 2:
                ups, chances_up = ups + (code < problem.kinds), chances_up + 1
            answer[row, step] = torch.tensor(
                [math.log(p) if p else -1e9 for p in chances], dtype=torch.float64
            )
            blind[row, step] = answer[row, step]
            if any(chances[problem.kinds : -1]):
                blind[row, step, problem.kinds : -1] = 0.0
            losses.append(-math.log(chances[code]))
            distance = stack.push(code)
            assert int(batch["distance"][row, step]) == distance
            if distance:
                closings.setdefault(distance, []).append(row)
        assert not stack.open
    if problem.depth > 1:
        assert ups / chances_up == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(chances_up))
    found = told(problem, answer, batch)
    assert found["loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-9)
    assert found["closing"] == found["closing_all"] == 1.0
    assert told(problem, blind, batch)["closing"] == problem.trivial().value == 0.0
    # Half a word's memory: told at every other distance alone.
    half = torch.where((batch["distance"] % 4 == 1)[..., None], answer, blind)
    share = np.mean([distance % 4 == 1 for distance in closings])
    assert told(problem, half, batch)["closing"] == pytest.approx(share)


def test_a_word_is_sure_from_four_fifths_on() -> None:
    problem = Dyck(8)
    batch = drawn(problem, 20)
    closing = batch["distance"] > 0
    for chance, sure in ((0.79, 0.0), (0.81, 1.0)):
        answer = torch.zeros(*batch["target"].shape, 5, dtype=torch.float64)
        right = batch["target"].clamp(min=0)
        answer.scatter_(2, right[..., None], math.log(chance / (1 - chance)))
        answer[~closing] = 0
        assert told(problem, answer, batch)["closing"] == sure


def test_the_loss_is_the_measure_s() -> None:
    for problem in SHORT:
        batch = drawn(problem, 16)
        shape = (16, batch["input"].shape[1], problem.outputs) if problem.by_step else (16, problem.outputs)
        answer = torch.randn(shape, generator=torch.Generator().manual_seed(1))
        loss = float(problem.loss(answer, batch))
        assert told(problem, answer, batch)["loss"] == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "options", "named"),
    [
        ("adding", {"steps": 1}, "steps"), ("adding-1997", {"steps": 29}, "steps"), ("copying", {"steps": 0}, "steps"),
        ("temporal-order", {"steps": 9}, "steps"), ("temporal-order", {"symbols": 4}, "symbols"),
        ("dyck", {"kinds": 1}, "kinds"), ("dyck", {"depth": 0}, "depth"), ("dyck", {"steps": 3}, "steps"),
        ("sequential-mnist", {"order": "column"}, "order"), ("sequential-mnist", {"shift": 5}, "shift"),
    ],
)  # fmt: skip
def test_bad_options_are_named(kind, options, named) -> None:
    with pytest.raises(ArgumentError, match=f"^{named}: "):
        PROBLEMS[kind](**options)


def test_a_length_is_a_whole_number(without_run_time_types) -> None:
    with pytest.raises(ArgumentTypeError, match=r"steps: a whole number is expected, came 10\.0"):
        Copying(10.0)
