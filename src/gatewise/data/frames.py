"""The edge to dataframes: any of pandas, polars and pyarrow comes in, the same kind goes out (by narwhals)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import date
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gatewise.data.frequency import StampKind
from gatewise.data.identity import category_values, identify
from gatewise.data.zones import object_zone, plain_moment, text_zone, zone_name
from gatewise.errors import ArgumentTypeError, DataError

__all__ = [
    "ID",
    "TARGET",
    "TIME",
    "FrameKind",
    "check_zones",
    "column_values",
    "is_frame",
    "open_frame",
    "series_codes",
    "stamp_values",
]

ID, TIME, TARGET = "unique_id", "ds", "y"
_WHOLE_NUMBERS = (nw.Int8, nw.Int16, nw.Int32, nw.Int64, nw.UInt8, nw.UInt16, nw.UInt32, nw.UInt64)
# Years that nanoseconds since 1970 can hold in an int64.
_FIRST_YEAR, _LAST_YEAR = 1678, 2261
# So many different numbers beside one single text are a column of numbers with a slip.
_NUMBERS_BESIDE = 10


@dataclass(frozen=True)
class FrameKind:
    """What a frame was made with, so that forecasts go back as the same kind.

    Args:
        backend: "pandas", "polars" or "pyarrow".
        time: the dtype of the time column, or None where stamps are made as nanoseconds without a zone.
        identity: the dtype of the identity column, or None for text.
    """

    backend: str
    time: Any = None
    identity: Any = None

    @property
    def zone(self) -> str:
        """The name of the time column's zone, "" where it has none."""
        return (isinstance(self.time, nw.Datetime) and self.time.time_zone) or ""

    def build(
        self,
        ids: list[Any],
        stamps: NDArray[np.int64],
        kind: StampKind,
        values: dict[str, Any],
        further_stamps: dict[str, NDArray[np.int64]] | None = None,
    ) -> Any:
        """Make a native frame of this kind: unique_id, ds, further columns of stamps, and the columns of `values`."""
        times: dict[str, Any] = {TIME: stamps, **(further_stamps or {})}
        if kind == "time":
            times = {name: own.astype("datetime64[ns]") for name, own in times.items()}
        if self.backend == "pyarrow":
            times = {name: pa.array(own) for name, own in times.items()}
        frame = nw.from_dict({ID: ids, **times, **values}, backend=self.backend)
        if self.time is not None:
            restored = [_restored_time(frame, name, self.time).alias(name) for name in times]
            frame = frame.with_columns(*restored)
        if self.identity is not None and not isinstance(self.identity, nw.Categorical | nw.Enum):
            frame = frame.with_columns(nw.col(ID).cast(self.identity))
        return frame.to_native()


def is_frame(data: object) -> bool:
    """Whether `data` is a dataframe that narwhals knows."""
    return nw.dependencies.is_into_dataframe(data) or isinstance(data, nw.DataFrame)


def open_frame(data: object) -> tuple[nw.DataFrame[Any], FrameKind]:
    """Wrap a native frame, and note its kind.

    Raises:
        ArgumentTypeError: it is no dataframe that is known.
        DataError: two columns have one name.
    """
    if not is_frame(data):
        raise ArgumentTypeError(
            "df: expected a pandas, polars or pyarrow table with columns unique_id, ds, y (or a 2-D array of "
            f"shape (samples, time)), got {type(data).__name__}"
        )
    try:
        frame: nw.DataFrame[Any] = nw.from_native(data, eager_only=True)  # type: ignore[call-overload]
        schema = frame.schema
    except nw.exceptions.DuplicateError as error:
        twice = " ".join(str(error).split())
        raise DataError(f"the table has two columns of one name ({twice}); rename or remove one") from error
    time = _time_type(frame.get_column(TIME)) if TIME in frame.columns else None
    return frame, FrameKind(str(frame.implementation), time, schema.get(ID))


def check_zones(ours: FrameKind | None, theirs: FrameKind, what: str) -> None:
    """Refuse stamps of another zone, or with one beside without: hours would lie between them unseen.

    Args:
        ours: the kind of table that was fitted; None for an array.
        theirs: the kind of the table that is read now.
        what: the argument's name, for the error.
    """
    if ours is not None and ours.zone != theirs.zone:
        words = [f"in the zone {kind.zone}" if kind.zone else "without a zone" for kind in (theirs, ours)]
        raise DataError(
            f"{what}: column {TIME!r} holds stamps {words[0]}, but the series' stamps are {words[1]}; give both the "
            "same way (pandas: .dt.tz_localize(zone), .dt.tz_convert(zone), or .dt.tz_localize(None) for the wall "
            "clock alone)"
        )


