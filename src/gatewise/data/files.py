"""Reading tables from CSV, Parquet and Arrow files, by Arrow."""

from __future__ import annotations

import io
import re
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from gatewise.errors import DataError

__all__ = ["csv_bytes", "read_table", "write_table"]

# What tables of measurements write where a value is missing.
MISSING_SIGNS = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "-nan", "#N/A")
# Whole numbers that are names, not amounts: 007, and among floats those of more digits than a float64 holds.
_PADDED, _LONG = r"^-?0[0-9]+$", r"^-?[0-9]{17,}$"
_LIKE_A_NAME, _LONGEST, _BLOCK = re.compile(rb'[,\r\n"]-?(?:0[0-9]|[0-9]{17})'), 19, 1 << 24


def read_table(path: str | Path) -> pa.Table:
    """Read a CSV file (also .csv.gz), a Parquet or an Arrow file.

    Args:
        path: a file whose name ends in .csv, .csv.gz, .parquet, .pq, .arrow or .feather.

    Returns:
        The table; in CSV, signs like NA and an empty field are missing values, and a column in which a whole number
        begins with 0 (007) stays text, as does one of numbers longer than a float64 holds: they are names. An
        uncompressed Arrow file is mapped, not read: its columns come into memory page by page when they are looked at,
        and go when memory is short.

    Raises:
        DataError: no such file, an unknown ending, or a content that is not a table.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "small.csv"
        >>> _ = path.write_text("ds,y\\n2024-01-01,1.5\\n2024-01-02,NA\\n")
        >>> read_table(path).num_rows
        2
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(
            f"there is no file {str(path)!r}; give a CSV or Parquet file, or the name of an example"
        )
    try:
        if path.name.lower().endswith((".csv", ".csv.gz")):
            return _read_csv(path)
        if path.name.lower().endswith((".parquet", ".pq")):
            return _unique(pyarrow.parquet.ParquetFile(path).read(), path)
        if path.name.lower().endswith((".arrow", ".feather")):
            return _unique(pa.ipc.open_file(pa.memory_map(str(path))).read_all(), path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{str(path)!r} cannot be read as a table: {error}") from error
    raise DataError(
        f"{str(path)!r} has an ending that is not known; expected .csv, .csv.gz, .parquet, .pq, .arrow or .feather"
    )


def _read_csv(path: Path) -> pa.Table:
    with path.open("rb") as file:
        head = file.read(4)
    if not head:
        raise DataError(f"{str(path)!r} is empty; a line of column names and rows are expected")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{str(path)!r} is UTF-16; save it as UTF-8 (iconv -f UTF-16 -t UTF-8)")
    if head.startswith(b"\x1f\x8b") and not path.name.lower().endswith(".gz"):
        raise DataError(f"{str(path)!r} is compressed by gzip; name it .csv.gz, or unpack it")
    options = pyarrow.csv.ConvertOptions(null_values=list(MISSING_SIGNS), strings_can_be_null=True)
    table = _unique(pyarrow.csv.read_csv(path, convert_options=options), path)
    names = table.column_names
    if len(names) == 1 and any(sign in names[0] for sign in ";\t|"):
        sign = next(sign for sign in ";\t|" if sign in names[0])
        raise DataError(f"{str(path)!r} is separated by {sign!r}, not by commas; save it with commas")
    for field in table.schema:
        if pa.types.is_binary(field.type):
            raise DataError(
                f"{str(path)!r}: column {field.name!r} holds bytes that are not UTF-8; save the file as UTF-8 (from "
                "latin-1: iconv -f LATIN1 -t UTF-8)"
            )
    return _with_names_kept(path, table, options)


def _with_names_kept(path: Path, table: pa.Table, options: pyarrow.csv.ConvertOptions) -> pa.Table:
    """The table with columns as text whose numbers are names: reading 007 as 7 would make two names one."""
    numeric = [f.name for f in table.schema if pa.types.is_integer(f.type) or pa.types.is_floating(f.type)]
    if not numeric or not _may_hold_names(path):
        return table
    options.include_columns, options.column_types = numeric, dict.fromkeys(numeric, pa.string())
    texts = pyarrow.csv.read_csv(path, convert_options=options)
    for name in numeric:
        place = table.schema.get_field_index(name)
        pattern = _PADDED if pa.types.is_integer(table.schema.types[place]) else f"{_PADDED}|{_LONG}"
        if pc.any(pc.match_substring_regex(texts[name], pattern)).as_py():
            table = table.set_column(place, name, texts[name])
    return table


def _may_hold_names(path: Path) -> bool:
    """Whether a CSV file has a field that begins like a padded or a long whole number."""
    with pa.input_stream(str(path)) as stream:
        last = b"\n"
        while block := stream.read(_BLOCK):
            if _LIKE_A_NAME.search(last + block):
                return True
            last = block[-_LONGEST:]
    return False


def _unique(table: pa.Table, path: Path) -> pa.Table:
    """Refuse two columns of one name, of which one would be read and nobody could say which."""
    twice = sorted(name for name, count in Counter(table.column_names).items() if count > 1)
    if twice:
        raise DataError(f"{str(path)!r} has two columns named {twice[0]!r}; rename or remove one")
    return table


def write_table(table: pa.Table, path: str | Path) -> None:
    """Write a table as CSV, Parquet or Arrow, by the file's ending.

    Raises:
        DataError: the ending is none of .csv, .parquet, .pq, .arrow, .feather, or the file cannot be written.
    """
    path = Path(path)
    try:
        if path.name.lower().endswith(".csv"):
            path.write_bytes(csv_bytes(table))
        elif path.name.lower().endswith((".parquet", ".pq")):
            pyarrow.parquet.write_table(table, path)
        elif path.name.lower().endswith((".arrow", ".feather")):
            # One batch: a mapped column is then one stretch of memory, which need not be copied to be looked at.
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
                writer.write_table(table.combine_chunks())
        else:
            raise DataError(
                f"{str(path)!r} has an ending that is not known; expected .csv, .parquet, .pq, .arrow or .feather"
            )
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{str(path)!r} cannot be written: {error}") from error


def csv_bytes(table: pa.Table) -> bytes:
    """A table as CSV text; stamps without a fraction of a second are written without one.

    Example:
        >>> csv_bytes(pa.table({"ds": pa.array([0], pa.timestamp("us")), "y": [1.5]})).decode()
        'ds,y\\n1970-01-01 00:00:00,1.5\\n'
    """
    for index, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type) and field.type.tz is None:
            try:
                table = table.set_column(index, field.name, table.column(index).cast(pa.timestamp("s")))
            except pa.ArrowInvalid:
                continue  # it has fractions: they stay
    buffer = io.BytesIO()
    options = pyarrow.csv.WriteOptions(quoting_header="none")
    pyarrow.csv.write_csv(table, buffer, options)
    return buffer.getvalue()
