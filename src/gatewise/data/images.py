"""MNIST from its four files."""

from __future__ import annotations

import gzip
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gatewise.data import examples
from gatewise.errors import DataError

__all__ = ["Images", "mnist", "read_idx"]

_UNSIGNED_BYTES = 8
_MOST_BYTES = 1 << 28


@dataclass(frozen=True)
class Images:
    """Images in shades of grey and what they show.

    Args:
        train: (images, rows, columns), 0 to 255.
        train_labels: (images,).
        test, test_labels: the same, held out.
    """

    train: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]


def mnist() -> Images:
    """60,000 training and 10,000 test images of handwritten digits, 28 x 28 pixels (LeCun et al. 1998).

    Raises:
        DataError: the files are not on this machine, or not the ones that are expected.
    """
    files = examples.find_files("mnist")
    return Images(
        read_idx(files["train-images-idx3-ubyte.gz"]), read_idx(files["train-labels-idx1-ubyte.gz"]),
        read_idx(files["t10k-images-idx3-ubyte.gz"]), read_idx(files["t10k-labels-idx1-ubyte.gz"]),
    )  # fmt: skip


def read_idx(path: Path) -> NDArray[np.uint8]:
    """An array from a gzipped file in the IDX format (unsigned bytes).

    Args:
        path: the file: two zero bytes, the type 8, the number of dimensions, each one's size (32 bits, big-endian), the
            data.

    Raises:
        DataError: the file is something else, or cut off.
    """
    try:
        with gzip.open(path, "rb") as file:
            data = file.read(_MOST_BYTES)
    except (OSError, EOFError) as error:
        raise DataError(f"{str(path)!r} cannot be read as a gzipped file ({error}); get it anew") from error
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != _UNSIGNED_BYTES or not 1 <= data[3] <= 4:
        raise DataError(f"{str(path)!r} is no IDX file of unsigned bytes; get it anew")
    begin = 4 + 4 * data[3]
    if len(data) < begin:
        raise DataError(f"{str(path)!r} ends within its header; get it anew")
    shape = struct.unpack(f">{data[3]}I", data[4:begin])
    if len(data) - begin != np.prod(shape, dtype=np.int64):
        raise DataError(
            f"{str(path)!r} holds {len(data) - begin:,} bytes of data, its header says {shape}; get it anew"
        )
    return np.frombuffer(data, np.uint8, offset=begin).reshape(shape)