def series_codes(frame: nw.DataFrame[Any]) -> tuple[list[str], NDArray[np.int64], list[Any]]:
    """The series' names (`identity_name`), sorted, each row's among them, and the names as they are in the frame.

    A hundred thousand series are a hundred thousand Python objects here, however many rows they have.

    Raises:
        DataError: a row has no name.
    """
    if ID not in frame.columns:
        return ["series"], np.zeros(len(frame), dtype=np.int64), ["series"]
    found = identify(frame.get_column(ID))
    if (found.codes < 0).any():
        row = int(np.flatnonzero(found.codes < 0)[0])
        raise DataError(f"column {ID!r}: row {row} has no name of a series; fill it in or remove the row")
    names, first, place = np.unique(np.array(found.names, dtype=str), return_index=True, return_inverse=True)
    return [str(name) for name in names], place[found.codes], [found.originals[index] for index in first]


def stamp_values(frame: nw.DataFrame[Any]) -> tuple[NDArray[np.int64], StampKind]:
    """The time column as int64: nanoseconds since 1970 (UTC where it has a zone), or the integers themselves.

    Raises:
        DataError: a stamp is missing, cannot be parsed, is out of range, or the column has another type.
    """
    column = frame.get_column(TIME)
    if column.null_count() > 0:
        row = int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise DataError(f"column {TIME!r}: row {row} has no stamp; remove such rows or fill them in")
    dtype = column.dtype
    if isinstance(dtype, _WHOLE_NUMBERS):
        return column.cast(nw.Int64).to_numpy().astype(np.int64), "integer"
    if isinstance(dtype, nw.Object | nw.String):
        column = _parsed(column)
    elif (zoned := _pandas_zoned(column)) is not None:
        column = nw.from_native(zoned.dt.tz_convert("UTC").dt.tz_localize(None), series_only=True)
    elif isinstance(dtype, nw.Datetime) and dtype.time_zone is not None:
        column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    elif isinstance(dtype, nw.Date):
        column = column.cast(nw.Datetime("us"))
    elif not isinstance(dtype, nw.Datetime):
        raise DataError(
            f"column {TIME!r} holds {dtype}; expected dates, date-times, text of the form 2024-01-31 13:00, or integers"
        )
    moments = _viewed(column, pa.int64())
    if moments is None:
        moments = np.asarray(column.to_numpy())
    ends = np.array([column.min(), column.max()], dtype="datetime64[us]") if len(column) else np.array([])
    years = ends.astype("datetime64[Y]").astype(np.int64) + 1970
    if len(years) and (years.min() < _FIRST_YEAR or years.max() > _LAST_YEAR):
        raise DataError(
            f"column {TIME!r}: years must lie in {_FIRST_YEAR} to {_LAST_YEAR}, got {years.min()} to {years.max()}"
        )
    if moments.dtype != np.int64:
        moments = moments.astype("datetime64[ns]").astype(np.int64)
    return moments, "time"


def column_values(frame: nw.DataFrame[Any], name: str) -> NDArray[np.float64] | NDArray[np.object_]:
    """A column as float64 with NaN for missing, or as text (None for missing) where it is a category.

    Raises:
        DataError: the column is neither numeric nor boolean nor text, or is text because of one single cell among
            numbers.
    """
    column = frame.get_column(name)
    dtype = column.dtype
    viewed = _viewed(column, pa.float64())
    if viewed is not None:
        return viewed
    if dtype.is_numeric() or isinstance(dtype, nw.Boolean):
        return np.asarray(column.cast(nw.Float64).to_numpy(), dtype=np.float64)
    if isinstance(dtype, nw.String):
        _check_stray(column)
    if isinstance(dtype, nw.String | nw.Categorical | nw.Enum):
        return category_values(frame, name)
    if isinstance(dtype, nw.Object):
        values = column.to_list()
        missing = [value is None or value != value for value in values]
        texts = [isinstance(value, str) for value in values]
        if all(text or gone for text, gone in zip(texts, missing, strict=True)):
            return np.array(
                [value if text else None for value, text in zip(values, texts, strict=True)], dtype=object
            )
        if any(texts):
            row = texts.index(True)
            raise DataError(
                f"column {name!r} mixes numbers and text (row {row} holds {values[row]!r}); make it numeric, or text "
                "throughout"
            )
    if isinstance(dtype, nw.Unknown) or (len(column) and column.null_count() == len(column)):
        return np.full(len(column), np.nan)
    raise DataError(
        f"column {name!r} holds {dtype}; expected numbers, true/false or text (a category). Convert or drop it."
    )


