"""Covariates by role: what each does to a forecast, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from gatewise.data import panel_from_frame
from gatewise.errors import ArgumentError, ArgumentTypeError, DataError
from gatewise.tasks import Forecaster
from gatewise.tasks.forecast.embedding import CategoryEmbedding, EmbeddingPlan
from tests.tasks.series import small

ROLES = {
    "future_covariates": ("promotion", "day_kind"),
    "static_covariates": ("size", "region"),
    "categorical": ("shop",),
    "lookback": 14,
}


def shops(rows: int = 150, names: tuple[str, ...] = ("a", "b", "c"), seed: int = 0) -> pd.DataFrame:
    """Daily sales that a promotion, known beforehand, lifts by ten."""
    generator = np.random.default_rng(seed)
    frames = []
    for place, name in enumerate(names):
        promotion = (generator.random(rows) < 0.3).astype(float)
        frames.append(
            pd.DataFrame(
                {
                    "unique_id": name,
                    "ds": pd.date_range("2024-01-01", periods=rows),
                    "y": 20.0 + 10 * promotion + generator.normal(size=rows),
                    "promotion": promotion,
                    "day_kind": np.where(generator.random(rows) < 0.1, "holiday", "plain"),
                    "visitors": generator.normal(size=rows),
                    "size": 100.0 * place,
                    "region": "north" if place else "south",
                    "shop": place % 2,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


TABLE = shops()
LAST = TABLE["ds"].max() - pd.Timedelta(days=6)
HISTORY, FUTURE = TABLE[TABLE["ds"] <= LAST], TABLE[TABLE["ds"] > LAST]
KNOWN = FUTURE[["unique_id", "ds", "promotion", "day_kind"]]


@pytest.fixture(scope="module")
def model() -> Forecaster:
    return small(**ROLES, max_epochs=12, hidden_size=16, learning_rate=2e-2, patience=None).fit(HISTORY)


def test_what_is_known_beforehand_is_used(model) -> None:
    """Without the promotion's dates nothing is better than a mean, which is wrong by 4.2 on average."""
    forecast = model.predict(future=KNOWN)
    assert np.abs(forecast["y_hat"].to_numpy() - FUTURE["y"].to_numpy()).mean() < 2.5
    flipped = model.predict(future=KNOWN.assign(promotion=1 - KNOWN["promotion"]))
    lifted = (KNOWN["promotion"] == 1).to_numpy()
    assert (forecast["y_hat"] - flipped["y_hat"])[lifted].mean() > 5
    assert (forecast["y_hat"] - flipped["y_hat"])[~lifted].mean() < -5


def test_the_future_table_may_be_longer_shuffled_and_of_any_kind(model) -> None:
    whole = model.predict(future=KNOWN)
    columns = ["unique_id", "ds", "promotion", "day_kind"]
    more = pd.concat([TABLE[columns], KNOWN.assign(unique_id="unheard of")]).sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(model.predict(future=more), whole)
    pd.testing.assert_frame_equal(
        model.predict(future=pl.from_pandas(KNOWN)).to_pandas(), whole, check_dtype=False
    )
    pd.testing.assert_frame_equal(model.predict(HISTORY, future=KNOWN), whole)
    short = model.predict(horizon=2, future=KNOWN.groupby("unique_id").head(2))
    np.testing.assert_allclose(short["y_hat"], whole.groupby("unique_id").head(2)["y_hat"], rtol=1e-5)


def test_a_later_day_of_the_horizon_changes_no_earlier_forecast(model) -> None:
    changed = KNOWN.copy()
    changed.loc[changed["ds"] == changed["ds"].max(), ["promotion"]] = 9.0
    one, other = model.predict(future=KNOWN), model.predict(future=changed)
    last = one["ds"] == one["ds"].max()
    np.testing.assert_array_equal(one[~last]["y_hat"], other[~last]["y_hat"])
    assert (one[last]["y_hat"] != other[last]["y_hat"]).all()


def test_static_and_past_columns_are_read(model) -> None:
    base = model.predict(HISTORY, future=KNOWN)["y_hat"]
    for change in ({"size": 500.0}, {"visitors": 3.0}, {"shop": HISTORY["shop"].map({0: 1, 1: 0})}):
        assert (model.predict(HISTORY.assign(**change), future=KNOWN)["y_hat"] != base).any()
    moved = HISTORY.assign(region=HISTORY["region"].map({"north": "south", "south": "north"}))
    assert (model.predict(moved, future=KNOWN)["y_hat"] != base).any()


def test_a_saved_model_keeps_its_columns(model, tmp_path) -> None:
    model.save(tmp_path / "model")
    loaded = Forecaster.load(tmp_path / "model")
    pd.testing.assert_frame_equal(loaded.predict(future=KNOWN), model.predict(future=KNOWN))
    assert loaded.future_covariates == ("promotion", "day_kind")
    card = (tmp_path / "model" / "card.md").read_text()
    assert "Known for the future: weekday, month, promotion, day_kind (category of 2)" in card
    assert "Static covariates: size, region (category of 2)" in card
    assert "Past covariates: visitors, shop (category of 2)" in card


