"""The detector: which rows of a series are strange, learned from rows that mostly are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import OutlierMixin

from gatewise.data.frames import is_frame
from gatewise.nn.arguments import no_type_check
from gatewise.tasks.anomaly.evaluation import Evaluation, evaluate
from gatewise.tasks.anomaly.fitted import Fitted, Judged
from gatewise.tasks.anomaly.fitting import FitResult, fit_detector
from gatewise.tasks.anomaly.labels import read_labels
from gatewise.tasks.anomaly.options import Options
from gatewise.tasks.anomaly.series import Reading, Series, read_series
from gatewise.tasks.anomaly.streaming import Step, Stream
from gatewise.tasks.base import Estimator

__all__ = ["AnomalyDetector"]


class AnomalyDetector(OutlierMixin, Estimator):  # type: ignore[misc]
    """Find strange rows in series of one or many channels, all at once or as they come.

    A recurrent network learns how the series go on; what it cannot explain is strange. Every score is made of its row
    and the rows before it alone, so that a stream gets the numbers that the whole series would get.

    Signs are scikit-learn's: `score_samples` is the *lower* the stranger a row is, `decision_function` is negative
    for an alarm, `predict` gives -1 for an alarm and 1 otherwise. `anomaly_scores`, tables, plots and alarms show the
    score itself, the higher the stranger.

    Args:
        method: "forecast": the next rows are foretold, and the distance of the error vectors from their Gaussian is the
            score (Malhotra et al. 2015); "reconstruction": the last `lookback` rows are repeated through an encoder's
            last state (Malhotra et al. 2016); "quantile": how far outside the foretold band a value lies.
        cell: name of a registered cell, or a cell of your own (see `gatewise.cells.names()`).
        hidden_size: units of a recurrent layer, at least 1.
        num_layers: recurrent layers, at least 1.
        dropout: probability in 0 to 1 (exclusive), in training.
        horizon: steps ahead that are foretold with method "forecast", at least 1.
        lookback: rows of a training stretch, and of the window of "reconstruction"; a series needs 1.25 times as many.
        quantiles: levels for method "quantile"; the outer two are the band.
        rescale: rows over which level and spread of each channel are followed (exponentially), at least 2, so that slow
            drift is not strange; None keeps those of the training rows.
        tolerance: errors of fewer than about so many spreads of their channel are no sign of anything, above 0, however
            exactly the training rows were foretold; for "forecast" and "reconstruction".
        level: whether the distance of a value from its level, in spreads, is judged with its error, so that what is far
            out counts though it was foretold; for "forecast" and "reconstruction".
        likelihood: (long, short) rows: the score is how unlikely the mean error of the short window is among those of
            the long one (Ahmad et al. 2017); "tail": how unlikely an error is by the tail of the last 10,000; both as
            -log10 of a probability; None: the error itself.
        quiet: a score counts only where it is the highest of so many rows, else it is 0: one alarm per event; 0: off. A
            number between 0 and 1 is a share of the rows of the longest series in `fit`: 0.2 is what KNN-CAD (Burnaev
            & Ishimtsev 2016) rests after an alarm.
        threshold: "spot" or "dspot" (extreme-value theory, learning on as scores come; Siffer et al. 2017), "rate" (the
            quantile of held-out scores), "labels" (best event F1 on y), or a number to be exceeded by alarms.
        false_alarm_rate: share of normal rows that may alarm, above 0 and below 1; for "spot", "dspot" and "rate".
        drift_depth: rows of the moving mean of "dspot".
        missing: "error" refuses missing values, "mask" leaves them out.
        spacing: "even" wants the stamps of a table at one step, in order; "rows" takes each row as the next step.
        batch_size: stretches in a training batch; None chooses.
        learning_rate: the schedule's peak, above 0.
        max_epochs: the most passes over the data, at least 1.
        patience: end when the validation loss has not improved for so many epochs; None: never.
        max_time: seconds for training, or None.
        random_state: an integer, a numpy RandomState, or None for a new seed each time.
        device: "auto" or a torch device's name.
        precision: "auto", "float32", "bfloat16" or "float16", for training.
        engine: which engine runs the cell; "auto" chooses.
        progress: whether training shows its progress.
        checkpoint_folder: where to keep checkpoints, from which an interrupted `fit` resumes; or None.

    Attributes:
        offset_: `decision_function` is `score_samples` less this, for the threshold that a stream starts with.
        history_, best_epoch_, stopped_: of the training.
        fit_seconds_: how long `fit` took.
        validation_: which rows were held back, in words.
        fitted_: the fitted model itself.

    Example:
        >>> import numpy as np
        >>> wave = np.sin(np.arange(600) * 0.3)[:, None]
        >>> detector = AnomalyDetector(hidden_size=8, max_epochs=8, random_state=0, progress=False).fit(wave)
        >>> broken = wave.copy()
        >>> broken[300] += 3
        >>> int(detector.score_samples(broken).argmin())
        300

    References:
        Malhotra et al. 2015, "Long short term memory networks for anomaly detection in time series", ESANN.
        Malhotra et al. 2016, "LSTM-based encoder-decoder for multi-sensor anomaly detection", arXiv:1607.00148.
        Burnaev & Ishimtsev 2016, "Conformalized density- and distance-based anomaly detection in time-series data",
        arXiv:1608.04585.
    """

    @no_type_check
    def __init__(
        self,
        method: str = "forecast",
        cell: Any = "lstm",
        hidden_size: int = 32,
        num_layers: int = 1,
        dropout: float = 0.0,
        horizon: int = 1,
        lookback: int = 64,
        quantiles: Any = (0.05, 0.5, 0.95),
        rescale: float | None = None,
        tolerance: float = 1e-3,
        level: bool = False,
        likelihood: Any = None,
        quiet: float = 0,
        threshold: Any = "spot",
        false_alarm_rate: float = 1e-3,
        drift_depth: int = 100,
        missing: str = "error",
        spacing: str = "even",
        batch_size: int | None = None,
        learning_rate: float = 5e-3,
        max_epochs: int = 30,
        patience: int | None = 8,
        max_time: float | None = None,
        random_state: Any = None,
        device: Any = "auto",
        precision: str = "auto",
        engine: str = "auto",
        progress: bool = True,
        checkpoint_folder: Any = None,
    ) -> None:
        self.method = method
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.dropout = dropout
        self.horizon = horizon
        self.lookback = lookback
        self.quantiles = quantiles
        self.rescale = rescale
        self.tolerance = tolerance
        self.level = level
        self.likelihood = likelihood
        self.quiet = quiet
        self.threshold = threshold
        self.false_alarm_rate = false_alarm_rate
        self.drift_depth = drift_depth
        self.missing = missing
        self.spacing = spacing
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.patience = patience
        self.max_time = max_time
        self.random_state = random_state
        self.device = device
        self.precision = precision
        self.engine = engine
        self.progress = progress
        self.checkpoint_folder = checkpoint_folder

    @no_type_check
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn how series go on, and set the threshold.

        Args:
            X: a pandas, polars or pyarrow table with a column of stamps (ds, timestamp, time, date or datetime), a
                numeric column per channel, and unique_id where it holds several series; or an array of shape
                (time, channels) or (samples, time, channels); or a list of arrays of shape (time, channels). Taken to
                be normal for the most part.
            y: anomalous rows, used with threshold="labels" alone: one mark per row (1: anomalous), or spans
                (first stamp, last stamp) in a list, or in a dict of lists by the series' names.

        Returns:
            This detector.

        Raises:
            ArgumentError, ArgumentTypeError: a parameter cannot be used.
            DataError: the data cannot be used; the message names series and stamp.
        """
        options = Options.from_estimator(self._plain(), self._seed())
        series = read_series(X, Reading(options.missing, options.spacing))
        labels = None if y is None or options.threshold != "labels" else read_labels(y, series)
        self._remember(fit_detector(series, labels, options, from_array=not is_frame(X)))
        self.n_features_in_ = len(series.columns)
        return self

    @no_type_check
    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """Score every row from itself and the rows before it; the lower, the stranger.

        Args:
            X: as in `fit`; each series from its beginning, or from where the detector may take it up without a past.

        Returns:
            (rows,), in the order of the rows; NaN where nothing was observed. The first row, of which nothing
            could be expected, has the score of an average one.
        """
        series = self._series(X)
        return -series.as_given(self.fitted_.score(series).scores)

    @no_type_check
    def anomaly_scores(self, X: Any) -> NDArray[np.float64]:
        """The score itself, the higher the stranger: minus `score_samples`."""
        return -self.score_samples(X)

    @no_type_check
    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """How far each row is from its threshold; negative for an alarm.

        With "spot" and "dspot" the threshold learns on from row to row, and each row is held against its own.
        """
        judged = self._judged(X)
        return judged.scored.series.as_given(judged.thresholds - judged.scored.scores)

    @no_type_check
    def predict(self, X: Any) -> NDArray[np.int64]:
        """-1 for an alarm, 1 otherwise, for every row."""
        judged = self._judged(X)
        return judged.scored.series.as_given(np.where(judged.alarms, -1, 1))

    @no_type_check
    def blame(self, X: Any) -> NDArray[np.float64]:
        """What each channel contributed to the strangeness of each row, of shape (rows, channels).

        For "forecast" and "reconstruction" the contributions sum to the squared Mahalanobis distance; for
        "quantile" each is the channel's own exceedance, 1 at the edge of the band.
        """
        series = self._series(X)
        return series.as_given(self.fitted_.score(series).contributions)

    @no_type_check
    def detect(self, X: Any) -> Any:
        """A table of all rows: names, stamps, score, threshold, alarm, and what each channel contributed.

        Returns:
            A table of the kind that came in; for arrays, a pyarrow table.
        """
        judged = self._judged(X)
        scored = judged.scored
        columns = {"score": scored.scores, "threshold": judged.thresholds, "alarm": judged.alarms}
        columns |= {
            f"blame_{name}": scored.contributions[:, index] for index, name in enumerate(self.fitted_.columns)
        }
        return scored.series.table(columns)

    def stream(self, state: bytes | None = None) -> Stream:
        """A new stream, to be fed row by row; any number of them may run side by side.

        Args:
            state: from `Stream.to_bytes`, to go on from there; None begins afresh.
        """
        self._require_fitted("fitted_")
        return Stream(self.fitted_) if state is None else Stream.from_bytes(self.fitted_, state)

    @no_type_check
    def partial_score(self, x_t: Any) -> float:
        """The score of one more row of this detector's own stream, as `score_samples` has it: the lower, the stranger.

        The stream begins with the first call after `fit`; `reset_stream` begins a new one. `stream` gives streams of
        your own, with thresholds, alarms and blame.

        Args:
            x_t: (channels,), or a number for one channel.
        """
        return -self.partial_step(x_t).score

    @no_type_check
    def partial_step(self, x_t: Any) -> Step:
        """One more row of this detector's own stream: score, threshold, alarm and blame."""
        self._require_fitted("fitted_")
        if self._own_stream is None:
            self._own_stream = Stream(self.fitted_)
        return self._own_stream.step(x_t)

    def reset_stream(self) -> None:
        """Begin a new stream with the next `partial_score`."""
        self._require_fitted("fitted_")
        self._own_stream = None

    @no_type_check
    def evaluate(self, X: Any, labels: Any = None, *, start: Any = None) -> Evaluation:
        """Compare alarms with labelled events, beside a windowed Gaussian and the last value's error.

        All methods see the same rows, set their thresholds by the same rule on the rows before `start`, and are judged
        on the rows from then on.

        Args:
            X: as in `fit`.
            labels: as `y` in `fit`; None: no labels, so only the alarms' share and the errors are told.
            start: the first stamp that is judged; None: all rows are, and the trivial methods set their
                thresholds on the first fifth.

        Returns:
            Metrics for each method, and a verdict in words; print it for a table.
        """
        self._require_fitted("fitted_")
        series = self._series(X)
        marks = None if labels is None else read_labels(labels, series)
        return evaluate(self, series, marks, start)

    @no_type_check
    def plot(self, X: Any, labels: Any = None, *, series: str | None = None) -> Any:
        """Draw one series with its score, threshold, flagged and labelled spans.

        Args:
            X, labels: as in `evaluate`.
            series: its name; None: the first.

        Returns:
            A matplotlib figure.
        """
        from gatewise.errors import ArgumentError
        from gatewise.tasks.anomaly.figures import plot_series

        read = self._series(X)
        if series is not None and series not in read.names:
            raise ArgumentError(
                f"series: {series!r} is not there; the first of {len(read)} is {read.names[0]!r}"
            )
        marks = None if labels is None else read_labels(labels, read)
        return plot_series(self._judge(read), marks, index=0 if series is None else read.names.index(series))

    @classmethod
    def _persistence(cls) -> tuple[Callable[..., None], Callable[..., Any]]:
        from gatewise.tasks.anomaly.persistence import load_detector, save_detector

        return save_detector, load_detector

    @no_type_check
    def _series(self, X: Any) -> Series:
        self._require_fitted("fitted_")
        fitted: Fitted = self.fitted_
        frequency = None if fitted.from_array or not is_frame(X) else fitted.frequency
        return read_series(X, Reading(self.missing, self.spacing, fitted.columns, frequency))

    @no_type_check
    def _judged(self, X: Any) -> Judged:
        return self._judge(self._series(X))

    def _judge(self, series: Series) -> Judged:
        return self.fitted_.judge(self.fitted_.score(series))

    def _remember(self, result: FitResult) -> None:
        self._remember_training(result)
        self.offset_ = -float(result.fitted.threshold.value)
        self._own_stream: Stream | None = None
