"""Which rows are anomalous, as a user says it: a mark per row, or spans of time."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatewise.data.frequency import parse_stamp
from gatewise.errors import ArgumentError, DataError
from gatewise.nn.arguments import no_type_check
from gatewise.tasks.anomaly.series import Series

__all__ = ["read_labels", "spans_of"]

Marks = NDArray[np.bool_]


@no_type_check
def read_labels(labels: Any, series: Series) -> Marks:
    """The anomalous rows.

    Args:
        labels: one mark per row, in the order of the rows as they came in, 1 or True for anomalous; or spans as pairs
            (first stamp, last stamp), both included: a list of them for one series, a dict of such lists by
            name for several.
        series: what they belong to.

    Returns:
        (rows,), in the order of `series`.

    Raises:
        DataError: they do not match the series.
    """
    if isinstance(labels, Mapping):
        return _of_names(labels, series)
    if isinstance(labels, list | tuple) and (not labels or all(_is_pair(one) for one in labels)):
        if len(series) != 1:
            raise DataError(
                f"labels: a list of spans belongs to one series, and there are {len(series)}; give a dict of "
                "such lists, "
                "by the series' names"
            )
        return _of_names({series.names[0]: labels}, series)
    marks = np.asarray(labels)
    if marks.ndim == 2 and 1 in marks.shape:
        marks = marks.reshape(-1)
    if marks.ndim != 1 or len(marks) != series.rows:
        raise DataError(
            f"labels do not match: {series.rows} rows need one mark each, came shape {marks.shape}. Are they "
            "of these rows?"
        )
    if marks.dtype != bool:
        try:
            numbers = marks.astype(np.float64)
        except (TypeError, ValueError):
            raise DataError(f"labels: 0 and 1 (or False and True) are expected, came {marks[0]!r}") from None
        if not np.isin(numbers, (0, 1)).all():
            odd = numbers[~np.isin(numbers, (0, 1))][0]
            raise DataError(
                f"labels: 1 for anomalous and 0 for normal rows are expected, came {odd:g}"
                + ("; turn scikit-learn's -1 and 1 into 1 and 0 by (y == -1)" if odd == -1 else "")
            )
        marks = numbers == 1
    return marks[series.order]


def spans_of(marks: Marks, starts: NDArray[np.int64] | None = None) -> list[tuple[int, int]]:
    """Runs of marked rows as (first, end), end excluded; a run ends where a series does.

    Example:
        >>> spans_of(np.array([False, True, True, False, True]))
        [(1, 3), (4, 5)]
    """
    bounds = np.array([0, len(marks)]) if starts is None else starts
    spans: list[tuple[int, int]] = []
    for begin, end in itertools.pairwise(bounds):
        edges = np.diff(np.concatenate([[0], marks[begin:end].astype(np.int8), [0]]))
        firsts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
        spans += [(int(begin + a), int(begin + b)) for a, b in zip(firsts, ends, strict=True)]
    return spans


@no_type_check
def _is_pair(one: Any) -> bool:
    return isinstance(one, list | tuple) and len(one) == 2


@no_type_check
def _of_names(labels: Any, series: Series) -> Marks:
    marks = np.zeros(series.rows, dtype=bool)
    for name, spans in labels.items():
        if str(name) not in series.names:
            raise DataError(
                f"labels do not match: they name a series {name!r}, which is not among the {len(series)} that "
                "are there "
                f"(the first is {series.names[0]!r})"
            )
        rows = series.of(series.names.index(str(name)))
        stamps = series.stamps[rows]
        for span in spans:
            first, last = (_stamp(one, series) for one in _pair(span, name))
            inside = (stamps >= first) & (stamps <= last)
            if last < first or not inside.any():
                shown = f"{series.show(first)} to {series.show(last)}"
                why = "ends before it begins" if last < first else "holds no row"
                raise DataError(
                    f"labels do not match: the span {shown} of series {name!r} {why}; its rows go from "
                    f"{series.show(stamps.min())} to {series.show(stamps.max())}"
                )
            marks[rows] |= inside
    return marks


@no_type_check
def _pair(span: Any, name: Any) -> tuple[Any, Any]:
    if not _is_pair(span):
        raise DataError(
            f"labels: a span of series {name!r} is expected as (first stamp, last stamp), came {span!r}"
        )
    return span[0], span[1]


@no_type_check
def _stamp(stamp: Any, series: Series) -> int:
    try:
        return parse_stamp(stamp, series.kind, series.zone)
    except ArgumentError as error:
        raise DataError(f"labels: {error}") from error