def test_a_new_series_brings_its_own_columns(model) -> None:
    new = shops(60, ("fresh",), seed=7).assign(y=lambda f: 5 * f["y"])
    known = shops(66, ("fresh",), seed=8).tail(6)
    forecast = model.predict(new, future=known)
    assert forecast["unique_id"].tolist() == ["fresh"] * 6
    assert forecast["y_hat"].between(50, 200).all()


def test_the_back_test_reads_the_future_of_its_own_table(model) -> None:
    evaluation = model.evaluate(TABLE, every=1, linear=False)
    direct = model.predict(future=KNOWN)["y_hat"].to_numpy().reshape(3, 6)
    np.testing.assert_allclose(evaluation.back_test.median, direct, rtol=1e-5)


@pytest.mark.parametrize(
    ("future", "words"),
    [
        (None, ("future", "promotion", "6 steps")),
        (KNOWN.drop(columns="promotion"), ("future", "no column 'promotion'")),
        (KNOWN[KNOWN["unique_id"] != "b"], ("'promotion'", "missing", "'b'", "2024-05-24")),
        (KNOWN.drop(index=KNOWN.index[8]), ("'promotion'", "missing", "'b'", "2024-05-26")),
        (pd.concat([KNOWN, KNOWN.iloc[[8]]]), ("'b'", "two rows", "2024-05-26")),
        (KNOWN.assign(promotion=np.inf), ("'promotion'", "infinite", "'a'")),
        (KNOWN.assign(promotion="yes"), ("'promotion'", "text")),
        (KNOWN.assign(day_kind="strike"), ("'day_kind'", "'strike'", "'a'", "unseen")),
        (KNOWN.assign(ds=KNOWN["ds"] + pd.Timedelta(hours=5)), ("'a'", "2024-05-24 05:00", "day")),
        (KNOWN.assign(ds=range(len(KNOWN))), ("future", "integer")),
    ],
)
def test_each_fault_of_the_future_table_is_named(model, future, words) -> None:
    with pytest.raises((DataError, ArgumentError)) as caught:
        model.predict(future=future)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "error", "words"),
    [
        ({"future_covariates": ("holiday",)}, DataError, ("future_covariates", "'holiday'")),
        ({"static_covariates": ("visitors",)}, DataError, ("'visitors'", "changes within series 'a'")),
        ({"static_covariates": ("holiday",)}, DataError, ("static_covariates", "'holiday'")),
        ({"categorical": ("holiday",)}, DataError, ("categorical", "'holiday'")),
        ({"future_covariates": "promotion"}, ArgumentTypeError, ("future_covariates", "'promotion'")),
        ({"future_covariates": 3}, ArgumentTypeError, ("future_covariates", "3")),
        ({"static_covariates": ("promotion",), "future_covariates": ("promotion",)}, ArgumentError, ("static",)),
        ({"unseen": "guess"}, ArgumentError, ("unseen", "'guess'")),
        ({"freq": "fortnight"}, ArgumentError, ("freq", "'fortnight'")),
        ({"freq": "h"}, DataError, ("'a'", "2024-01-01 00:00 and 2024-01-02", "hour")),
        ({"freq": "W"}, DataError, ("'a'", "2024-01-02", "week")),
        ({"freq": 1}, DataError, ("'ds'", "times")),
    ],
)  # fmt: skip
def test_roles_are_checked_in_fit(parameters, error, words) -> None:
    with pytest.raises(error) as caught:
        small(**parameters).fit(HISTORY)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_future_table_that_nobody_reads_is_refused(fitted) -> None:
    with pytest.raises(ArgumentError, match="without future_covariates"):
        fitted.predict(future=KNOWN)
    with pytest.raises(ArgumentError, match="array"):
        small(future_covariates=("x",)).fit(np.random.default_rng(0).normal(size=(9, 20)))


def test_an_unseen_category_is_an_error_or_unknown(model) -> None:
    with pytest.raises(DataError, match="'shop'.*'7'.*'a'"):
        model.predict(HISTORY.assign(shop=7), future=KNOWN)
    lenient = small(**ROLES, unseen="unknown").fit(HISTORY)
    forecast = lenient.predict(HISTORY.assign(shop=7, region="east"), future=KNOWN)
    assert np.isfinite(forecast["y_hat"]).all()


def test_missing_covariates_are_masked() -> None:
    holed = HISTORY.copy()
    gone = np.random.default_rng(0).random(len(holed)) < 0.2
    holed.loc[gone, ["promotion", "visitors", "day_kind"]] = None
    holed = holed.drop(index=holed.index[30:40])
    model = small(**ROLES, missing="mask").fit(holed)
    assert np.isfinite(model.predict(future=KNOWN)["y_hat"]).all()
    partly = KNOWN.assign(promotion=KNOWN["promotion"].where(KNOWN.index % 2 == 0))
    assert np.isfinite(model.predict(future=partly)["y_hat"]).all()
    with pytest.raises(DataError, match="missing in series 'c'"):
        model.predict(future=KNOWN[KNOWN["unique_id"] != "c"])


