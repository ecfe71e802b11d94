"""The sequence classifier: what is a sequence, or each of its steps? By one recurrent network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin

from gatewise.data.frames import ID, TIME, is_frame
from gatewise.data.identity import identity_names
from gatewise.data.sequences import Sequences, sequences_from_arrays, sequences_from_frame
from gatewise.errors import ArgumentError, DataError
from gatewise.nn.arguments import no_type_check
from gatewise.tasks.base import Estimator
from gatewise.tasks.classify.evaluation import ClassEvaluation, judge, positive_class
from gatewise.tasks.classify.fitting import FitResult, Options, TrainingSet, fit_classifier
from gatewise.tasks.classify.labels import encode_labels, find_classes, label_values
from gatewise.tasks.classify.streaming import ClassifierStream
from gatewise.tasks.classify.tables import group_values, join, prediction_table, shaped

__all__ = ["SequenceClassifier"]


class SequenceClassifier(ClassifierMixin, Estimator):
    """Say what a sequence is (output="sequence"), or what each of its steps is (output="step").

    A recurrent network of any cell reads numbers and categories, whatever the sequences' lengths. A part of the
    training sequences is held back to stop early and to calibrate the probabilities (one temperature, Guo et al. 2017).

    Numbers are scaled by what training showed of each channel. Missing values (missing="mask") are carried forward,
    and the network is told which were observed and how long ago; a cell that reads this for itself, such as "gru_d"
    (Che et al. 2018), is fed it as its own inputs. Rows that are not evenly spaced in time add the time since the row
    before. Categories (columns of text) are embedded; one that was not seen in training shares one embedding with the
    rare ones, which a little of the training passes for (unseen="unknown"), or is refused (unseen="error").

    Args:
        cell: name of a registered cell, or a cell of your own (see `gatewise.cells.names()`).
        hidden_size: units of a recurrent layer, at least 1.
        num_layers: recurrent layers, at least 1 (1 for a cell that reads several inputs).
        bidirectional: whether the network also reads from the end.
        architecture: "recurrent"; "cnn", two convolutions over time before the recurrent layer; or "fcn", LSTM-FCN
            (Karim et al. 2019): a convolutional branch beside the recurrent one. Unlike there, the recurrent branch
            reads the sequence step by step (no dimension shuffle), so that lengths may differ.
        filters: of the convolutions, at least 1.
        pooling: what of the steps decides on a sequence: "last", "mean", "max", "attention", or several joined by +,
            such as "last+max".
        summary: whether the head also reads what each channel did over the sequence: first, last, mean, deviation,
            least and largest observed value, and how many.
        output: "sequence" or "step".
        missing: "error" refuses missing values; "mask" takes them as not observed.
        unseen: "unknown" or "error", for categories that training did not show.
        scaling: "standard" (minus mean, by deviation, cut at 10), "instance" (each sequence by its own mean and
            deviation), "none", or "auto": standard, after a logarithm for channels that lean far to the right.
        class_weight: None, "balanced", or a mapping from class to weight: it weighs the loss and the decisions.
            Probabilities stay those of the data as it came.
        members: how many networks are trained side by side and decide together, by the mean of their probabilities.
        input_dropout: probability that an input is left out of a whole sequence in training, 0 to 1 (exclusive).
        dropout: probability in 0 to 1 (exclusive), in training.
        recurrent_dropout: the same for what the recurrent weights multiply (Gal & Ghahramani 2016).
        validation_fraction: which share of the sequences is held back, above 0 and below 1.
        weight_decay: at least 0.
        batch_size: sequences in a training batch; None chooses by their number.
        learning_rate: the schedule's peak, above 0.
        max_epochs: the most passes over the data, at least 1.
        patience: end when the held-back log loss has not improved for so many epochs; None: never.
        max_time: seconds for training, or None.
        id_column, time_column, label_column: names of a table's columns; every other one is a channel or a category.
        random_state: an integer, a numpy RandomState, or None for a new seed each time.
        device: "auto" or a torch device's name.
        precision: "auto", "float32", "bfloat16" or "float16".
        engine: which engine runs the cell; "auto" chooses.
        progress: whether training shows its progress.
        checkpoint_folder: where to keep checkpoints, from which an interrupted `fit` resumes; or None.

    Attributes:
        classes_: the classes, sorted.
        history_: one dict per epoch, with training and validation loss.
        best_epoch_: the epoch whose weights were kept.
        stopped_: why training ended: "finished", "patience", "max_time" or "interrupted".
        fit_seconds_: how long `fit` took.
        validation_: what was held back, in words.
        temperature_: what the logits are divided by.
        aside_: columns of the fitted table that are neither inputs nor the label column.
        fitted_: the fitted model itself.

    Example:
        >>> import numpy as np
        >>> generator = np.random.default_rng(0)
        >>> waves = [np.sin(np.arange(n) * (0.3 + 0.3 * (n % 2))) for n in generator.integers(20, 40, 60)]
        >>> labels = ["fast" if len(wave) % 2 else "slow" for wave in waves]
        >>> model = SequenceClassifier(hidden_size=8, max_epochs=15, random_state=0, progress=False)
        >>> model.fit(waves, labels).predict_proba(waves[:2]).shape
        (2, 2)

    References:
        Hochreiter & Schmidhuber 1997; Che et al. 2018, "Recurrent neural networks for multivariate time series with
        missing values"; Karim et al. 2019, "Multivariate LSTM-FCNs for time series classification".
    """

    @no_type_check
    def __init__(
        self,
        cell: Any = "lstm",
        hidden_size: int = 64,
        num_layers: int = 1,
        bidirectional: bool = False,
        architecture: str = "recurrent",
        filters: int = 64,
        pooling: str = "last",
        summary: bool = False,
        output: str = "sequence",
        missing: str = "error",
        unseen: str = "unknown",
        scaling: str = "auto",
        class_weight: Any = None,
        members: int = 1,
        input_dropout: float = 0.0,
        dropout: float = 0.1,
        recurrent_dropout: float = 0.0,
        validation_fraction: float = 0.15,
        weight_decay: float = 1e-4,
        batch_size: int | None = None,
        learning_rate: float = 3e-3,
        max_epochs: int = 50,
        patience: int | None = 10,
        max_time: float | None = None,
        id_column: str = ID,
        time_column: str = TIME,
        label_column: str = "label",
        random_state: Any = None,
        device: Any = "auto",
        precision: str = "auto",
        engine: str = "auto",
        progress: bool = True,
        checkpoint_folder: Any = None,
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.architecture = architecture
        self.filters = filters
        self.pooling = pooling
        self.summary = summary
        self.output = output
        self.missing = missing
        self.unseen = unseen
        self.scaling = scaling
        self.class_weight = class_weight
        self.members = members
        self.input_dropout = input_dropout
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.validation_fraction = validation_fraction
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.patience = patience
        self.max_time = max_time
        self.id_column = id_column
        self.time_column = time_column
        self.label_column = label_column
        self.random_state = random_state
        self.device = device
        self.precision = precision
        self.engine = engine
        self.progress = progress
        self.checkpoint_folder = checkpoint_folder

    @no_type_check
    def fit(self, X: Any, y: Any = None, *, groups: Any = None, validation: Any = None) -> Self:
        """Fit to sequences and their labels.

        Args:
            X: an array of shape (samples, time) or (samples, time, channels); a list of arrays of shape (time,) or
                (time, channels), of any lengths; a `gatewise.data.Sequences` (arrays with times of their own); or a
                long pandas, polars or pyarrow table with a row per step.
            y: beside arrays, a label for each sequence or, with output="step", an array of labels for each (None or
                NaN where a step has none). Beside a table: the name of its label column (None: `label_column`), or a
                mapping from the sequences' names to labels, or a table of both.
            groups: for each sequence, in their order, what must not be torn apart when a part is held back (the
                patient, the subject, the machine); beside a table also the name of a column of it.
            validation: a pair (X, y) to hold back, in place of a share of the sequences.

        Returns:
            This classifier.

        Raises:
            ArgumentError, ArgumentTypeError: a parameter cannot be used.
            DataError: sequences or labels cannot be used; the message says which.
        """
        options = Options.from_estimator(self._plain(), self._seed())
        apart = (groups,) if isinstance(groups, str) else ()
        sequences = self._sequences(X, apart, y, fitting=True)
        labels = label_values(sequences, y, self.output, X, self.label_column)
        classes = find_classes(labels, self.output)
        codes = encode_labels(labels, classes)
        data = TrainingSet(sequences, codes, classes, group_values(sequences, groups, X, self.id_column))
        if validation is not None:
            data = self._joined(data, validation, apart)
        self._remember(fit_classifier(data, options))
        # Columns that are no inputs may stay in the tables that come later.
        self.aside_ = (*apart, *((y,) if isinstance(y, str) else ()))
        if sequences.form == "matrix":
            self.n_features_in_ = int(sequences.lengths[0])
        elif hasattr(self, "n_features_in_"):
            del self.n_features_in_
        return self

    @no_type_check
    def predict_proba(self, X: Any) -> Any:
        """Calibrated probabilities of the classes.

        Args:
            X: sequences, as in `fit`; a label column is left aside.

        Returns:
            An array of shape (sequences, classes), in the order of the sequences (in a table: as their names first
            come). With output="step": a list of arrays of shape (time, classes), for arrays of one length one array
            of shape (samples, time, classes).
        """
        sequences = self._known(X)
        return shaped(sequences, self.fitted_.probabilities(sequences), self.output)

    @no_type_check
    def predict(self, X: Any) -> Any:
        """The class with the largest probability, times its weight where there is one.

        Returns:
            (sequences,) classes; with output="step" one array of shape (time,) per sequence, for arrays of one length
            an array of shape (samples, time).
        """
        sequences = self._known(X)
        return shaped(sequences, self.fitted_.decide(self.fitted_.probabilities(sequences)), self.output)

    @no_type_check
    def predict_proba_by_step(self, X: Any) -> list[NDArray[np.float64]]:
        """What `predict_proba` would say after each step, from the steps up to it; for models that see only the past.

        Returns:
            For each sequence an array of shape (time, classes): the numbers that `stream` gives row by row.

        Raises:
            ArgumentError: the model looks ahead.
        """
        sequences = self._known(X)
        return sequences.split(self.fitted_.probabilities(sequences, by_step=True))

    @no_type_check
    def predict_table(self, X: Any) -> Any:
        """Predictions for a table as a table of the same kind.

        Args:
            X: a pandas, polars or pyarrow table.

        Returns:
            The sequence's name (with output="step": and the row's number in `X`), `predicted`, and a column such as
            p_walking for each class. Sequences in the order in which they first come; rows of steps in the order
            of `X`.
        """
        if not is_frame(X):
            raise DataError(f"X: a table is expected, came {type(X).__name__}; for arrays see predict_proba")
        sequences = self._known(X)
        return prediction_table(sequences, self.fitted_, self.id_column, self.output)

    @no_type_check
    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Accuracy: the share of labels that are met; see `evaluate` for more.

        Args:
            X, y: as in `fit`.
            sample_weight: a weight for each label, flat, or None.
        """
        sequences, codes = self._labelled(X, y)
        decided = self.fitted_.probabilities(sequences)
        right = encode_labels(self.fitted_.decide(decided), self.classes_) == codes
        weights = np.ones(len(codes)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
        there = codes >= 0
        return float(np.average(right[there], weights=weights[there]))

    @no_type_check
    def evaluate(self, X: Any, y: Any = None, *, groups: Any = None, positive: Any = None) -> ClassEvaluation:
        """Compare with labels that the model was not fitted to, beside the majority class.

        Args:
            X, y: as in `fit`.
            groups: what the independent units are (subjects, days), for standard errors and bootstrap intervals, as in
                `fit`; None: the sequences.
            positive: of two classes the one that average precision is of; None: the rarer one of the training labels.

        Returns:
            Scores, confusion, and a verdict in words; print it for a table.

        Raises:
            DataError: the labels do not match.
            ArgumentError: `positive` is none of two classes.
        """
        apart = (groups,) if isinstance(groups, str) else ()
        sequences, codes = self._labelled(X, y, apart)
        fitted = self.fitted_
        probabilities = fitted.probabilities(sequences)
        units: Any = np.arange(len(sequences))
        if groups is not None:
            own = group_values(sequences, groups, X, self.id_column)
            units = np.unique(identity_names(own), return_inverse=True)[1].reshape(-1)
        if self.output == "step":
            units = np.repeat(units, sequences.lengths)
        there = codes >= 0
        if not there.any():
            raise DataError("y: no label at all; there is nothing to compare with")
        decided = (probabilities * fitted.weights).argmax(axis=1).astype(np.int64)
        classes = tuple(str(one) for one in self.classes_)
        return judge(
            probabilities[there], codes[there], decided[there], units[there].astype(np.int64),
            model=fitted.network.plan.program.name, classes=classes, shares=fitted.shares,
            sequences=len(sequences), positive=positive_class(positive, classes),
        )  # fmt: skip

    def stream(self) -> ClassifierStream:
        """A sequence that arrives row by row: `push(row)` gives the probabilities after each.

        Raises:
            ArgumentError: the model looks ahead (bidirectional, "fcn", scaling="instance").
        """
        self._require_fitted("fitted_")
        return ClassifierStream(self.fitted_, self.missing)

    @classmethod
    def _persistence(cls) -> tuple[Callable[..., None], Callable[..., Any]]:
        from gatewise.tasks.classify.persistence import load_classifier, save_classifier

        return save_classifier, load_classifier

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn's own tools are told of this estimator."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing == "mask"
        return tags

    def _sequences(
        self, X: Any, apart: tuple[str, ...] = (), y: Any = None, *, fitting: bool = False
    ) -> Sequences:
        if self.missing not in ("error", "mask"):
            raise ArgumentError(f'missing: "error" or "mask" is expected, came {self.missing!r}')
        if isinstance(X, Sequences):
            return X
        if not is_frame(X):
            return sequences_from_arrays(X, self.missing)
        named = (y,) if isinstance(y, str) else ()
        known = None
        if not fitting and self.fitted_.form == "table":
            known = (self.fitted_.encoder.channels, self.fitted_.categories)
        return sequences_from_frame(
            X, self.missing, identity=self.id_column, time=self.time_column,
            leave_out=(self.label_column, *apart, *named, *(() if fitting else self.aside_)), columns=known,
        )  # fmt: skip

    def _known(self, X: Any, apart: tuple[str, ...] = (), y: Any = None) -> Sequences:
        """Sequences of the kind that was fitted."""
        self._require_fitted("fitted_")
        if is_frame(X) != (self.fitted_.form == "table"):
            came, fitted = ("a table", "arrays") if is_frame(X) else ("arrays", "a table")
            raise DataError(f"X: the model was fitted to {fitted}, came {came}; pass {fitted}")
        sequences = self._sequences(X, apart, y)
        columns = getattr(self, "n_features_in_", None)
        if columns is not None and sequences.form == "matrix" and sequences.lengths[0] != columns:
            raise DataError(
                f"X has {sequences.lengths[0]} features, but {type(self).__name__} is expecting {columns} features as "
                "input: columns are steps; for sequences of another length pass a list of arrays, or an array of "
                "shape (samples, time, 1)"
            )
        return sequences

    def _labelled(self, X: Any, y: Any, apart: tuple[str, ...] = ()) -> tuple[Sequences, NDArray[np.int64]]:
        sequences = self._known(X, apart, y)
        labels = label_values(sequences, y, self.output, X, self.label_column)
        return sequences, encode_labels(labels, self.classes_)

    def _joined(self, data: TrainingSet, validation: Any, apart: tuple[str, ...]) -> TrainingSet:
        """Training and validation as one, of which the latter part is held back."""
        if not isinstance(validation, tuple | list) or len(validation) != 2:
            raise ArgumentError(
                f"validation: a pair (X, y) is expected, came {type(validation).__name__}; y may be None for a table"
            )
        X, y = validation
        sequences = self._sequences(X, apart, y, fitting=True)
        labels = label_values(sequences, y, self.output, X, self.label_column)
        codes = encode_labels(labels, data.classes, where="validation")
        whole = join(data.sequences, sequences)
        held = np.arange(len(data.sequences), len(whole))
        return TrainingSet(whole, np.concatenate([data.codes, codes]), data.classes, None, held)

    def _remember(self, result: FitResult) -> None:
        self._remember_training(result)
        self.classes_ = result.fitted.classes
        self.temperature_ = result.fitted.temperature
