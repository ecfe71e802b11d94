"""The guide on recurrent networks: its numbers are torch's, its commands exist, its verdicts follow from the lines."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from benchmarks.claims_memory import FLOW, STARTS, flow
from benchmarks.claims_real import memoryless
from benchmarks.claims_timing import spike_delays, spike_train
from benchmarks.understanding import PARTS
from gatewise import nn
from gatewise.cli.app import app
from tests.house.repository import ROOT
from tools import (
    claim_lines,
    claim_tables,
    claim_verdicts,
    step_through,
    understanding,
    understanding_pictures,
)

GUIDE, RESULTS = understanding.GUIDE, understanding.RESULTS
# A value is printed to four decimals.
ROUNDED = 0.5e-4 + 1e-12


def step_rows() -> dict[str, np.ndarray]:
    """The guide's table of one step: both units' numbers by the value's name, what stands behind " = " left out."""
    text = GUIDE.read_text(encoding="utf-8")
    table = text.split("<!-- lstm-step: ")[1].split("<!-- /lstm-step -->")[0]
    rows = re.findall(r"^\| `([^`]+)` \| \**(-?[\d.]+)\** \| \**(-?[\d.]+)\** \|$", table, re.MULTILINE)
    return {name.split(" = ")[0]: np.array([float(one), float(two)]) for name, one, two in rows}


def torch_step() -> tuple[torch.nn.LSTM, dict[str, torch.Tensor]]:
    """torch's LSTM with the weights of the step-through, in float64, and what it is given."""
    given = {name: torch.tensor(value, dtype=torch.float64) for name, value in step_through.STEP.items()}
    layer = torch.nn.LSTM(2, 2, dtype=torch.float64)
    with torch.no_grad():
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(layer, f"{name}_l0").copy_(given[name])
    return layer, given


def test_the_step_in_the_guide_is_torch_s() -> None:
    layer, given = torch_step()
    rows = step_rows()
    _, (h, c) = layer(given["x"][None, None], (given["h"][None, None], given["c"][None, None]))
    np.testing.assert_allclose(rows["h_t"], h.detach().flatten(), rtol=0, atol=ROUNDED)
    np.testing.assert_allclose(rows["c_t"], c.detach().flatten(), rtol=0, atol=ROUNDED)


def test_every_value_of_the_step_is_there_and_right() -> None:
    step = {name: np.array(value) for name, value in step_through.STEP.items()}
    expected: dict[str, np.ndarray] = {}
    gates = {}
    for k, gate in enumerate("ifgo"):
        rows = slice(2 * k, 2 * k + 2)
        expected[f"W_{gate} x_t"] = step["weight_ih"][rows] @ step["x"]
        expected[f"R_{gate} h_{{t-1}}"] = step["weight_hh"][rows] @ step["h"]
        bias = step["bias_ih"][rows] + step["bias_hh"][rows]
        total = expected[f"W_{gate} x_t"] + expected[f"R_{gate} h_{{t-1}}"] + bias
        expected[f"W_{gate} x_t + R_{gate} h_{{t-1}} + b_{gate}"] = total
        gates[gate] = np.tanh(total) if gate == "g" else 1 / (1 + np.exp(-total))
        expected[f"{gate}_t"] = gates[gate]
    expected["f_t ⊙ c_{t-1}"] = gates["f"] * step["c"]
    expected["i_t ⊙ g_t"] = gates["i"] * gates["g"]
    expected["c_t"] = expected["f_t ⊙ c_{t-1}"] + expected["i_t ⊙ g_t"]
    expected["tanh(c_t)"] = np.tanh(expected["c_t"])
    expected["h_t"] = gates["o"] * expected["tanh(c_t)"]
    rows = step_rows()
    assert sorted(rows) == sorted(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(rows[name], value, rtol=0, atol=ROUNDED, err_msg=name)


def test_the_snippet_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    code = step_through.code().removeprefix("```python\n").removesuffix("```")
    assert code in GUIDE.read_text(encoding="utf-8")
    exec(compile(code, "snippet", "exec"), {})
    printed = [float(x) for x in re.findall(r"-?\d+\.\d+", capsys.readouterr().out)]
    said = [float(x) for line in re.findall(r"# (-?\d.*)", code) for x in line.split()]
    assert len(said) == 4
    np.testing.assert_allclose(printed, said, rtol=0, atol=1.01e-4)


def test_a_page_without_marks_or_with_an_unknown_one_is_refused() -> None:
    with pytest.raises(SystemExit, match="expected marks"):
        understanding.filled("no marks", "page.md")
    text = "<!-- nothing: written by tools/generate_docs.py -->\n<!-- /nothing -->"
    with pytest.raises(SystemExit, match="got 'nothing'"):
        understanding.filled(text, "page.md")


def test_every_block_has_a_place() -> None:
    text = GUIDE.read_text(encoding="utf-8") + RESULTS.read_text(encoding="utf-8")
    placed = set(re.findall(r"<!-- ([\w-]+): written by tools/generate_docs\.py -->", text))
    # The verdicts that no paragraph repeats stand in the table of all claims.
    unplaced = set(understanding.blocks()) - placed
    assert unplaced <= {f"verdict-{name}" for name in claim_verdicts.verdicts()}


def test_the_pictures_are_of_the_present_lines() -> None:
    hint = "out of date; run: python tools/understanding.py"
    assert [path.name for path in understanding_pictures.outdated()] == [], hint
    named = re.findall(r"images/(understanding-[\w-]+\.png)", GUIDE.read_text(encoding="utf-8"))
    assert set(named) <= set(understanding_pictures.PICTURES)
    assert "understanding-unrolled.png" in named


def commands() -> list[str]:
    """Every command of the guide and its page of results."""
    text = GUIDE.read_text(encoding="utf-8") + RESULTS.read_text(encoding="utf-8")
    fenced = [
        line for block in re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S) for line in block.splitlines()
    ]
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    written = [*fenced, *re.findall(r"`([^`\n]+)`", prose)]
    single = [part.partition("#")[0].strip() for line in written for part in line.split("&&")]
    return sorted({one for one in single if re.match(r"(python (benchmarks|tools)/|gatewise )", one)})


