"""Axes that can be read."""

from __future__ import annotations

import pytest

from gatewise.report.canvas import canvas, log_scale


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [(1e-3, 5.0, ["10⁻³", "10⁻²", "10⁻¹", "1"]), (0.13, 0.42, ["0.2", "0.3", "0.4"])],
)
def test_a_logarithmic_axis_has_labels_of_full_size(low, high, shown) -> None:
    with canvas(3.0, 2.0) as (figure, axes):
        axes.plot([0, 1], [low, high])
        log_scale(axes)
        axes.set_ylim(low, high)
    figure.canvas.draw()
    labels = [
        one
        for one in (*axes.yaxis.get_majorticklabels(), *axes.yaxis.get_minorticklabels())
        if one.get_text()
    ]
    inside = [one.get_text() for one in labels if low <= one.get_position()[1] <= high * 1.01]
    assert sorted(inside, key=shown.index) == shown
    assert len({one.get_fontsize() for one in labels}) == 1