def _check_stray(column: nw.Series[Any]) -> None:
    """Refuse a column of numbers that one single text made a column of text: a slip, not a category."""
    found = identify(column)
    texts = np.array([not _is_amount(name) for name in found.names], dtype=bool)
    rows = np.flatnonzero((found.codes >= 0) & np.append(texts, False)[found.codes])
    if len(rows) == 1 and (~texts).sum() >= _NUMBERS_BESIDE:
        stray = found.names[found.codes[rows[0]]]
        raise DataError(
            f"column {column.name!r} holds numbers, but row {rows[0]} (counted from 0) holds {stray!r}; mend it, or "
            "leave it empty where the value is missing"
        )


def _is_amount(text: str) -> bool:
    """Whether it reads as a number and is none of the names like 007."""
    try:
        float(text)
    except ValueError:
        return False
    return not (text.isdigit() and text.startswith("0") and len(text) > 1)


def _viewed(column: nw.Series[Any], wanted: pa.DataType) -> NDArray[Any] | None:
    """An Arrow column's own memory, where it is one stretch of what is wanted and misses nothing; otherwise None."""
    if not column.implementation.is_pyarrow():
        return None
    whole = column.to_native()
    as_wanted = whole.type == wanted or (pa.types.is_int64(wanted) and whole.type == pa.timestamp("ns"))
    if not as_wanted or whole.null_count or whole.num_chunks != 1:
        return None
    viewed: NDArray[Any] = whole.chunk(0).view(wanted).to_numpy(zero_copy_only=True)
    return viewed


def _time_type(column: nw.Series[Any]) -> Any:
    """The dtype that stamps go back as; None for text (and Python's dates) without a zone."""
    dtype = column.dtype
    zoned = _pandas_zoned(column)
    if zoned is not None:
        return nw.Datetime(getattr(zoned.dtype, "unit", "us"), zone_name(zoned.dt.tz))
    if isinstance(dtype, nw.String | nw.Object):
        zone = _written_zone(column.to_list())
        return nw.Datetime("us", zone) if zone else None
    if isinstance(dtype, nw.Datetime) and dtype.time_zone is not None:
        return nw.Datetime(dtype.time_unit, zone_name(dtype.time_zone))
    return dtype


def _pandas_zoned(column: nw.Series[Any]) -> Any:
    """The pandas column itself, where it has a zone: narwhals knows only names of letters; otherwise None."""
    if not column.implementation.is_pandas():
        return None
    native = column.to_native()
    return native if getattr(getattr(native, "dt", None), "tz", None) is not None else None


def _written_zone(values: list[Any]) -> str:
    present = [value for value in values if value is not None and value == value]
    if all(isinstance(value, str) for value in present):
        return text_zone(present, TIME)
    return object_zone(present, TIME)


def _parsed(column: nw.Series[Any]) -> nw.Series[Any]:
    """Text, or Python's dates and date-times in a column of objects, as date-times (UTC where they have a zone)."""
    values = column.to_list()
    if not all(isinstance(value, str | date) for value in values):
        bad = next(value for value in values if not isinstance(value, str | date))
        raise DataError(
            f"column {TIME!r} holds {bad!r} ({type(bad).__name__}); expected dates, date-times, text of the form "
            "2024-01-31 13:00, or integers"
        )
    _written_zone(values)
    try:
        with (
            warnings.catch_warnings()
        ):  # numpy reads offsets as wanted, and says each time that UTC comes out
            warnings.simplefilter("ignore")
            moments = np.array([plain_moment(value) for value in values], dtype="datetime64[us]")
    except ValueError:
        bad = next(text for text in values if not _is_moment(text))
        raise DataError(
            f"column {TIME!r}: {bad!r} is no stamp; expected text of the form 2024-01-31 or 2024-01-31 13:00"
        ) from None
    return nw.new_series(TIME, moments.tolist(), nw.Datetime("us"), backend=column.implementation)


def _is_moment(text: str) -> bool:
    try:
        np.datetime64(text, "us")
    except ValueError:
        return False
    return True


def _restored_time(frame: nw.DataFrame[Any], name: str, dtype: Any) -> nw.Series[Any]:
    column = frame.get_column(name)
    if isinstance(dtype, nw.Datetime) and dtype.time_zone is not None:
        if column.implementation.is_pandas():  # narwhals knows only names of letters there
            native = column.to_native().dt.tz_localize("UTC").dt.tz_convert(dtype.time_zone)
            return nw.from_native(native.dt.as_unit(dtype.time_unit), series_only=True)
        column = column.dt.replace_time_zone("UTC").dt.convert_time_zone(dtype.time_zone)
    return column.cast(dtype)
