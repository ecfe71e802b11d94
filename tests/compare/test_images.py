"""Sequential MNIST on made-up images, and the files' format; on the real files where they are."""

from __future__ import annotations

import gzip
import os
import struct

import numpy as np
import pytest
import torch

from gatewise.compare.problems import SequentialMNIST, images
from gatewise.data import examples
from gatewise.data.images import Images, mnist, read_idx
from gatewise.errors import ArgumentError, DataError


@pytest.fixture
def made_up(monkeypatch) -> Images:
    """Sixty training images, of which twenty are held back, and thirty to test on."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(256, size=(90, 28, 28), dtype=np.uint8)
    labels = generator.integers(10, size=90, dtype=np.uint8)
    made = Images(pixels[:60], labels[:60], pixels[60:], labels[60:])
    monkeypatch.setattr(images, "_loaded", lambda: made)
    monkeypatch.setattr(images, "_HELD", 20)
    return made


def test_rows_pixels_and_their_disorder(made_up) -> None:
    row, pixel, permuted = (
        next(SequentialMNIST(order=order).held_out("test")) for order in ("row", "pixel", "permuted")
    )
    assert torch.equal(row["input"], torch.from_numpy(made_up.test).float() / 255)
    assert torch.equal(pixel["input"].reshape(30, 28, 28), row["input"])
    assert row["target"].tolist() == made_up.test_labels.tolist()
    place = images._permutation()
    assert sorted(place.tolist()) == list(range(784))
    assert torch.equal(permuted["input"], pixel["input"][:, torch.from_numpy(place)])


def test_held_back_images_are_not_learned_from(made_up) -> None:
    problem = SequentialMNIST(order="row")
    held = torch.cat([batch["input"] for batch in problem.held_out("validation")])
    assert torch.equal(held, torch.from_numpy(made_up.train[40:]).float() / 255)
    epoch = torch.cat([problem.train_batch(7, index, 10)["input"] for index in range(4)])
    # One pass: each of the forty once, in another order than the next pass.
    first = sorted(epoch.flatten(1).tolist())
    assert first == sorted((torch.from_numpy(made_up.train[:40]).float() / 255).flatten(1).tolist())
    again = torch.cat([problem.train_batch(7, index, 10)["input"] for index in range(4, 8)])
    assert not torch.equal(epoch, again)
    assert sorted(again.flatten(1).tolist()) == first


def test_a_shift_moves_whole_images(made_up) -> None:
    plain = SequentialMNIST(order="row").train_batch(1, 0, 20)
    moved = SequentialMNIST(order="row", shift=2).train_batch(1, 0, 20)
    seen = set()
    for one, other in zip(plain["input"], moved["input"], strict=True):
        wide = torch.nn.functional.pad(one, (2, 2, 2, 2))
        fits = [
            (y, x) for y in range(5) for x in range(5) if torch.equal(wide[y : y + 28, x : x + 28], other)
        ]
        assert len(fits) == 1
        seen.add(fits[0])
    assert len(seen) > 5
    assert torch.equal(plain["target"], moved["target"])


def test_a_part_of_the_images(made_up) -> None:
    problem = SequentialMNIST(order="row", images=10)
    seen = torch.cat([problem.train_batch(0, index, 5)["input"] for index in range(8)])
    assert len(np.unique(seen.flatten(1).numpy(), axis=0)) == 10


def test_the_majority_class(made_up) -> None:
    most = np.bincount(made_up.train_labels[:40]).argmax()
    assert SequentialMNIST().trivial().value == np.mean(made_up.test_labels == most)


def idx(folder, data: bytes):
    path = folder / "images.gz"
    path.write_bytes(gzip.compress(data))
    return path


def test_the_format(tmp_path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    head = b"\0\0\x08\x03" + struct.pack(">3I", 2, 3, 4)
    assert np.array_equal(read_idx(idx(tmp_path, head + array.tobytes())), array)
    for bad in (
        head + array.tobytes()[:-1],
        head + array.tobytes() + b"x",
        head[:9],
        b"\0\0\x0d" + head[3:],
        b"",
        b"PK12",
    ):
        with pytest.raises(DataError, match="get it anew"):
            read_idx(idx(tmp_path, bad))
    path = tmp_path / "plain.gz"
    path.write_bytes(head)
    with pytest.raises(DataError, match="gzipped"):
        read_idx(path)


def test_missing_files_say_where_to_put_them(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GATEWISE_DATA", str(tmp_path / "mine"))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(DataError, match="train-images-idx3-ubyte.gz") as caught:
        mnist()
    assert str(tmp_path / "mine" / "long-dependency" / "mnist") in str(caught.value)
    with pytest.raises(ArgumentError, match=r"'minst'.*mnist"):
        examples.find_files("minst")


@pytest.mark.skipif(not os.environ.get("GATEWISE_DATA"), reason="GATEWISE_DATA is not set")
def test_the_real_files() -> None:
    try:
        data = mnist()
    except DataError:
        pytest.skip("GATEWISE_DATA does not hold MNIST")
    assert data.train.shape == (60_000, 28, 28)
    assert data.test.shape == (10_000, 28, 28)
    assert data.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(data.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
