"""Calibration on the latest windows: what it reads, and that it follows a drift."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gatewise.errors import ArgumentError
from gatewise.tasks import Forecaster
from gatewise.tasks.forecast.adaptive import adapted
from gatewise.tasks.forecast.calibration import calibrate, fit_calibration
from gatewise.tasks.forecast.inference import forecast_scaled
from gatewise.tasks.forecast.training import Origins
from tests.tasks.series import small

ROWS = 900


def drifting() -> pd.DataFrame:
    """Noise that grows fivefold after the rows that are fitted."""
    generator = np.random.default_rng(0)
    spread = np.where(np.arange(ROWS) < 500, 1.0, 5.0)
    return pd.DataFrame({"ds": np.arange(ROWS), "y": 50 + spread * generator.normal(size=ROWS)})


FRAME = drifting()


@pytest.fixture(scope="module")
def models() -> dict[str, Forecaster]:
    """The same fit, calibrated either way."""
    return {
        how: small(horizon=2, lookback=8, calibration=how).fit(FRAME[:500]) for how in ("split", "adaptive")
    }


def test_it_follows_a_drift_and_split_does_not(models) -> None:
    # The first hundred rows after the change still calibrate on quiet ones.
    split, adaptive = (models[how].evaluate(FRAME, start=620, linear=False) for how in ("split", "adaptive"))
    assert split.intervals[0.8] < 0.5
    # Some 50 rows calibrate, about 100 values, of which neighbours share a row: a standard error of 0.06 each time.
    assert abs(adaptive.intervals[0.8] - 0.8) < 0.06
    assert (np.diff(adaptive.back_test.quantiles, axis=-1) > 0).all()


def test_it_reads_outcomes_that_were_known_and_no_others(models) -> None:
    model = models["adaptive"]
    changed = FRAME.copy()
    changed.loc[changed["ds"] > 700, "y"] += 1000
    one, other = (model.evaluate(frame, start=640, linear=False).back_test for frame in (FRAME, changed))
    before = one.rows <= 700
    np.testing.assert_array_equal(one.quantiles[before], other.quantiles[before])
    assert (one.quantiles[~before] != other.quantiles[~before]).any()


def test_it_is_the_calibration_on_the_windows_just_before(models) -> None:
    fitted = models["adaptive"].fitted_
    panel = models["adaptive"]._panel(FRAME)[0]
    encoded, _ = fitted.encode(panel, np.array([500]))
    origin = Origins(np.zeros(1, dtype=np.int64), np.array([800]))
    assert fitted.recent.rows == 50
    # Fifty origins, the latest of them two rows back: its second step is the origin's own row.
    rows = np.arange(749, 799)
    known = Origins(np.zeros(50, dtype=np.int64), rows)
    target, counts = encoded.targets(known.series, rows[None], panel.lengths[known.series])
    scaled = forecast_scaled(fitted.network, encoded, known)
    levels = fitted.levels
    factors = fit_calibration(scaled, target[0], counts[0], levels)
    assert counts.sum() == 100
    raw = forecast_scaled(fitted.network, encoded, origin)
    found = adapted(fitted.network, encoded, origin, fitted.recent, (7.0, 7.0), levels)
    np.testing.assert_allclose(found, calibrate(raw, factors, levels), rtol=1e-5, atol=1e-6)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("gatewise.tasks.forecast.adaptive._FEWEST", 101)
        few = adapted(fitted.network, encoded, origin, fitted.recent, (7.0, 7.0), levels)
    np.testing.assert_allclose(few, calibrate(raw, (7.0, 7.0), levels))


def test_update_equals_predict_on_the_extended_history(tmp_path) -> None:
    wide = pd.concat(
        [drifting().assign(unique_id=name, y=lambda f: f["y"] + f["ds"] % 7) for name in "abcdef"]
    )
    model = small(horizon=2, lookback=8, calibration="adaptive").fit(wide[wide["ds"] < 500])
    before = model.predict()
    new = wide[(wide["ds"] >= 500) & (wide["ds"] < 700)]
    pd.testing.assert_frame_equal(model.update(new).predict(), model.predict(wide[wide["ds"] < 700]))
    width = [(frame["q0.9"] - frame["q0.1"]).mean() for frame in (before, model.predict())]
    assert width[1] > 2 * width[0]
    model.save(tmp_path / "model")
    pd.testing.assert_frame_equal(Forecaster.load(tmp_path / "model").predict(), model.predict())


def test_the_parameter_is_checked() -> None:
    with pytest.raises(ArgumentError, match="calibration"):
        small(calibration="daily").fit(FRAME)
