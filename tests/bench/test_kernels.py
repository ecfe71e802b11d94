"""The measurement of the kernels measures, says what it compared, and refuses wrong numbers."""

from __future__ import annotations

import math

import pytest
import torch

from gatewise import bench, nn
from gatewise.bench import rows
from gatewise.bench.errors import errors
from gatewise.bench.timing import in_turns
from gatewise.engines import native
from gatewise.errors import EngineError

pytestmark = pytest.mark.skipif(native.reason_absent() is not None, reason="the native engine is not there")
SHAPES = [(2, 6, 4, 8)]


def test_a_small_run_fills_every_table():
    told = []
    before = torch.get_num_threads()
    report = bench.measure_kernels(seconds=0.01, threads=[1], shapes=SHAPES, tell=told.append)
    assert torch.get_num_threads() == before
    assert tuple(told) == report.rows
    assert {row.table for row in report.rows} == {
        "torch.nn", "onnxruntime", "step by step", "streams", "cells", "extras", "ragged", "linear recurrences",
        "end to end",
    }  # fmt: skip
    assert all(
        row.ratio == pytest.approx(row.peer_ms / row.ours_ms) and row.ours_ms > 0 for row in report.rows
    )
    text = report.markdown()
    assert text.count("\n| ") >= len(report.rows)
    assert report.as_dict()["rows"][0]["name"] == "LSTM"
    # What is measured is rounding.
    assert {one.result for one in report.errors} >= {
        "output",
        "input's gradient",
        "weight_ih_l0",
        "bias_hh_l0",
    }
    assert all(1e-9 < one.theirs < 1e-6 and 0 < one.ours < 1e-6 for one in report.errors)
    assert text.count("\n| ") >= len(report.rows) + len(report.errors)


def test_errors_beside_float64_are_no_larger_than_one_and_a_half_of_torchs():
    # Sums of 512 terms in one chain gave 1.5 to 2.1 here.
    found = list(errors([(8, 24, 256, 512)]))
    assert [one for one in found if one.ratio > 1.5] == []


def test_the_mean_is_geometric():
    row = bench.Row("cells", "mgu", (1, 1, 1, 1), "train", 1, "lstm", 4.0, 1.0, 4.0)
    other = bench.Row("cells", "gru", (1, 1, 1, 1), "train", 1, "lstm", 1.0, 1.0, 1.0)
    summary = bench.Report((row, other)).summary()
    assert summary == {
        "cells beside lstm, train, 1 thread": pytest.approx(2.0),
        "cells beside lstm, train, 1 thread, worst": 1.0,
    }


def test_wrong_numbers_are_not_timed(monkeypatch):
    forward = nn.GRU.forward
    monkeypatch.setattr(
        nn.GRU, "forward", lambda self, x, **extras: (forward(self, x, **extras)[0] + 1, None)
    )
    with pytest.raises(EngineError, match="outputs differ"):
        bench.measure_kernels(seconds=0.01, threads=[1], shapes=SHAPES)
    with pytest.raises(EngineError, match="outputs differ"):
        rows.agree(torch.tensor([math.nan]), torch.tensor([1.0]), "anything")


def test_turns_alternate():
    order = []
    in_turns(lambda: order.append(1), lambda: order.append(2), 0.0)
    assert order == [1, 2] * 7
