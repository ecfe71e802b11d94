"""Streams and windows: every token once, in order, side by side; and batches of like length."""

from __future__ import annotations

import numpy as np
import pytest

from gatewise.data.text.streams import PackedStreams, length_batches, padded, window_lengths
from gatewise.errors import ArgumentError, DataError


@pytest.mark.parametrize(("tokens", "streams"), [(2, 1), (11, 2), (103, 4), (50, 49)])
def test_each_stream_goes_on_and_every_target_follows_its_input(tokens, streams) -> None:
    packed = PackedStreams(np.arange(tokens), streams)
    assert (packed.targets == packed.inputs + 1).all()
    assert (np.diff(packed.inputs, axis=0) == 1).all()
    assert sorted(packed.inputs.ravel()) == list(range(packed.steps * streams))
    assert packed.left_over == tokens - 1 - packed.inputs.size < streams


def test_windows_are_read_without_a_gap() -> None:
    packed = PackedStreams(np.arange(1000), 3)
    lengths = window_lengths(packed.steps, 40, variable=True, generator=np.random.default_rng(1))
    starts = np.cumsum(lengths) - lengths
    read = np.concatenate([packed.window(s, n)[0] for s, n in zip(starts, lengths, strict=True)])
    assert (read == packed.inputs).all()


@pytest.mark.parametrize("steps", [1, 4, 7, 70, 71, 500, 46_475])
@pytest.mark.parametrize("window", [1, 9, 35, 70])
@pytest.mark.parametrize("variable", [True, False])
def test_lengths_sum_to_the_steps_and_are_as_many_in_every_epoch(steps, window, variable) -> None:
    counts = set()
    for seed in range(5):
        lengths = window_lengths(steps, window, variable=variable, generator=np.random.default_rng(seed))
        assert lengths.sum() == steps
        assert lengths.min() >= 1
        counts.add(len(lengths))
    assert len(counts) == 1


def test_variable_lengths_are_spread_as_in_the_paper() -> None:
    lengths = window_lengths(500_000, 70, variable=True, generator=np.random.default_rng(0))
    short = lengths < 52
    assert 0.03 < short.mean() < 0.07
    assert abs(lengths[~short].mean() - 70) < 1
    assert 4 < lengths[~short].std() < 6.5
    assert abs(lengths[short].mean() - 35) < 3
    other = window_lengths(500_000, 70, variable=True, generator=np.random.default_rng(1))
    assert (other != lengths).any()


def test_too_little_text() -> None:
    with pytest.raises(DataError, match="too few for 4 streams"):
        PackedStreams(np.arange(4), 4)
    with pytest.raises(ArgumentError, match="streams"):
        PackedStreams(np.arange(4), 0)
    with pytest.raises(ArgumentError, match="row of whole numbers"):
        PackedStreams(np.ones(4), 1)


def test_batches_of_like_length() -> None:
    lengths = np.random.default_rng(0).integers(1, 60, 1003)
    batches = length_batches(lengths, 16, generator=np.random.default_rng(5))
    assert sorted(np.concatenate(batches)) == list(range(1003))
    assert max(map(len, batches)) == 16
    padding = sum(lengths[batch].max() * len(batch) - lengths[batch].sum() for batch in batches)
    assert padding < 0.1 * lengths.sum()
    again = length_batches(lengths, 16, generator=np.random.default_rng(5))
    assert all((one == two).all() for one, two in zip(batches, again, strict=True))
    firsts = [lengths[batch].max() for batch in batches]
    assert firsts != sorted(firsts)
    plain = length_batches(lengths, 16)
    assert sorted(np.concatenate(plain)) == list(range(1003))
    assert (np.diff(lengths[np.concatenate(plain)]) >= 0).all()
    with pytest.raises(ArgumentError, match="batch_size"):
        length_batches(lengths, 0)


def test_padding() -> None:
    tokens, lengths = padded([np.array([4, 5, 6]), np.array([], dtype=np.int64), np.array([7])], pad=9)
    assert tokens.tolist() == [[4, 9, 7], [5, 9, 9], [6, 9, 9]]
    assert lengths.tolist() == [3, 0, 1]
    assert padded([])[0].shape == (0, 0)
