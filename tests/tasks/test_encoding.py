"""Windows: the same whether inputs are kept or made when they are drawn, and nothing is kept per window."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import torch

from gatewise.data import panel_from_frame, read_table, write_table
from gatewise.tasks.forecast import encoding
from gatewise.tasks.forecast.covariates import CovariateEncoder, Roles, fit_covariates
from gatewise.tasks.forecast.encoding import Encoder
from gatewise.tasks.forecast.scaling import fit_scaler
from gatewise.tasks.forecast.training import ChunkSource
from tests.tasks.test_covariates import HISTORY


@pytest.fixture
def panel():
    """Three series with holes, all kinds of columns."""
    frame = HISTORY.copy()
    frame.loc[frame.index % 7 == 0, ["y", "visitors", "day_kind"]] = None
    return panel_from_frame(frame, "mask", categorical=("shop",))


def encoded(panel):
    roles = Roles(("promotion", "day_kind"), ("size", "region"))
    encoder = Encoder(5, 20, 7, ("weekday", "month"), fit_covariates(panel, roles))
    return encoder.encode(panel, fit_scaler(panel, "standard"))


def test_kept_inputs_are_those_that_would_be_made(panel, monkeypatch) -> None:
    kept = encoded(panel)
    monkeypatch.setattr(encoding, "_KEPT_BYTES", 0)
    made = encoded(panel)
    assert kept.kept is not None
    assert made.kept is None
    sources = [ChunkSource(one, panel.lengths - 20, 4, seed=0) for one in (kept, made)]
    for step in range(sources[0].steps_per_epoch()):
        one, other = (source.batch(0, step) for source in sources)
        assert one.keys() == other.keys()
        assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert sources[0].fingerprint() == sources[1].fingerprint()


def test_a_batch_survives_its_way_through_a_dictionary(panel) -> None:
    windows = encoded(panel).windows(np.array([2, 0]), np.array([-3, 30]), 25, np.array([19, 24]))
    again = encoding.Windows.from_batch(windows.to_batch())
    for name, value in vars(windows).items():
        assert value is None or torch.equal(value, getattr(again, name)), name
    assert windows.known.shape == (2, 2, 5, 7)
    assert windows.known_categories.shape == (2, 2, 5, 1)
    assert windows.categories.shape == (25, 2, 2)
    assert windows.static.shape == (2, 1)
    assert windows.static_categories.shape == (2, 1)
    # What is known for the future stands last in the inputs too, in the same order.
    again = encoded(panel).windows(np.array([2]), np.array([30]), 6, np.array([0]))
    torch.testing.assert_close(again.known[0, 0], again.inputs[1:, 0, -7:])
    assert torch.equal(again.known_categories[0, 0], again.categories[1:, 0, -1:])
    # What lies before a series begins is nothing: zeros, and no category.
    assert (windows.inputs[:3, 0] == 0).all()
    assert (windows.categories[:3, 0] == 0).all()


def test_known_columns_are_those_of_the_rows_ahead(panel) -> None:
    one = encoded(panel)
    windows = one.windows(np.array([1]), np.array([10]), 20, np.array([19]))
    places, codes = one.encoder.covariates.known
    rows = panel.starts[1] + 30 + np.arange(5)
    np.testing.assert_array_equal(windows.known[0, 0, :, 0], one.columns.numeric[rows][:, places[0]])
    np.testing.assert_array_equal(windows.known_categories[0, 0, :, 0], one.columns.codes[rows][:, codes[0]])
    # The last rows have nothing behind them.
    end = one.windows(np.array([1]), np.array([panel.lengths[1] - 20]), 20, np.array([19]))
    assert (end.known[..., 0] == 0).all()


def test_a_fingerprint_tells_data_apart(panel) -> None:
    changed = panel.target.copy()
    changed[5] += 1
    other = panel_from_frame(HISTORY, "error", categorical=("shop",))
    prints = {encoded(panel).fingerprint(), encoded(other).fingerprint()}
    assert len(prints) == 2
    assert encoded(panel).fingerprint() in prints


def test_a_mapped_table_is_looked_at_and_not_copied(tmp_path) -> None:
    """Memory beyond the mapped columns is a few numbers a row while the panel is made, and none after it."""
    series, steps = 2_000, 100
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat([f"{index:05d}" for index in range(series)], steps),
            "ds": np.tile(pd.date_range("2024-01-01", periods=steps).as_unit("ns"), series),
            "y": np.random.default_rng(0).normal(size=series * steps),
            "x": np.random.default_rng(1).normal(size=series * steps),
        }
    )
    import pyarrow as pa

    write_table(pa.Table.from_pandas(frame, preserve_index=False), tmp_path / "many.arrow")
    table = read_table(tmp_path / "many.arrow")
    tracemalloc.start()
    panel = panel_from_frame(table, "error")
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    for name, values in (("y", panel.target), ("x", panel.covariates["x"]), ("ds", panel.stamps)):
        memory = table.column(name).chunk(0).buffers()[1]
        assert values.__array_interface__["data"][0] == memory.address, name
    # Names and starts of the series: less than one number a row.
    assert kept < 8 * series * steps
    plain = Encoder(7, 14, 7, (), CovariateEncoder({"x": (0.0, 0.0, 1.0)}, {}))
    one = plain.encode(panel, fit_scaler(panel, "standard"))
    batch = ChunkSource(one, panel.lengths - 10, None, seed=0).batch(0, 0)
    assert batch["inputs"].dtype == torch.float32
