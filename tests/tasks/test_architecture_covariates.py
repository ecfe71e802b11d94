"""Every architecture reads every kind of covariate, walks forward, and takes in new rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gatewise.tasks import Forecaster
from gatewise.tasks.forecast import architectures
from tests.tasks.series import small
from tests.tasks.test_covariates import HISTORY, KNOWN, LAST, ROLES, TABLE


@pytest.mark.parametrize("architecture", architectures.names())
@pytest.mark.parametrize("revin", [False, True])
def test_all_kinds_of_columns(architecture, revin, tmp_path) -> None:
    model = small(**ROLES, architecture=architecture, revin=revin, num_samples=20, dropout=0.0).fit(HISTORY)
    forecast = model.predict(future=KNOWN)
    assert np.isfinite(forecast["y_hat"]).all()
    flipped = model.predict(future=KNOWN.assign(promotion=1 - KNOWN["promotion"], day_kind="holiday"))
    assert (flipped["y_hat"] != forecast["y_hat"]).any()
    moved = HISTORY.assign(size=HISTORY["size"] + 50, visitors=2.0)
    assert (model.predict(moved, future=KNOWN)["y_hat"] != forecast["y_hat"]).any()
    assert model.sample_paths(num_samples=3, future=KNOWN).shape == (3, 3, 6)
    model.save(tmp_path / "model")
    pd.testing.assert_frame_equal(Forecaster.load(tmp_path / "model").predict(future=KNOWN), forecast)


@pytest.mark.parametrize("architecture", architectures.names())
def test_update_and_cross_validation(architecture) -> None:
    model = small(**ROLES, architecture=architecture, num_samples=20)
    before = HISTORY[HISTORY["ds"] <= LAST - pd.Timedelta(days=9)]
    model.fit(before).update(HISTORY[HISTORY["ds"] > LAST - pd.Timedelta(days=9)])
    pd.testing.assert_frame_equal(model.predict(future=KNOWN), model.predict(HISTORY, future=KNOWN))
    table = model.cross_validation(TABLE, n_windows=2, refit=False)
    assert table["y_hat"].notna().all()


@pytest.mark.parametrize("architecture", [name for name in architectures.names() if name != "deepar"])
def test_channels_together(architecture) -> None:
    model = small(**ROLES, architecture=architecture, channels="joint").fit(HISTORY)
    forecast = model.predict(future=KNOWN)
    changed = HISTORY.copy()
    changed.loc[changed["unique_id"] == "a", "y"] *= 1.5
    other = model.predict(changed, future=KNOWN)
    assert (other["y_hat"] != forecast["y_hat"])[forecast["unique_id"] == "b"].any()
