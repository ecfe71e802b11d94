"""What is inspected, for each kind of model folder: how it runs over a file, and on single sequences of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gatewise.data.identity import identity_names
from gatewise.inspect.inspection import Example

__all__ = ["Subject", "subject_of"]

# Tokens of a text that are read; texts, sentences and sequences that are run alone, and their steps.
_MOST_TOKENS = 200_000
_MOST_ALONE, _MOST_STEPS = 100, 50_000
# Texts that a translator translates for it.
_MOST_TRANSLATED = 32


@dataclass(frozen=True)
class Subject:
    """A model and its data.

    Attributes:
        name: what the model is called.
        data: what it is inspected on, in words.
        model: the estimator.
        run: runs it over all of the data.
        examples: sequences that it is run on alone.
        history: records of its training.
    """

    name: str
    data: str
    model: Any
    run: Callable[[], Any]
    examples: tuple[Example, ...]
    history: Any


def subject_of(kind: str, model: Path, data: str, options: dict[str, Any]) -> Subject:
    """Load a model and read its data.

    Args:
        kind: of the model folder.
        model: the folder.
        data: a file, or an example's name.
        options: of the command.

    Raises:
        DataError: the data cannot be read, or do not fit the model.
        StoreError: the folder cannot be loaded.
    """
    loaded, words, run, examples = _KINDS[kind](model, data, options)
    names = {"record-detector": "a detector of bad records"}
    name = names.get(kind, f"{'an' if kind[0] in 'aeiou' else 'a'} {kind.replace('-', ' ')}")
    return Subject(
        f"{name} ({model.name})", words, loaded, run, tuple(examples), getattr(loaded, "history_", None)
    )


Read = tuple[Any, str, Callable[[], Any], Iterable[Example]]


def _language(model: Path, data: str, options: dict[str, Any]) -> Read:
    from gatewise.data.text import read_text
    from gatewise.tasks import LanguageModel

    loaded, text = LanguageModel.load(model), read_text(data)
    fitted = loaded.fitted_
    ids = fitted.encode(text)[: _MOST_TOKENS + 1]
    # What each step reads: the line end that texts begin after, and all tokens but the last.
    pieces = _pieces(fitted.tokenizer, ids[:-1])
    kept = text if len(ids) <= _MOST_TOKENS else fitted.tokenizer.decode(ids[1:])

    def run() -> Any:
        return loaded.log_probabilities(kept)

    few = pieces[:_MOST_STEPS]
    start = fitted.tokenizer.decode(ids[1 : len(few) + 1])
    example = Example(
        tuple(one.strip(" ") or one for one in few), few, lambda: loaded.log_probabilities(start)
    )
    return loaded, f"{Path(data).name}, {len(pieces):,} tokens", run, [example]


def _pieces(tokenizer: Any, ids: NDArray[np.int64]) -> tuple[str, ...]:
    """Each token as the part of the text that it is."""
    if tokenizer.kind == "word":
        end = getattr(tokenizer, "line_end", None)
        words = tokenizer.vocabulary.decode(ids)
        return tuple("\n" if word == end else f" {word}" for word in words)
    return tuple(tokenizer.decode([one]) for one in ids)


def _text_classes(model: Path, data: str, options: dict[str, Any]) -> Read:
    from gatewise.data.text.labelled import read_labelled
    from gatewise.tasks.text_classification import TextClassifier

    loaded = TextClassifier.load(model)
    texts = read_labelled(data, text=options["text"] or "text", labelled=False).texts
    words = loaded.fitted_.words(texts[:_MOST_ALONE])
    examples = _sentences(words, lambda place: lambda: loaded.predict_proba([texts[place]]))
    return loaded, f"{Path(data).name}, {len(texts):,} texts", lambda: loaded.predict_proba(texts), examples


def _tags(model: Path, data: str, options: dict[str, Any]) -> Read:
    from gatewise.data.text.columns import read_sentences
    from gatewise.tasks.tagging import SequenceTagger

    loaded, columns = SequenceTagger.load(model), (options["word-column"] or 0, -1)
    sentences = read_sentences(data, tagged=False, columns=columns).tokens
    examples = _sentences(sentences[:_MOST_ALONE], lambda place: lambda: loaded.predict([sentences[place]]))
    return (
        loaded,
        f"{Path(data).name}, {len(sentences):,} sentences",
        lambda: loaded.predict(sentences),
        examples,
    )


def _translations(model: Path, data: str, options: dict[str, Any]) -> Read:
    from gatewise.data.text.pairs import SOURCE, read_column
    from gatewise.tasks import load

    loaded = load(model)
    texts = read_column(data, options["source-column"] or SOURCE)
    few = texts[:_MOST_TRANSLATED]
    coder = loaded.fitted_.coder
    read = [coder.pieces(coder.read(one).ids.tolist(), side="source") for one in few]
    said: list[str] = []

    def run() -> Any:
        # Found by the search, then read again as a whole: the decoder is seen on what the model says itself.
        said[:] = [one or "." for one in loaded.predict(few)]
        return loaded.log_probs(few, said)

    examples = _sentences(read, lambda place: lambda: loaded.log_probs([few[place]], [said[place]]))
    return loaded, f"{Path(data).name}, {len(few):,} of {len(texts):,} texts", run, examples


def _sentences(words: Sequence[Sequence[str]], run: Callable[[int], Callable[[], Any]]) -> list[Example]:
    """Examples of texts that are words already, the longest that is easily read first."""
    order = sorted(range(len(words)), key=lambda one: (not 8 <= len(words[one]) <= 60, one))
    found = []
    for place in order:
        own = list(words[place])
        if own:
            pieces = ("\n" + own[0], *(f" {one}" for one in own[1:]))
            found.append(Example(tuple(own), pieces, run(place)))
    return found


def _series(table: pa.Table, identity: str | None) -> list[pa.Table]:
    """The rows of each series, the longest first."""
    if identity is None or identity not in table.column_names:
        return [table]
    names, counts = np.unique(identity_names(table.column(identity).to_pylist()), return_counts=True)
    text = pc.cast(table.column(identity), pa.string())
    order = np.argsort(-counts, kind="stable")
    steps = np.cumsum(counts[order])
    kept = order[: max(1, int((steps <= _MOST_STEPS).sum()))][:_MOST_ALONE]
    return [table.filter(pc.equal(text, str(names[one]))) for one in kept]


def _stamps(table: pa.Table, name: str | None, steps: int | None = None) -> tuple[str, ...]:
    """The stamps of rows as they are shown; of the last `steps` rows."""
    if name is None or name not in table.column_names:
        shown = [str(one) for one in range(table.num_rows)]
    else:
        shown = [
            str(one).removesuffix(" 00:00:00").removesuffix(":00") for one in table.column(name).to_pylist()
        ]
    return tuple(shown if steps is None else shown[-steps:])


def _forecasts(model: Path, data: str, options: dict[str, Any]) -> Read:
    from gatewise.cli.source import Columns, open_source
    from gatewise.data.frames import ID, TIME
    from gatewise.tasks import Forecaster

    loaded = Forecaster.load(model)
    table = open_source(
        data, Columns(options["id"], options["time"], options["target"], options["ignore"])
    ).table
    examples = [
        example
        for own in _series(table, ID)[:_MOST_ALONE]
        if (example := _window(loaded, own, TIME)) is not None
    ]
    return loaded, f"{Path(data).name}, {table.num_rows:,} rows", lambda: loaded.predict(table), examples


def _window(loaded: Any, table: pa.Table, stamp: str) -> Example | None:
    """The last window of one series: its steps are its last rows."""
    from gatewise.inspect import record

    with record(loaded) as recording:
        loaded.predict(table)
    found = [int(one.valid[:, 0].sum()) for one in recording.traces[:1]]
    if not found or found[0] > table.num_rows:
        return None
    return Example(_stamps(table, stamp, found[0]), None, lambda: loaded.predict(table))


def _anomalies(model: Path, data: str, options: dict[str, Any]) -> Read:
    from gatewise.cli.anomaly_source import open_rows
    from gatewise.data.frames import ID
    from gatewise.tasks import AnomalyDetector

    loaded = AnomalyDetector.load(model)
    source = open_rows(
        data, identity=options["id"], time=options["time"], channels=",".join(loaded.fitted_.columns),
        ignore=options["ignore"], labels=None,
    )  # fmt: skip
    table = source.table
    examples = [
        Example(_stamps(own, source.time), None, lambda own=own: loaded.score_samples(own))  # type: ignore[misc]
        for own in _series(table, ID)
    ]
    return (
        loaded,
        f"{Path(data).name}, {table.num_rows:,} rows",
        lambda: loaded.score_samples(table),
        examples,
    )


def _classes(model: Path, data: str, options: dict[str, Any]) -> Read:
    from gatewise.cli.fit_classify import ClassifyColumns, open_known

    loaded, table = open_known(
        model, data, ClassifyColumns(options["id"], options["time"], ignore=options["ignore"])
    )
    examples = [
        Example(_stamps(own, loaded.time_column), None, lambda own=own: loaded.predict_proba(own))  # type: ignore[misc]
        for own in _series(table, loaded.id_column)
    ]
    return (
        loaded,
        f"{Path(data).name}, {table.num_rows:,} rows",
        lambda: loaded.predict_proba(table),
        examples,
    )


def _records(model: Path, data: str, options: dict[str, Any]) -> Read:
    from gatewise.cli.records_commands import open_known

    loaded, table = open_known(model, data)
    examples = []
    # So many records of an entity are read as one sequence; more would be several, that overlap.
    for own in (rows.slice(0, loaded.window) for rows in _series(table, loaded.entity_column)):
        labels = _stamps(own, loaded.time_column)
        examples.append(Example(labels, None, lambda own=own: loaded.predict_proba(own)))  # type: ignore[misc]
    return (
        loaded,
        f"{Path(data).name}, {table.num_rows:,} records",
        lambda: loaded.predict_proba(table),
        examples,
    )


_KINDS: dict[str, Callable[[Path, str, dict[str, Any]], Read]] = {
    "forecaster": _forecasts,
    "anomaly-detector": _anomalies,
    "classifier": _classes,
    "record-detector": _records,
    "language-model": _language,
    "tagger": _tags,
    "text-classifier": _text_classes,
    "translator": _translations,
    "summarizer": _translations,
}
