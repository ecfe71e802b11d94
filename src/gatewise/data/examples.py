"""Public data sets by name, each with its origin, licence and checksum.

A file is looked for in the package, then in the folder that the environment variable GATEWISE_DATA names (its
sub-folders included, by the path given here), then in ~/.cache/gatewise. Nothing is downloaded: where a file is
missing, the error says which file to put where.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from gatewise.data.files import read_table
from gatewise.errors import ArgumentError, DataError

__all__ = ["Example", "FileSet", "find", "find_files", "get", "load", "names"]

BUNDLED = Path(__file__).parent / "bundled"


@dataclass(frozen=True)
class Example:
    """One public data set.

    Args:
        name: what users call it by.
        title: one line on what it holds.
        origin: who made it, and where it was published.
        licence: its licence, and who is to be named.
        sha256: checksum of the file, lower-case hexadecimal.
        files: the paths under which it is looked for, relative to each place.
        prepare: makes the long table (unique_id, ds, y, further columns) from the file's table.
        test_start: the first stamp of the usual held-out span, ISO 8601.
        target: what y is, with its unit.
    """

    name: str
    title: str
    origin: str
    licence: str
    sha256: str
    files: tuple[str, ...]
    prepare: Callable[[pa.Table], pa.Table]
    test_start: str
    target: str


@dataclass(frozen=True)
class FileSet:
    """One public data set that is no table: files that belong together.

    Args:
        title, origin, licence: as an `Example`'s.
        sha256: the files' names, and their checksums.
        folders: the paths under which the files are looked for, relative to each place.
    """

    title: str
    origin: str
    licence: str
    sha256: Mapping[str, str]
    folders: tuple[str, ...]


def names() -> tuple[str, ...]:
    """The names of all examples.

    Example:
        >>> names()
        ('beijing-air',)
    """
    return tuple(sorted(_EXAMPLES))


def get(name: str) -> Example:
    """An example's description.

    Raises:
        ArgumentError: no example has that name.
    """
    if name not in _EXAMPLES:
        raise ArgumentError(f"example: no data set is called {name!r}; known are {', '.join(names())}")
    return _EXAMPLES[name]


def find(name: str) -> Path:
    """The file of an example, its checksum verified.

    Raises:
        ArgumentError: no example has that name.
        DataError: the file is nowhere, or its content is not the one that is expected.
    """
    example = get(name)
    return _found(name, example.files, example.sha256, example.origin)


def find_files(name: str) -> dict[str, Path]:
    """The files of a data set that is no table, by their names, their checksums verified.

    Args:
        name: "mnist".

    Raises:
        ArgumentError: no such data set has that name.
        DataError: a file is nowhere, or its content is not the one that is expected.
    """
    if name not in _FILE_SETS:
        raise ArgumentError(
            f"files: no data set is called {name!r}; known are {', '.join(sorted(_FILE_SETS))}"
        )
    known = _FILE_SETS[name]
    return {
        file: _found(name, [f"{folder}/{file}" for folder in known.folders], digest, known.origin)
        for file, digest in known.sha256.items()
    }


def _found(name: str, files: Iterable[str], digest: str, origin: str) -> Path:
    """The first place that has a file, its content checked."""
    tried = [place / file for place in _places() for file in files]
    path = next((path for path in tried if path.is_file()), None)
    if path is None:
        raise DataError(
            f"the data set {name!r} is not on this machine. Get it from {origin} and put the file at one of: "
            + ", ".join(str(path) for path in tried)
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != digest:
        raise DataError(
            f"{str(path)!r} is not the file that {name!r} stands for: its sha256 is {found}, expected "
            f"{digest}. Replace it by the original, or give your own file by its path."
        )
    return path


def load(name: str) -> pa.Table:
    """An example as a long table: unique_id, ds, y and further columns.

    Example:
        >>> table = load("beijing-air")
        >>> table.num_rows, table.column("y").null_count
        (43824, 2067)
    """
    return get(name).prepare(read_table(find(name)))


def _places() -> list[Path]:
    places = [BUNDLED]
    if os.environ.get("GATEWISE_DATA"):
        places.append(Path(os.environ["GATEWISE_DATA"]).expanduser())
    return [*places, Path.home() / ".cache" / "gatewise"]


def _beijing_air(table: pa.Table) -> pa.Table:
    """One stamp from four columns; shorter names; the row number is left out."""
    text = pc.binary_join_element_wise(
        *(
            pc.utf8_lpad(pc.cast(table.column(part), pa.string()), width, padding="0")
            for part, width in (("year", 4), ("month", 2), ("day", 2), ("hour", 2))
        ),
        "-",
    )
    stamps = pc.cast(pc.strptime(text, format="%Y-%m-%d-%H", unit="s"), pa.timestamp("us"))
    columns = {
        "unique_id": pa.array(["Beijing"] * table.num_rows),
        "ds": stamps,
        "y": pc.cast(table.column("pm2.5"), pa.float64()),
        "dew_point": table.column("DEWP"),
        "temperature": table.column("TEMP"),
        "pressure": table.column("PRES"),
        "wind_direction": table.column("cbwd"),
        "wind_speed_cumulated": table.column("Iws"),
        "snow_hours": table.column("Is"),
        "rain_hours": table.column("Ir"),
    }
    return pa.table(columns)


_EXAMPLES: dict[str, Example] = {
    example.name: example
    for example in (
        Example(
            name="beijing-air",
            title="Hourly PM2.5 and weather in Beijing, 2010 to 2014",
            origin="UCI Machine Learning Repository, Beijing PM2.5 (doi:10.24432/C5JS49); Liang et al. 2015, "
            "Proceedings of the Royal Society A 471, 20150257",
            licence="CC BY 4.0; attribution: Liang, Zou, Guo, Li, Zhang, Zhang, Huang and Chen (2015)",
            sha256="ae74d528f52cd98c8781f76ed94be9cf4a086cb5e3f6f7cffd804c50c8d96627",
            files=("beijing-air.csv.gz", "time-series-forecasting/beijing-pm25/pollution.csv.gz"),
            prepare=_beijing_air,
            test_start="2014-01-01",
            target="PM2.5 at the US embassy in Beijing, µg/m³",
        ),
    )
}

_FILE_SETS: dict[str, FileSet] = {
    "mnist": FileSet(
        title="MNIST: 60,000 and 10,000 images of handwritten digits, 28 x 28 pixels",
        origin="LeCun, Cortes and Burges (the four files in IDX format); LeCun et al. 1998, Proceedings of the IEEE 86",
        licence="LeCun & Cortes; usually stated CC BY-SA 3.0",
        sha256={
            "train-images-idx3-ubyte.gz": "0b367032e93c5d0cea0925647cfdb18614af8ee15f83e6f2fc2ad904a6835971",
            "train-labels-idx1-ubyte.gz": "ec02e7948609e5754d47881c09b8afdd8dfa60600b9e5388c8c54a67069ec772",
            "t10k-images-idx3-ubyte.gz": "167310007f03058885c7e95e6c0b19c20de5c7fd3031f4cbdadc9014a523d80b",
            "t10k-labels-idx1-ubyte.gz": "fc607395669ec21321ea83e4b82c0544b7e8e63ff5b34337c06bc0a17cc0da3c",
        },
        folders=("mnist", "long-dependency/mnist"),
    )
}
