"""Records as they arrive: each entity has a stream of its own, cut as its history would be."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gatewise.errors import DataError
from gatewise.nn.arguments import no_type_check
from gatewise.tasks.classify import SequenceClassifier
from gatewise.tasks.classify.streaming import ClassifierStream

__all__ = ["RecordStream"]

Past = tuple[Mapping[str, Any], float | None]


@dataclass
class _Entity:
    """One entity's stream, and the records that the next stretch begins with."""

    stream: ClassifierStream
    past: deque[Past] = field(default_factory=deque)


class RecordStream:
    """Probabilities of records as they arrive. `RecordDetector.stream()` makes it.

    An entity that is new starts a history. Memory grows with the entities, half a window of records each; `forget`
    drops one.

    Args:
        classifier: fitted.
        window: records that are read together.
        grouped: whether records belong to entities; otherwise each stands alone.
    """

    def __init__(self, classifier: SequenceClassifier, window: int, *, grouped: bool) -> None:
        self._classifier, self._window, self._grouped = classifier, window, grouped
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
            return float(self._classifier.stream().push(record, time)[1])
        if entity is None:
            raise DataError("entity: the detector was fitted to records by entity; say whose this one is")
        own = self._entities.get(entity)
        fresh = own is None
        if own is None:
            own = _Entity(self._classifier.stream(), deque(maxlen=self._window // 2))
        if own.stream.steps == self._window:
            own.stream.reset()
            for earlier, moment in own.past:
                own.stream.push(earlier, moment)
        probability = float(own.stream.push(record, time)[1])
        own.past.append((dict(record), time))
        if fresh:
            self._entities[entity] = own
        return probability

    def forget(self, entity: Any) -> None:
        """Drop an entity's history; one that has none is no error."""
        self._entities.pop(entity, None)
