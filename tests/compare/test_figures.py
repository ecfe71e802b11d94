"""The report's pictures show what differs."""

from __future__ import annotations

import pytest

from gatewise.compare.figures import plot_curves, plot_values
from gatewise.compare.forecast_table import ForecastTable
from gatewise.compare.problems import Dyck, Measure, Trivial
from gatewise.compare.scores import CellScore, ProblemScore


def score(values: list[float]) -> ProblemScore:
    """Of two cells, whose curves rise to their values."""
    cells = tuple(
        CellScore(
            name, ({"value": value, "curve": [[100, 1.0, 0.5, value - 0.02], [200, 2.0, 0.4, value]]},), 1
        )
        for name, value in zip("ab", values, strict=True)
    )
    measure = Measure("accuracy", "digits that are right", goal=0.99, percent=True)
    return ProblemScore(Dyck(20), measure, Trivial("always 1", 0.113), cells)


@pytest.mark.parametrize("plot", [plot_curves, plot_values])
def test_shares_that_are_all_high_fill_the_axis(plot) -> None:
    axes = plot(score([0.985, 0.992])).axes[0]
    low, high = axes.get_ylim()
    assert 0.95 < low < 0.985
    assert 1.0 < high < 1.02
    # The trivial answer is far below.
    assert [text.get_text() for text in axes.texts] == ["goal"]


def test_a_table_s_curves_are_losses_without_the_measure_s_trivial_value() -> None:
    table = ForecastTable("beijing-air")
    rows = ({"value": 46.0, "curve": [[1, 1.0, 0.17, 0.16], [2, 2.0, 0.16, 0.15]]},)
    score = ProblemScore(table, table.measure, Trivial("last value", 50.0), (CellScore("gru", rows, 1),))
    axes = plot_curves(score).axes[0]
    assert axes.get_ylim()[1] < 0.2
    assert not axes.texts
    assert [text.get_text() for text in plot_values(score).axes[0].texts] == ["last value"]


@pytest.mark.parametrize("plot", [plot_curves, plot_values])
def test_shares_that_are_not_are_shown_from_0_to_1_beside_the_trivial_answer(plot) -> None:
    axes = plot(score([0.6, 0.992])).axes[0]
    assert axes.get_ylim() == pytest.approx((-0.02, 1.02))
    assert [text.get_text() for text in axes.texts] == ["goal", "always 1"]