def test_one_day_per_series_needs_a_given_frequency() -> None:
    rare = HISTORY[HISTORY["ds"].isin([HISTORY["ds"].min(), HISTORY["ds"].min() + pd.Timedelta(days=3)])]
    mixed = pd.concat([HISTORY[HISTORY["unique_id"] == "a"], rare[rare["unique_id"] == "b"]])
    with pytest.raises(DataError, match=r"mixes frequencies.*'b'.*freq="):
        small(missing="mask", horizon=2).fit(mixed)
    assert small(missing="mask", horizon=2, freq="D").fit(mixed).frequency_.name == "day"


def test_embedding_widths_and_the_unknown() -> None:
    embedding = CategoryEmbedding(EmbeddingPlan((3, 100), (1,), 2, (5,)))
    assert (embedding.inputs, embedding.known) == (1 + 16 + 2 + 2, 16 + 2 + 2)
    assert all((table.weight[0] == 0).all() for table in embedding.tables)
    assert CategoryEmbedding(EmbeddingPlan()).inputs == 0


def test_what_is_known_stands_last_in_the_inputs_in_the_order_of_known(model) -> None:
    panel = panel_from_frame(HISTORY, "error", categorical=("shop",))
    encoded, _ = model.fitted_.encode(panel, panel.lengths)
    windows = encoded.windows(np.array([1]), np.array([40]), 7, np.array([0]))
    embedding = model.fitted_.network.embedding
    with torch.no_grad():
        wide = embedding(windows)
    known = wide.known.shape[-1]
    assert known == encoded.encoder.known_width + embedding.known
    assert wide.inputs.shape[-1] == encoded.encoder.width + embedding.inputs
    torch.testing.assert_close(wide.known[0, 0], wide.inputs[1:, 0, -known:])


def test_dropout_hides_categories_in_training_alone() -> None:
    embedding = CategoryEmbedding(EmbeddingPlan((5,), dropout=0.5))
    codes = torch.full((4000,), 3)
    hidden = (embedding._vectors(embedding.tables[0], codes) == 0).all(-1).float().mean()
    # A tenth, within four standard errors of 4,000 draws.
    assert abs(float(hidden) - 0.1) < 4 * (0.09 / 4000) ** 0.5
    assert not (embedding.eval()._vectors(embedding.tables[0], codes) == 0).all(-1).any()


@pytest.mark.parametrize("days", [60, 1, -30])
def test_a_shifted_future_table_is_refused_whatever_may_be_missing(days: int) -> None:
    model = small(**ROLES, missing="mask", max_epochs=1).fit(HISTORY)
    moved = KNOWN.assign(
        ds=KNOWN["ds"].where(KNOWN["unique_id"] != "b", KNOWN["ds"] + pd.Timedelta(days=days))
    )
    with pytest.raises(DataError, match=r"missing in series 'b' at 2024-05-24 .*its rows there run from"):
        model.predict(future=moved)


def test_zoned_and_naive_stamps_are_not_mixed(model) -> None:
    zoned = KNOWN.assign(ds=KNOWN["ds"].dt.tz_localize("UTC"))
    with pytest.raises(DataError, match="future.*in the zone UTC.*without a zone"):
        model.predict(future=zoned)
    with pytest.raises(DataError, match="df.*in the zone UTC.*without a zone"):
        model.predict(HISTORY.assign(ds=HISTORY["ds"].dt.tz_localize("UTC")), future=KNOWN)


def test_a_known_column_that_the_history_lacks_is_named(model) -> None:
    with pytest.raises(DataError, match="history has no column 'promotion'"):
        model.predict(HISTORY.drop(columns="promotion"), future=KNOWN)


@pytest.mark.parametrize("after_load", [False, True])
@pytest.mark.parametrize("fitted_to", [pd.DataFrame, pl.from_pandas, pa.Table.from_pandas])
def test_a_forecast_is_of_the_kind_that_came(fitted_to, after_load, tmp_path) -> None:
    rows, future = TABLE[TABLE["ds"] < KNOWN["ds"].min()], KNOWN
    kinds = [(lambda df: df, pd.DataFrame), (pl.from_pandas, pl.DataFrame), (pa.Table.from_pandas, pa.Table)]
    model = small(**ROLES).fit(fitted_to(rows))
    if after_load:
        model.save(tmp_path / "model")
        model = Forecaster.load(tmp_path / "model")
    for convert, kind in kinds:
        alone = model.predict(future=convert(future))
        both = model.predict(convert(rows), future=future)
        assert isinstance(alone, kind)
        assert isinstance(both, kind)
        assert list(np.asarray(alone["unique_id"])) == list(np.asarray(both["unique_id"]))
        assert (np.asarray(alone["ds"]) == np.asarray(both["ds"])).all()
