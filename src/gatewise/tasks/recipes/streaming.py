"""Records as they arrive: each entity has a stream of its own, cut as its history would be."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gatewise.errors import DataError
from gatewise.nn.arguments import no_type_check
from gatewise.tasks.classify.streaming import ClassifierStream
from gatewise.tasks.recipes.scoring import Member, Scorer, binned_record, logits_of

__all__ = ["RecordStream"]

Past = tuple[Mapping[str, Any], float | None]


@dataclass
class _Entity:
    """One entity's streams, one for each member, and the records that the next stretch begins with."""

    streams: list[ClassifierStream]
    past: deque[Past] = field(default_factory=deque)


class RecordStream:
    """Probabilities of records as they arrive. `RecordDetector.stream()` makes it.

    An entity that is new starts a history. Memory grows with the entities, half a window of records each; `forget`
    drops one.

    Args:
        scorer: what the detector knows.
        window: records that are read together.
        grouped: whether records belong to entities; otherwise each stands alone.
    """

    def __init__(self, scorer: Scorer, window: int, *, grouped: bool) -> None:
        self._scorer, self._window, self._grouped = scorer, window, grouped
        self._entities: dict[Any, _Entity] = {}

    def __len__(self) -> int:
        """Number of entities that have a history."""
        return len(self._entities)

    @no_type_check
    def push(self, record: Mapping[str, Any], *, entity: Any = None, time: float | None = None) -> float:
        """Take a record and say how probably it is a bad one: the number of `predict_proba` for the history so far.

        Args:
            record: column -> value, for every column that was fitted.
            entity: whose it is; None where records stand alone.
            time: when it was made, in the unit of the fitted times (seconds for dates), never earlier than the
                entity's record before; None where the detector was fitted without times.

        Raises:
            DataError: the record does not fit, or says not whose it is.
        """
        if not self._grouped:
            return self._said(self._streams(), record, time)
        if entity is None:
            raise DataError("entity: the detector was fitted to records by entity; say whose this one is")
        own = self._entities.get(entity)
        fresh = own is None
        if own is None:
            own = _Entity(self._streams(), deque(maxlen=self._window // 2))
        if own.streams[0].steps == self._window:
            for member, stream in zip(self._scorer.members, own.streams, strict=True):
                stream.reset()
                for earlier, moment in own.past:
                    stream.push(binned_record(earlier, member.bins), moment)
        probability = self._said(own.streams, record, time)
        own.past.append((dict(record), time))
        if fresh:
            self._entities[entity] = own
        return probability

    def _streams(self) -> list[ClassifierStream]:
        return [member.classifier.stream() for member in self._scorer.members]

    def _said(self, streams: list[ClassifierStream], record: Mapping[str, Any], time: float | None) -> float:
        """The probability of a record, after each member's stream has taken it."""
        scorer = self._scorer
        found = [
            _pushed(member, stream, record, time)
            for member, stream in zip(scorer.members, streams, strict=True)
        ]
        if len(found) == 1 and scorer.novelty is None:
            return found[0]
        logits = np.array([logits_of(np.array(found)).mean()])
        novelty = None if scorer.novelty is None else np.array([scorer.novelty.score(record)])
        return float(scorer.mixed(logits, novelty)[0])

    def forget(self, entity: Any) -> None:
        """Drop an entity's history; one that has none is no error."""
        self._entities.pop(entity, None)


def _pushed(member: Member, stream: ClassifierStream, record: Mapping[str, Any], time: float | None) -> float:
    names = None if member.bins is None else member.bins.channels
    for name in names or ():
        value = record.get(name)
        if name not in record or not (value is None or isinstance(value, int | float | np.number)):
            # The classifier's stream says what is wrong with a record, in its columns' own names.
            read = member.classifier.fitted_.encoder
            own = [*read.channels, *(one for one in read.categories if not one.endswith(" (bin)"))]
            raise DataError(
                f"record: a number (or None) for {name!r} is expected, and all of the columns {own}"
            )
    return float(stream.push(binned_record(record, member.bins), time)[1])
