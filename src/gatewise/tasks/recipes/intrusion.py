"""Intrusion detection on connection records."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from gatewise.errors import DataError
from gatewise.tasks.classify import SequenceClassifier
from gatewise.tasks.recipes.detector import RecordDetector

__all__ = ["NSL_KDD_FILES", "intrusion_detector", "load_nsl_kdd"]

NSL_KDD_FILES = {
    "train": "KDDTrain+_20Percent.txt.gz",
    "test": "KDDTest+.txt.gz",
    "test-21": "KDDTest-21.txt.gz",
}
_FIELDS, _DIFFICULTY = "field_names.csv", "difficulty"


def intrusion_detector(
    *,
    rule: str = "false_alarms",
    host_column: str | None = None,
    time_column: str | None = None,
    random_state: Any = None,
    **settings: Any,
) -> RecordDetector:
    """A detector with the settings that fit connection records.

    Without a host column every record stands alone, as in KDD's data, whose records carry counts over the host's last
    connections themselves. Three classifiers are each spared another third of the kinds of attack, so that the
    threshold meets what is new, and a density of the harmless records speaks where one is unlike all of them. Numbers
    are also read as bins. Chosen by cross-validation over the kinds of attack in NSL-KDD's training file.

    Args:
        rule: "false_alarms": 1 % of the harmless records held back lie above the threshold. "balanced": where a false
            alarm and a miss count alike, each kind of attack alike, and none is known beforehand.
        host_column: whose a connection is.
        time_column: when it was made.
        random_state: an integer, or None.
        **settings: of the `SequenceClassifier`, in place of the recipe's.

    Example:
        >>> intrusion_detector(host_column="host").window
        64
    """
    chosen = {"hidden_size": 64, "dropout": 0.3, "max_epochs": 8, "patience": 4} | settings
    if host_column is None:
        # Records that stand alone are short sequences, and many.
        chosen = {"batch_size": 256} | chosen
    return RecordDetector(
        SequenceClassifier(output="step", **chosen),
        entity_column=host_column,
        time_column=time_column,
        window=1 if host_column is None else 64,
        rule=rule,
        false_alarm_rate=0.01,
        held_back="kinds",
        members=3,
        binned=True,
        novelty=True,
        random_state=random_state,
    )


def load_nsl_kdd(folder: str | os.PathLike[str], part: str) -> pa.Table:
    """A part of NSL-KDD (Tavallaee et al. 2009) as a table: 41 columns and `label`, the attack's name or "normal".

    Args:
        folder: where KDDTrain+_20Percent.txt.gz, KDDTest+.txt.gz, KDDTest-21.txt.gz and field_names.csv lie.
        part: "train", "test" or "test-21".

    Raises:
        DataError: a file is not there, or is not what is expected.
    """
    if part not in NSL_KDD_FILES:
        raise DataError(f"part: one of {', '.join(map(repr, NSL_KDD_FILES))} is expected, came {part!r}")
    place = Path(folder)
    for name in (NSL_KDD_FILES[part], _FIELDS):
        if not (place / name).is_file():
            raise DataError(
                f"there is no file {str(place / name)!r}; get NSL-KDD from the Canadian Institute for Cybersecurity "
                "(University of New Brunswick) and put it there"
            )
    fields = [line.split(",") for line in (place / _FIELDS).read_text(encoding="utf-8").split()]
    names = [field[0] for field in fields]
    text = {field[0] for field in fields if field[1] == "symbolic"} | {"label"}
    kinds = {name: pa.string() if name in text else pa.float64() for name in [*names, "label", _DIFFICULTY]}
    content = gzip.decompress((place / NSL_KDD_FILES[part]).read_bytes())
    try:
        table = pyarrow.csv.read_csv(
            io.BytesIO(content),
            read_options=pyarrow.csv.ReadOptions(column_names=list(kinds)),
            convert_options=pyarrow.csv.ConvertOptions(column_types=kinds),
        )
    except pa.ArrowException as error:
        raise DataError(f"{str(place / NSL_KDD_FILES[part])!r} is not NSL-KDD's file: {error}") from error
    return table.drop_columns([_DIFFICULTY])
