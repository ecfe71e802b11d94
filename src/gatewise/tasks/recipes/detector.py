"""Alarms on records: each is judged by itself and by what its entity did before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from gatewise.data.frames import column_values, is_frame, open_frame
from gatewise.data.identity import identity_name, identity_names
from gatewise.data.records import Windows, windows_by_entity
from gatewise.errors import ArgumentError, DataError
from gatewise.nn.arguments import no_type_check
from gatewise.tasks.base import Estimator
from gatewise.tasks.classify import SequenceClassifier
from gatewise.tasks.options import check_count
from gatewise.tasks.recipes.evaluation import ALWAYS, NEVER, RecordEvaluation, measure_alarms, verdict_of
from gatewise.tasks.recipes.fitting import RecordOptions, describe, fit_records
from gatewise.tasks.recipes.streaming import RecordStream
from gatewise.tasks.recipes.thresholds import RULES, worth_an_alarm

__all__ = ["RecordDetector"]


class RecordDetector(Estimator):
    """Tell bad records (attacks, fraud) from harmless ones, reading each entity's records in their order.

    A `SequenceClassifier` with one label for each step reads stretches of each entity's history, so that a record is
    judged by itself and by what the same host or card did before it, never by what came later. Columns of numbers and
    of text are inputs; a category that training did not show is taken as a rare one.

    Args:
        classifier: a `SequenceClassifier` with output="step" whose settings are used; None: an LSTM of 64 units.
        entity_column: whose a record is (host, card); None: every record stands alone.
        time_column: when it was made; None: the order of the rows.
        label_column: what it was: `usual`, or any other value, the kind of bad record.
        usual: the label of harmless records.
        ignore_columns: columns that are not read.
        window: records that are read together, at least 1.
        rule: when an alarm is raised: "cost", where it saves more than it costs, record by record; "false_alarms", by
            the threshold that held `false_alarm_rate` on the records held back; "f1", by the one that was best on
            these; "balanced", by the one with the best mean of the harmless ones' share without an alarm and the
            bad ones' recall, each kind counting alike; "half", from a probability of 0.5 on.
        alarm_cost: what looking into an alarm costs, above 0.
        miss_cost: what a missed bad record costs, above 0; or the name of the column with what it costs (the amount).
        false_alarm_rate: above 0 and below 1.
        held_back: what must not be torn apart when records are held back: "entities", or "kinds": then whole kinds of
            bad records are kept from training, so that the threshold meets what is new.
        members: classifiers whose mean logit counts, at least 1. With held_back="kinds" each of several is spared
            another fold of the kinds: together they know all, and each kind is new to one.
        binned: whether the classifiers read the bin of each number besides its value.
        novelty: whether a density of the harmless records (a recurrent network that foretells a record's fields one
            by one) speaks too, where a record is unlike all harmless ones. It judges each record by itself.
        validation_fraction: which share is held back, above 0 and below 1.
        random_state: an integer, a numpy RandomState, or None.

    Attributes:
        scorer_: what is known: the classifiers, and the density.
        classifier_: the first fitted classifier.
        threshold_: the probability above which an alarm is raised; None with rule="cost".
        kinds_: the kinds of bad records that training showed.
        bad_share_: the share of bad records in training.
        stopped_: why training ended.

    Example:
        >>> from gatewise.tasks.recipes import simulate_transactions
        >>> table = simulate_transactions(cards=30, days=20, fraud_per_card=2.0, random_state=0)
        >>> model = SequenceClassifier(output="step", hidden_size=8, max_epochs=2, progress=False)
        >>> detector = RecordDetector(
        ...     model, entity_column="card", time_column="time", miss_cost="amount", random_state=0
        ... )
        >>> detector.fit(table).predict_proba(table).shape == (table.num_rows,)
        True
    """

    _learned = "scorer_"

    @no_type_check
    def __init__(
        self,
        classifier: Any = None,
        entity_column: str | None = None,
        time_column: str | None = None,
        label_column: str = "label",
        usual: Any = "normal",
        ignore_columns: tuple[str, ...] = (),
        window: int = 32,
        rule: str = "cost",
        alarm_cost: float = 1.0,
        miss_cost: Any = 10.0,
        false_alarm_rate: float = 0.01,
        held_back: str = "entities",
        members: int = 1,
        binned: bool = False,
        novelty: bool = False,
        validation_fraction: float = 0.15,
        random_state: Any = None,
    ) -> None:
        self.classifier = classifier
        self.entity_column = entity_column
        self.time_column = time_column
        self.label_column = label_column
        self.usual = usual
        self.ignore_columns = ignore_columns
        self.window = window
        self.rule = rule
        self.alarm_cost = alarm_cost
        self.miss_cost = miss_cost
        self.false_alarm_rate = false_alarm_rate
        self.held_back = held_back
        self.members = members
        self.binned = binned
        self.novelty = novelty
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    @no_type_check
    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit to a table of records with their labels.

        Args:
            X: a pandas, polars or pyarrow table, a row per record.
            y: ignored; the labels are a column.

        Returns:
            This detector.

        Raises:
            ArgumentError: a parameter cannot be used.
            DataError: the table cannot be used, or it holds no bad or no harmless record.
            KeyboardInterrupt: Ctrl-C ended the training of one of several parts; with a `checkpoint_folder` of the
                classifier the same fit goes on from there.
        """
        self._plain()._check_parameters()
        kinds = self._kinds(X)
        if not len(kinds):
            raise DataError("the table is empty: it has columns, but no row")
        bad = kinds != identity_name(self.usual)
        if bad.all() or not bad.any():
            raise DataError(
                f"column {self.label_column!r}: records that are {self.usual!r} and others are expected, came only "
                f"{'others' if bad.all() else repr(self.usual)}"
            )
        windows = self._windows(X, None)
        found = fit_records(windows, kinds, bad, self._plain()._options())
        self.scorer_ = found.scorer
        self.classifier_ = found.scorer.members[0].classifier
        self.columns_ = (windows.sequences.channels, windows.sequences.categories)
        self.kinds_ = found.kinds
        self.bad_share_ = found.bad_share
        self.threshold_ = found.threshold
        # Of several members only the last can have been interrupted; what ended the first says the rest.
        ended = [member.classifier.stopped_ for member in found.scorer.members]
        self.stopped_ = ended[-1] if ended[-1] == "interrupted" else ended[0]
        return self

    @no_type_check
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """The probability of each record to be bad, (records,), in the order of the table.

        Args:
            X: a table as in `fit`; labels are left aside. An entity's history is what the table holds of it.
        """
        self._require_fitted("scorer_")
        windows = self._windows(X, self.columns_)
        return windows.back(self.scorer_.probabilities(windows.sequences))

    @no_type_check
    def predict(self, X: Any) -> NDArray[np.bool_]:
        """Whether each record raises an alarm, (records,)."""
        return self.alarms(X, self.predict_proba(X))

    @no_type_check
    def alarms(self, X: Any, probabilities: Any) -> NDArray[np.bool_]:
        """The same from the probabilities that `predict_proba` gave for the table."""
        self._require_fitted("scorer_")
        return self._alarms(np.asarray(probabilities, dtype=np.float64), self._loss(X))

    def describe(self) -> list[str]:
        """How scores are made, in sentences, for card and report."""
        self._require_fitted("scorer_")
        return describe(self)

    def stream(self) -> RecordStream:
        """Records as they arrive: `push(record, entity=..., time=...)` gives each one's probability, as in batches."""
        self._require_fitted("scorer_")
        return RecordStream(self.scorer_, int(self.window), grouped=self.entity_column is not None)

    @no_type_check
    def evaluate(self, X: Any, *, at: tuple[int, ...] = (100,)) -> RecordEvaluation:
        """Compare with the labels of a table, beside never and always raising an alarm.

        Args:
            X: a table as in `fit`, of other records.
            at: for which k precision among the k highest probabilities is asked.
        """
        probabilities, loss = self.predict_proba(X), self._loss(X)
        kinds = self._kinds(X)
        bad = kinds != identity_name(self.usual)
        alarms = self._alarms(probabilities, loss)
        name = self.classifier_.fitted_.network.plan.program.name
        asked = tuple(min(int(k), len(bad)) for k in at)
        cost = float(self.alarm_cost)
        none = np.zeros(len(bad), dtype=bool)
        scores = {
            name: measure_alarms(probabilities, alarms, bad, loss, cost, asked),
            NEVER: measure_alarms(np.zeros(len(bad)), none, bad, loss, cost, asked),
            ALWAYS: measure_alarms(np.ones(len(bad)), ~none, bad, loss, cost, asked),
        }
        by_kind = {
            kind: {
                "recall": float(alarms[kinds == kind].mean()),
                "count": int((kinds == kind).sum()),
                "known": kind in self.kinds_,
            }
            for kind in sorted(set(kinds[bad].tolist()))
        }
        # The majority class of the training records is one of the two: never, or always, an alarm.
        majority = ALWAYS if self.bad_share_ > 0.5 else NEVER
        verdict, worth = verdict_of(scores, name, majority)
        return RecordEvaluation(
            name, scores, by_kind, len(bad), int(bad.sum()), probabilities, bad, loss, cost, verdict, worth,
            self.threshold_,
        )  # fmt: skip

    @classmethod
    def _persistence(cls) -> tuple[Callable[..., None], Callable[..., Any]]:
        from gatewise.tasks.recipes.persistence import load_detector, save_detector

        return save_detector, load_detector

    def _check_parameters(self) -> None:
        for name, choices in (("rule", RULES), ("held_back", ("entities", "kinds"))):
            if getattr(self, name) not in choices:
                raise ArgumentError(
                    f"{name}: one of {', '.join(map(repr, choices))} is expected, came {getattr(self, name)!r}"
                )
        if not isinstance(self.window, int) or isinstance(self.window, bool) or self.window < 1:
            raise ArgumentError(f"window: an integer of at least 1 is expected, came {self.window!r}")
        check_count("members", self.members)
        for name in ("binned", "novelty"):
            if not isinstance(getattr(self, name), bool | np.bool_):
                raise ArgumentError(f"{name}: True or False is expected, came {getattr(self, name)!r}")
        for name in ("false_alarm_rate", "validation_fraction"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 < value < 1:
                raise ArgumentError(f"{name}: a number above 0 and below 1 is expected, came {value!r}")
        for name in ("alarm_cost", "miss_cost"):
            value = getattr(self, name)
            named = name == "miss_cost" and isinstance(value, str)
            if not named and (not isinstance(value, int | float) or isinstance(value, bool) or not value > 0):
                raise ArgumentError(f"{name}: a number above 0 is expected, came {value!r}")
        if self.classifier is not None and (
            not isinstance(self.classifier, SequenceClassifier) or self.classifier.output != "step"
        ):
            raise ArgumentError(
                'classifier: a SequenceClassifier with output="step" is expected, came '
                f"{type(self.classifier).__name__}"
            )

    def _options(self) -> RecordOptions:
        return RecordOptions(
            classifier=self._model(), seed=self._seed(), grouped=self.entity_column is not None,
            held_back=self.held_back, share=float(self.validation_fraction), members=int(self.members),
            binned=bool(self.binned), novelty=bool(self.novelty), rule=self.rule,
            false_alarm_rate=float(self.false_alarm_rate), label_column=self.label_column,
        )  # fmt: skip

    def _model(self) -> SequenceClassifier:
        return SequenceClassifier(output="step") if self.classifier is None else clone(self.classifier)

    def _windows(self, X: Any, columns: Any) -> Windows:
        return windows_by_entity(
            X, window=int(self.window), entity=self.entity_column, time=self.time_column,
            missing=self._model().missing, leave_out=(self.label_column, *self.ignore_columns), columns=columns,
        )  # fmt: skip

    def _column(self, X: Any, name: str, what: str) -> Any:
        if not is_frame(X):
            raise DataError(f"X: a pandas, polars or pyarrow table is expected, came {type(X).__name__}")
        frame, _ = open_frame(X)
        if name not in frame.columns:
            raise DataError(f"the table has no column {name!r} ({what}); it has {list(frame.columns)}")
        return frame.get_column(name)

    def _kinds(self, X: Any) -> NDArray[Any]:
        values = self._column(X, self.label_column, "label_column").to_list()
        gone = [row for row, one in enumerate(values) if one is None or one != one]
        if gone:
            raise DataError(f"column {self.label_column!r}: row {gone[0]} has no label; remove such rows")
        return identity_names(values)

    def _loss(self, X: Any) -> NDArray[np.float64]:
        """What each record costs if it is bad and missed."""
        if not isinstance(self.miss_cost, str):
            return np.full(len(open_frame(X)[0]), float(self.miss_cost))
        self._column(X, self.miss_cost, "miss_cost")
        values = column_values(open_frame(X)[0], self.miss_cost)
        if (
            values.dtype == object
            or not np.isfinite(values.astype(float)).all()
            or (values.astype(float) < 0).any()
        ):
            raise DataError(
                f"column {self.miss_cost!r}: finite costs of at least 0 are expected, to weigh misses by"
            )
        return values.astype(np.float64)

    def _alarms(self, probabilities: NDArray[np.float64], loss: NDArray[np.float64]) -> NDArray[np.bool_]:
        if self.threshold_ is None:
            return worth_an_alarm(probabilities, loss, float(self.alarm_cost))
        return probabilities > self.threshold_