@pytest.mark.parametrize("command", commands())
def test_a_command_exists_with_its_options(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program, *words = shlex.split(command)
    # Unknown options and choices are refused before the help is shown.
    if program == "gatewise":
        done = CliRunner().invoke(app, [*words, "--help"])
        assert done.exit_code == 0, done.output
        return
    assert (ROOT / words[0]).is_file(), words[0]
    monkeypatch.setattr(sys, "argv", [*words, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / words[0]), run_name="__main__")
    assert ended.value.code == 0


# --- verdicts on planted lines


def plant(path: Path, part: str, rows: list[tuple[dict, dict]]) -> None:
    """Add lines of one part."""
    with path.open("a", encoding="utf-8") as file:
        for key, numbers in rows:
            settings = {"claim": part, "quick": False}
            row = {
                "key": key,
                "settings": settings,
                "environment": {"text": "Machine: m; commit c.", "commit": "c"},
            }
            file.write(json.dumps({**row, **numbers}) + "\n")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of lines in the place of the one that is kept."""
    monkeypatch.setattr(claim_lines, "LINES", tmp_path / "claims.jsonl")
    return tmp_path / "claims.jsonl"


def adding(reach: dict[str, int], at: dict[str, list[int]]) -> list[tuple[dict, dict]]:
    """Lines of the adding problem: up to which length a cell solves it, and after how many steps of training."""
    rows = []
    for cell, longest in reach.items():
        for steps in (5, 10, 30):
            for seed in range(3):
                met = steps <= longest
                memory = {"horizon": 12.0, "log_norm": [-1.0, -9.2]}
                numbers = {"solved": met, "solved_at": at[cell][seed] if met else None, "mse": 0.1, "hidden_size": 20,
                           "before": memory, "after": memory}  # fmt: skip
                rows.append(({"steps": steps, "cell": cell, "seed": seed}, numbers))
    return rows


def test_what_has_no_lines_is_not_measured(kept: Path) -> None:
    assert {say() for say in claim_verdicts.verdicts().values()} == {"not measured yet"}
    assert claim_tables.memory_table() == claim_tables.flow_table() == "Not measured yet."
    assert not kept.exists()


def test_memory_verdicts_follow_the_lines(kept: Path) -> None:
    slow, quick = [1000, 1100, 1200], [300, 320, 310]
    plant(kept, "memory", adding({"rnn_tanh": 10, "lstm": 30}, {"rnn_tanh": slow, "lstm": quick}))
    assert claim_verdicts.memory_verdict().startswith("**holds**")
    assert "lstm up to 30 steps" in claim_verdicts.memory_verdict()
    assert claim_verdicts.speed_verdict().startswith("**holds**")
    assert "at 30 after 310, the RNN not with every seed" in claim_verdicts.speed_verdict()
    assert claim_verdicts.short_verdict().startswith("**holds**, up to 10 steps")
    assert "| rnn_tanh | 20 | 3 of 3, after 1100 ± 100" in claim_tables.memory_table()
    assert "| lstm | 3 of 3 | 12 (12 to 12) | 0.0001 | 0.0001 |" in claim_tables.reach_table()


def test_memory_verdicts_can_say_no(kept: Path) -> None:
    same = [300, 400, 500]
    plant(kept, "memory", adding({"rnn_tanh": 30, "lstm": 10}, {"rnn_tanh": same, "lstm": same}))
    assert claim_verdicts.memory_verdict().startswith("**not seen here**")
    assert claim_verdicts.speed_verdict().startswith("**not seen here**")
    assert "within the noise" in claim_verdicts.speed_verdict()


def test_no_rnn_that_solves_the_shortest_is_said(kept: Path) -> None:
    plant(kept, "memory", adding({"rnn_tanh": 0, "lstm": 5}, {"rnn_tanh": [], "lstm": [1, 2, 3]}))
    assert claim_verdicts.short_verdict().startswith("**not seen here**")


@pytest.mark.parametrize(
    ("gru", "words"), [([42.0, 42.1, 41.9], "GRU is better"), ([44.9, 45.2, 45.1], "no difference beyond the noise")]
)  # fmt: skip
def test_units_verdict(kept: Path, gru: list[float], words: str) -> None:
    for cell, errors, size in (("lstm", [45.0, 45.2, 44.8], 400), ("gru", gru, 300)):
        plant(kept, "units", [
            ({"cell": cell, "width": "equal units", "seed": k},
             {"mae": error, "rmse": 60.0, "parameters": size, "hidden_size": 8, "trivial": {"name": "t", "value": 50}})
            for k, error in enumerate(errors)
        ])  # fmt: skip
    assert claim_verdicts.units_verdict().startswith(f"**{words}**")
    assert "25% fewer parameters" in claim_verdicts.units_verdict()


@pytest.mark.parametrize(("with_", "without", "head"), [(5, 0, "holds"), (3, 2, "not seen here")])
def test_timing_verdict(kept: Path, with_: int, without: int, head: str) -> None:
    for cell, count in (("lstm_peephole", with_), ("lstm", without)):
        plant(kept, "measure", [
            ({"cell": cell, "seed": k}, {"solved": k < count, "solved_at": 100 if k < count else None, "parameters": 9})
            for k in range(5)
        ])  # fmt: skip
    assert claim_verdicts.timing_verdict().startswith(f"**{head}**")


def test_one_seed_decides_nothing(kept: Path) -> None:
    for name, f1 in (("forward", 0.8), ("both, equal parameters", 0.95)):
        numbers = {"f1": f1, "accuracy": 0.9, "parameters": 9}
        plant(kept, "tagging", [({"direction": name, "seed": 0}, numbers)])
    assert claim_verdicts.tagging_verdict().startswith("**not seen here**")
    assert "nobody knows" in claim_verdicts.tagging_verdict()


def test_a_control_that_does_as_well_is_said(kept: Path) -> None:
    for name, right in {"LSTM": 8, "CNN": 8, "CNN, then LSTM": 8, "neither": 8}.items():
        plant(kept, "activity", [
            ({"network": name, "fold": fold, "seed": seed}, {"right": right + seed, "count": 12, "parameters": 9})
            for fold in range(2) for seed in range(3)
        ])  # fmt: skip
    assert "the set does not decide it" in claim_verdicts.activity_verdict()


# --- what is measured is what is said


def test_intervals_are_answered_where_spikes_come() -> None:
    given, answer, counts = spike_delays(7, np.random.default_rng(3))
    for row in range(7):
        places = torch.nonzero(given[:, row, 0]).flatten().tolist()
        assert len(places) == 6
        assert places[0] == 0
        assert torch.nonzero(counts[:, row]).flatten().tolist() == places[1:]
        for before, here in pairwise(places):
            assert 10 <= here - before <= 30
            assert answer[here, row] == pytest.approx((here - before - 10) / 20)


def test_a_spike_comes_at_every_nth_step() -> None:
    given, spikes = spike_train(25, 10)
    assert torch.nonzero(given).tolist() == [[0, 0, 0]]
    assert torch.nonzero(spikes[:, 0]).flatten().tolist() == [9, 19]


def test_the_control_sees_no_order() -> None:
    layer = nn.Recurrent(memoryless, 3, 4)
    x = torch.randn(6, 2, 3)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(layer(x[order])[0], layer(x)[0][order])


def test_starts_are_set_and_vanish_as_they_say() -> None:
    small = flow("RNN, radius 0.7", 0, quick=True)
    large = flow("RNN, radius 2.0", 0, quick=True)
    assert small["radius"] == pytest.approx(0.7, abs=1e-5)
    assert small["log_norm"][-1] < -2 < 0 < large["log_norm"][-1]
    assert {"RNN, orthogonal", "LSTM, chrono"} <= set(STARTS)
    assert FLOW["time"] >= 100


def test_all_parts_are_known_to_the_tables() -> None:
    assert tuple(name for parts in PARTS.values() for name, *_ in parts) == claim_lines.PARTS
