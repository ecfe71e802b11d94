"""Configurations: the example is one, and each mistake is named."""

from __future__ import annotations

import tomllib

import pytest

from gatewise.compare import EXAMPLE, parse_plan, read_plan
from gatewise.errors import ArgumentError, ArgumentTypeError, DataError, GatewiseError
from tests.compare.plans import plan, settings
from tests.compare.test_network import MINE


def test_the_example_is_a_configuration() -> None:
    made = parse_plan(tomllib.loads(EXAMPLE))
    runs = made.runs()
    assert len(runs) == 24
    assert [run.problem.title for run in runs[::12]] == ["adding, 10 steps", "adding, 30 steps"]
    assert {run.variant.name: run.training.learning_rate for run in runs} == {
        "rnn_tanh": 0.001, "lstm": 0.003, "lstm+chrono": 0.003, "gru": 0.003
    }  # fmt: skip
    for run in runs:
        assert abs(made.parameters(run.problem, run.variant) / 10_000 - 1) < 0.02


def test_the_example_s_remarks_are_true() -> None:
    """What stands there commented out can be put in, but for files of one's own."""
    commented = EXAMPLE.replace("# [[problem]]", "[[problem]]")
    lines = [
        line[2:] if line.startswith("# ") and " = " in line and "cell_file" not in line else line
        for line in commented.splitlines()
    ]
    text = "\n".join(lines).split('kind = "forecast"')[0].rsplit("[[problem]]", 1)[0]
    made = parse_plan(tomllib.loads(text))
    assert [problem.title for problem, _ in made.problems][2:] == [
        "Dyck-(2, 3) words of 50 brackets and more", "MNIST by row, 28 steps", "MNIST by permuted pixel, 784 steps"
    ]  # fmt: skip
    assert made.training.dropout == 0.0
    assert made.budget.seconds == 60


def test_runs_come_seed_by_seed() -> None:
    runs = plan(problem=[{"kind": "adding", "steps": [4, 8]}]).runs()
    assert [(run.problem.steps, run.seed, run.variant.name) for run in runs[:4]] == [
        (4, 0, "rnn_tanh"), (4, 0, "lstm"), (4, 1, "rnn_tanh"), (4, 1, "lstm")
    ]  # fmt: skip


def test_a_file_and_its_neighbours(tmp_path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    file = tmp_path / "my comparison.toml"
    file.write_text(
        'cell_file = "mine.py"\ncells = ["my_leaky", "gru"]\nbudget = {parameters = 300, steps = 5}\n'
        'problem = [{kind = "adding", steps = 5}]\n'
    )
    made = read_plan(file)
    assert made.title == "my comparison"
    assert [run.hidden_size for run in made.runs()[:2]] == [11, 8]
    with pytest.raises(DataError, match=r"no file .*none\.toml.*--example"):
        read_plan(tmp_path / "none.toml")
    file.write_text("cells = [")
    with pytest.raises(DataError, match="cannot be read as TOML"):
        read_plan(file)


def test_equations_tell_runs_apart(tmp_path) -> None:
    identities = []
    for text in (MINE, MINE.replace("tanh(gate.n)", "2 * tanh(gate.n)")):
        (tmp_path / "mine.py").write_text(text)
        made = parse_plan(settings(cell_file="mine.py", cells=["my_leaky"]), tmp_path)
        identities.append(made.runs()[0].identity)
    assert identities[0].pop("equations") != identities[1].pop("equations")
    assert identities[0] == identities[1]


BAD = [
    ({"cells": []}, "configuration: cells is missing"),
    ({"problems": []}, "configuration: 'problems' is not known; did you mean 'problem'"),
    ({"cells": "lstm"}, "cells: a list"),
    ({"cells": ["lstm", "lstm"]}, "cells: each is expected once"),
    ({"cells": ["lsmt"]}, "cells: 'lsmt' is not known; did you mean 'lstm'"),
    ({"cells": ["gru_d"]}, "cells: 'gru_d' reads m, d beside its input"),
    ({"seeds": 0}, "seeds: 1 to 100 are expected, came 0"),
    ({"seeds": [1, 1]}, "seeds: different numbers"),
    ({"seeds": "three"}, "seeds: a number, or a list"),
    ({"title": 3}, "title: a text is expected"),
    ({"problem": {"kind": "adding"}}, "problem: tables"),
    ({"problem": [{"steps": 3}]}, "problem: kind: '' is not known"),
    ({"problem": [{"kind": "ading"}]}, "problem: kind: 'ading' is not known; did you mean 'adding'"),
    ({"problem": [{"kind": "adding", "lag": 3}]}, "problem: adding: 'lag' is not known"),
    ({"problem": [{"kind": "adding", "steps": "ten"}]}, "steps: a whole number is expected, came 'ten'"),
    ({"problem": [{"kind": "adding", "steps": [4, 4]}]}, "'adding, 4 steps' is there 2 times"),
    ({"problem": [{"kind": "adding", "goal": "low"}]}, "problem: adding: goal: a number"),
    ({"problem": [{"kind": "forecast"}]}, "problem: forecast: data is missing"),
    (
        {"problem": [{"kind": "forecast", "data": "nowhere.csv"}]},
        "'nowhere.csv' is neither a file nor an example",
    ),
    (
        {"problem": [{"kind": "forecast", "data": "beijing-air", "options": {"cell": "gru"}}]},
        "options: cell is decided",
    ),
    (
        {"problem": [{"kind": "forecast", "data": "beijing-air", "options": {"lookbak": 3}}]},
        "options: 'lookbak' is not known; did you mean 'lookback'",
    ),
    ({"budget": {"steps": 5}}, "budget: either parameters .* came neither"),
    ({"budget": {"parameters": 5, "hidden_size": 5, "steps": 5}}, "came both"),
    ({"budget": {"parameters": 500}}, "budget: steps, seconds or both are expected"),
    ({"budget": {"parameters": 500, "step": 5}}, "budget: 'step' is not known; did you mean 'steps'"),
    ({"budget": {"parameters": -5, "steps": 5}}, "budget: parameters: at least 1"),
    ({"budget": {"parameters": 10, "steps": 5}}, "budget: 10 parameters are too few for 'rnn_tanh'"),
    ({"budget": {"parameters": 500, "seconds": 0}}, "budget: seconds: a number above 0"),
    ({"budget": 500}, r"budget: a table, \[budget\]"),
    ({"training": {"optimizer": "rmsprop"}}, "training: optimizer: one of 'adamw', 'adam', 'sgd'"),
    ({"training": {"batch_size": 0}}, "training: batch_size"),
    ({"training": {"learning_rate": -1.0}}, "training: learning_rate"),
    ({"training": {"dropout": 1.0}}, "training: dropout"),
    ({"training": {"stop_when_solved": 1}}, "training: stop_when_solved: true or false"),
    ({"cell": {"gru": {}}}, "cell: 'gru' is not known"),
    ({"cell": {"lstm": {"steps": 3}}}, "cell.\"lstm\": 'steps' is not known"),
    ({"cell_file": "none.py"}, "cell_file: there is no file"),
]


@pytest.mark.parametrize(("changes", "message"), BAD, ids=[message for _, message in BAD])
def test_a_mistake_is_named(changes, message, without_run_time_types) -> None:
    with pytest.raises(GatewiseError, match=message) as caught:
        plan(**changes)
    assert isinstance(caught.value, ArgumentError | ArgumentTypeError | DataError)
