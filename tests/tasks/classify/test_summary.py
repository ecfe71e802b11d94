"""A channel's summary, against numpy on each sequence by itself."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import norm, rankdata

from gatewise.data.sequences import sequences_from_arrays
from gatewise.tasks.classify.encoding import fit_encoder
from gatewise.tasks.classify.summary import SummaryLayer, summary_by_step, summary_of
from tests.tasks.classify.waves import small, waves

# The variance is a difference of mean squares of values up to 4: 16 * 6e-8 over a spread of at least 0.1.
CLOSE = 5e-5


def drawn() -> tuple[list[np.ndarray], torch.Tensor, torch.Tensor, torch.Tensor]:
    """Sequences with NaN, the same carried forward and padded with nonsense, which were observed, lengths."""
    generator = np.random.default_rng(0)
    lengths = [1, 5, 9, 4]
    values = torch.full((9, 4, 3), 7.0)
    seen = torch.ones(9, 4, 3)
    pieces = []
    for place, length in enumerate(lengths):
        piece = generator.normal(size=(length, 3))
        piece[generator.random(piece.shape) < 0.4] = np.nan
        piece[:, 2] = np.nan if place == 1 else piece[:, 2]
        pieces.append(piece)
        carried = np.zeros(3)
        for step, row in enumerate(piece):
            carried = np.where(np.isnan(row), carried, row)
            values[step, place] = torch.tensor(carried, dtype=torch.float32)
            seen[step, place] = torch.tensor(~np.isnan(row))
    return pieces, values, seen, torch.tensor(lengths)


def expected(piece: np.ndarray) -> np.ndarray:
    columns = []
    for column in piece.T:
        own = column[~np.isnan(column)]
        columns.append(
            [own[0], own[-1], own.mean(), max(own.std(), 1e-3), own.min(), own.max(), np.log1p(len(own))]
            if len(own)
            else [0.0] * 7
        )
    return np.array(columns).T.ravel()


def test_whole_sequences() -> None:
    pieces, values, seen, lengths = drawn()
    found = summary_of(values, seen, lengths).numpy()
    np.testing.assert_allclose(found, np.stack([expected(piece) for piece in pieces]), atol=CLOSE)


def test_every_prefix() -> None:
    pieces, values, seen, _ = drawn()
    found = summary_by_step(values, seen).numpy()
    for place, piece in enumerate(pieces):
        for step in range(len(piece)):
            np.testing.assert_allclose(found[step, place], expected(piece[: step + 1]), atol=CLOSE)


def test_what_is_held_back_sets_no_scale() -> None:
    """The layer's scales are those of the summaries of the training sequences alone."""
    X, y = waves(24)
    wild = [100.0 + 50 * x for x in X[16:]]
    scales = []
    for other in (X[16:], wild):
        member = (
            small(summary=True).fit(X[:16], y[:16], validation=(other, y[16:])).fitted_.network.members[0]
        )
        scales.append((member.summary.centre, member.summary.spread))
    torch.testing.assert_close(scales[0], scales[1], rtol=0, atol=0)
    assert (scales[0][0] != 0).any()


def test_a_constant_number_is_centred_and_no_more() -> None:
    layer = SummaryLayer(1, 4, dropout=0.0)
    numbers = torch.arange(21.0).reshape(3, 7)
    numbers[:, 2] = 5.0
    layer.standardise(numbers)
    assert layer.spread[2] == 1
    assert layer.centre[2] == 5
    np.testing.assert_allclose(layer.spread[0], numbers[:, 0].numpy().std(), rtol=1e-6)


def test_ranks_are_scipys_normal_scores() -> None:
    """Values of training, without ties, against the ranks that scipy gives them; ties get their middle."""
    generator = np.random.default_rng(0)
    values = np.exp(generator.normal(size=2000)) * 100
    values[::50] = np.nan
    encoder = fit_encoder(
        sequences_from_arrays([values], "mask"), scaling="rank", unseen="unknown", streams=False
    )
    scores = encoder.scale(values[:, None])[:, 0]
    there = ~np.isnan(values)
    assert np.isnan(scores[~there]).all()
    share = (rankdata(values[there]) - 1) / (there.sum() - 1)
    inner = (share > 0.01) & (share < 0.99)
    # Value and rank lie between the same two knots, which are 1 % apart.
    np.testing.assert_allclose(norm.cdf(scores[there][inner]), share[inner], atol=1e-2)
    assert np.abs(encoder.scale(np.array([[-1e9], [1e9]]))).max() < 3
    binary = np.array([0.0] * 75 + [1.0] * 25)
    encoder = fit_encoder(sequences_from_arrays([binary]), scaling="rank", unseen="unknown", streams=False)
    # Three quarters are zeros: their middle is at 3/8 (to the width of a knot), that of the ones at 7/8.
    np.testing.assert_allclose(
        norm.cdf(encoder.scale(np.array([[0.0], [1.0]]))[:, 0]), [0.375, 0.875], atol=0.01
    )
