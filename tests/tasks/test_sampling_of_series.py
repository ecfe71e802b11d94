"""Series drawn in proportion to their scale (Salinas et al. 2020, sec. 3.4)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gatewise.errors import ArgumentError
from gatewise.tasks.forecast.origin_source import OriginSource
from gatewise.tasks.forecast.scaling import series_scales
from gatewise.tasks.forecast.training import ChunkSource
from tests.tasks.series import small


def frame() -> pd.DataFrame:
    """Series a and b, at 4 and at -9; a lacks a value."""
    parts = []
    for name, level in (("a", 4.0), ("b", -9.0)):
        values = level + 0.01 * np.random.default_rng(0).normal(size=400)
        parts.append(pd.DataFrame({"unique_id": name, "ds": np.arange(400), "y": values}))
    parts[0].loc[7, "y"] = None
    return pd.concat(parts)


@pytest.fixture(scope="module")
def encoded():
    model = small(lookback=8, horizon=2, missing="mask").fit(frame())
    panel = model._panel(frame())[0]
    return model.fitted_.encode(panel, panel.lengths)[0]


def test_a_scale_is_one_and_the_mean_size(encoded) -> None:
    np.testing.assert_allclose(series_scales(encoded.panel), [5, 10], rtol=1e-3)


@pytest.mark.parametrize("source", [ChunkSource, OriginSource])
def test_a_series_is_drawn_in_proportion(source, encoded) -> None:
    limits, shares = np.array([400, 400]), {}
    for weights in (None, np.array([1.0, 9.0])):
        drawn = source(encoded, limits, 16, 0, weights=weights)
        rows = []
        for epoch in range(12):
            for step in range(drawn.steps_per_epoch()):
                # The series' own centre tells which one a row of the batch is of.
                rows.append(drawn.batch(epoch, step)["scale_centre"][0].numpy() < 0)
        shares[weights is None] = np.concatenate(rows).mean()
    assert shares[True] == pytest.approx(0.5, abs=0.02)
    # More than a thousand draws of 0.9: a standard error of 0.01.
    assert shares[False] == pytest.approx(0.9, abs=0.04)
    assert source(encoded, limits, 16, 0).fingerprint() != drawn.fingerprint()


def test_it_is_a_parameter_and_checked() -> None:
    one, other = (
        small(lookback=8, missing="mask", sampling=how).fit(frame()) for how in ("uniform", "scale")
    )
    assert (one.predict()["y_hat"] != other.predict()["y_hat"]).any()
    with pytest.raises(ArgumentError, match="sampling"):
        small(sampling="largest").fit(frame())
    with pytest.raises(ArgumentError, match="sampling"):
        small(sampling="scale", channels="joint").fit(frame())
