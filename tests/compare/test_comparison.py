"""A comparison that was stopped ends with the numbers of one that was not; budgets hold; the report is made."""

from __future__ import annotations

import json
import re
import signal

import pytest

from gatewise.compare import compare, learning
from gatewise.compare.lines import Lines
from gatewise.errors import ArgumentError, StoreError
from tests.compare.plans import plan

TIMES = ("train_seconds", "step_seconds")


def timeless(rows) -> list[dict]:
    """Lines without the time that they took."""
    return [
        {name: value for name, value in row.items() if name not in TIMES}
        | {"curve": [[step, loss, value] for step, _, loss, value in row["curve"]]}
        for row in rows
    ]


def lines(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The small comparison without a break."""
    folder = tmp_path_factory.mktemp("whole")
    result = compare(plan(), folder, progress=False)
    assert result.stopped == "finished"
    return folder


def test_every_run_leaves_a_line(whole) -> None:
    rows = lines(whole)
    assert [(row["key"]["cell"], row["key"]["seed"]) for row in rows] == [
        ("rnn_tanh", 0), ("lstm", 0), ("rnn_tanh", 1), ("lstm", 1)
    ]  # fmt: skip
    for row in rows:
        assert [point[0] for point in row["curve"]] == [4, 8, 12]
        assert row["steps"] == 12
        assert 0 <= row["value"] == row["measures"]["accuracy"] <= 1
        assert abs(row["parameters"] - 400) < 40
    values = {json.dumps(row["measures"]) for row in rows}
    assert len(values) == 4  # seeds and cells differ
    assert not (whole / "checkpoints").exists()


class Breaks:
    """Breaks a training off at a certain batch, counted over all runs of this process."""

    def __init__(self, monkeypatch, at: int, how) -> None:
        self.count, before = 0, learning.ProblemSource.batch

        def batch(source, epoch, step):
            self.count += 1
            if self.count == at:
                how()
            return before(source, epoch, step)

        monkeypatch.setattr(learning.ProblemSource, "batch", batch)


@pytest.mark.parametrize("at", [3, 12, 18, 41])
def test_ctrl_c_loses_nothing(whole, tmp_path, at, ctrl_c_is_heard) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        broken = Breaks(monkeypatch, at, lambda: signal.raise_signal(signal.SIGINT))
        part = compare(plan(), tmp_path, progress=False)
        assert part.stopped == "interrupted"
        assert broken.count == at  # it stopped after that very step
    assert len(part.done) == (at - 1) // 12
    assert (tmp_path / "report.html").exists()
    with pytest.MonkeyPatch.context() as monkeypatch:
        rest = Breaks(monkeypatch, 0, None)
        assert compare(plan(), tmp_path, progress=False).stopped == "finished"
        assert rest.count == 48 - at  # and went on from there
    assert timeless(lines(tmp_path)) == timeless(lines(whole))


def test_an_end_without_warning(whole, tmp_path, monkeypatch) -> None:
    class PowerCutError(BaseException):
        pass

    def cut() -> None:
        raise PowerCutError

    with pytest.MonkeyPatch.context() as patched:
        Breaks(patched, 30, cut)
        with pytest.raises(PowerCutError):
            compare(plan(), tmp_path, progress=False)
    text = (tmp_path / "results.jsonl").read_text()
    assert len(text.splitlines()) == 2
    (tmp_path / "results.jsonl").write_text(text[:-40])  # the second line was being written
    assert len(compare(plan(), tmp_path, progress=False).done) == 4
    kept = Lines(tmp_path / "results.jsonl")
    rows = [kept.find(run.identity) for run in plan().runs()]
    assert timeless(rows) == timeless(lines(whole))


def test_what_is_done_is_not_done_again(whole, monkeypatch) -> None:
    before = (whole / "results.jsonl").read_text()
    monkeypatch.setattr(learning, "fit", None)
    assert len(compare(plan(), whole, progress=False).done) == 4
    assert (whole / "results.jsonl").read_text() == before


@pytest.mark.parametrize(
    "changes",
    [
        {"budget": {"parameters": 400, "steps": 8}},
        {"training": {"learning_rate": 0.1}},
        {"problem": [{"kind": "temporal-order", "steps": 10, "goal": 0.5}]},
        {"budget": {"parameters": 500, "steps": 12}},
    ],
)
def test_lines_of_other_settings_do_not_count(whole, tmp_path, changes) -> None:
    (tmp_path / "results.jsonl").write_text((whole / "results.jsonl").read_text())
    assert len(compare(plan(**changes), tmp_path, progress=False, stop_after=0).done) == 0


def test_more_seeds_and_cells_go_on_from_the_lines(whole, tmp_path) -> None:
    (tmp_path / "results.jsonl").write_text((whole / "results.jsonl").read_text())
    wider = plan(seeds=3, cells=["lstm", "gru", "rnn_tanh"])
    result = compare(wider, tmp_path, progress=False, stop_after=0)
    assert (len(result.done), result.stopped) == (4, "stop_after")
    assert "5 of 9 runs are not done yet" in (tmp_path / "report.html").read_text()


def test_a_run_ends_at_its_goal(tmp_path) -> None:
    chance = plan(problem=[{"kind": "temporal-order", "steps": 10, "goal": 0.001}], seeds=1)
    compare(chance, tmp_path, progress=False)
    assert {(row["stopped"], row["steps"], row["solved_at"], row["solved"]) for row in lines(tmp_path)} == {
        ("reached", 4, 4, True)
    }


def test_a_time_budget_holds(tmp_path) -> None:
    # A quick machine may solve it in that time.
    training = {"validate_every": 4, "batch_size": 8, "stop_when_solved": False}
    timed = plan(budget={"hidden_size": 8, "seconds": 0.6}, seeds=1, training=training)
    compare(timed, tmp_path, progress=False)
    for row in lines(tmp_path):
        assert row["stopped"] == "max_time"
        # A step or a look at held-out sequences may end a little later.
        assert 0.3 < row["train_seconds"] < 2.5
        assert row["hidden_size"] == 8
        assert row["curve"]


def test_a_run_that_diverges_is_a_result(tmp_path) -> None:
    wild = {"validate_every": 2, "learning_rate": 1e30, "optimizer": "sgd", "gradient_clip": None}
    result = compare(
        plan(problem=[{"kind": "adding", "steps": 5}], training=wild, seeds=1), tmp_path, progress=False
    )
    assert result.stopped == "finished"
    for row in lines(tmp_path):
        assert row["stopped"] == "diverged"
        assert not row["solved"]
        assert "finite" in row["diverged"]
    assert "not finite: rnn_tanh (1 of 1) and lstm (1 of 1)" in (tmp_path / "report.html").read_text()


def test_the_report_stands_alone(whole) -> None:
    page = (whole / "report.html").read_text()
    assert page.count("data:image/svg+xml;base64,") == 3
    assert not re.findall(r"(?:src|href)=[\"'](?!data:)", page)
    assert "http" not in page
    assert "<script" not in page
    for words in ("A small comparison", "rnn_tanh", "guessing", "Hochreiter", "learning_rate 0.01", "4 of 4"):
        assert words in page
    summary = json.loads((whole / "summary.json").read_text())
    assert summary["verdict"] in page
    (problem,) = summary["problems"]
    assert problem["goal"] == 0.99
    own = [row["value"] for row in lines(whole) if row["key"]["cell"] == "lstm"]
    assert problem["cells"][1]["values"] == own
    assert problem["cells"][1]["mean"] == pytest.approx(sum(own) / 2)


def test_several_lengths_are_shown_side_by_side(tmp_path) -> None:
    lengths = plan(
        problem=[{"kind": "temporal-order", "steps": [10, 12]}], budget={"parameters": 200, "steps": 4}
    )
    result = compare(lengths, tmp_path, progress=False)
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/svg+xml;base64,") == 7
    assert "How far each cell reaches" in page
    assert "temporal-order is solved by rnn_tanh and lstm not even at 10 steps" in result.verdict


def test_folders_that_cannot_be(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArgumentError, match="is a file; name a folder"):
        compare(plan(), tmp_path / "file")
    (tmp_path / "results.jsonl").mkdir()
    with pytest.raises(StoreError, match="cannot be read"):
        compare(plan(), tmp_path)
