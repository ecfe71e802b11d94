"""The forecaster: probabilistic forecasts of many series by one recurrent network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gatewise.checks import whole
from gatewise.data import Panel
from gatewise.data.frames import check_zones, is_frame, open_frame
from gatewise.data.frequency import parse_stamp
from gatewise.errors import ArgumentError, ArgumentTypeError, DataError
from gatewise.nn.arguments import no_type_check
from gatewise.tasks.base import Estimator
from gatewise.tasks.forecast import presets
from gatewise.tasks.forecast.cross_validation import Plan, cross_validate
from gatewise.tasks.forecast.edge import behind, forecast_table, open_data
from gatewise.tasks.forecast.evaluation import Evaluation
from gatewise.tasks.forecast.fitted import Fitted
from gatewise.tasks.forecast.fitting import FitResult, Options, fit_forecaster

__all__ = ["Forecaster"]

# An evaluation makes at most about so many forecasts, unless `every` is given.
_MOST_WINDOWS = 20_000


class Forecaster(Estimator):
    """Forecast the next `horizon` values of every series, with quantiles that do not cross.

    One network is fitted to all series of a table: a recurrent encoder of any cell reads the last `lookback` rows
    (the target, covariates, calendar), and a small decoder gives all horizons at once. It is trained on the pinball
    loss in the target's own unit; the last part of each series, in time order, is held back to stop early and to
    calibrate the quantiles (it is never part of what is reported by `evaluate`).

    Args:
        horizon: steps to forecast, at least 1.
        lookback: rows that a forecast sees, at least 1; None: three seasons, at least twice the horizon.
        cell: name of a registered cell, or a cell of your own (see `gatewise.cells.names()`).
        hidden_size: units of a recurrent layer, at least 1.
        num_layers: recurrent layers, at least 1.
        dropout: probability in 0 to 1 (exclusive), in training.
        quantiles: levels between 0 and 1. The point forecast `y_hat` is the median, whether 0.5 is among them or not.
        architecture: "direct" (all horizons at once from the encoder's state), "seq2seq" (a recurrent decoder over the
            horizon), "deepar" (one step after the other, by sampling) or "segrnn" (recurrence over segments, for
            long lookbacks); docs/tasks/forecast.md has their equations.
        loss: "pinball", "relative" (pinball of the logarithms: relative to the value, as sMAPE is; with scaling="log"),
            "owa" (both, as M4's OWA weighs both), "mse", "mae" or "likelihood"; "auto": "likelihood" for deepar,
            "pinball" for the others. Under "mse" the point forecast `y_hat` is a mean, and q0.5 shows the same.
        likelihood: "gaussian", "student_t" or "negative_binomial" (counts), where the loss is one; "auto":
            "negative_binomial" for a target of integers of at least 0 whose mean is below 50, else "student_t".
        revin: whether each window is normalised by its own mean and deviation, and the forecast turned back.
        channels: "independent" forecasts each series by itself; "joint" all of them as channels of one window, which
            needs equal stamps and always the same series.
        segment_length: steps of a segment of segrnn; None: a fifteenth of the lookback, at most the horizon.
        num_samples: paths that the quantiles of deepar are read from, at least 2.
        validation: what is held back at the end of each series to stop early and to calibrate: a share, or a
            number of rows; a horizon at least.
        missing: "error" refuses missing values and rows; "mask" leaves them out of the loss and the metrics.
        season_length: steps of a season, for the seasonal naive method, MASE and the network; None: from the
            frequency (24 for hours, 7 for days, 12 for months). Several, such as (24, 168): the first is meant by all
            of these; the network reads, and starts from, what came one season before for each of them.
        scaling: "standard" (minus mean, by deviation, series by series), "log" (after a logarithm that keeps signs),
            "none", or "auto": "log" for a target that is never negative and leans far to the right.
        batch_size: stretches of a series in a training batch; None chooses by the amount of data.
        learning_rate: the schedule's peak, above 0.
        max_epochs: the most passes over the data, at least 1.
        patience: end when the validation loss has not improved for so many epochs; None: never.
        max_time: seconds for training, or None.
        random_state: an integer, a numpy RandomState, or None for a new seed each time.
        device: "auto" or a torch device's name.
        precision: "auto", "float32", "bfloat16" or "float16".
        engine: which engine runs the cell; "auto" chooses.
        progress: whether training shows its progress.
        checkpoint_folder: where to keep checkpoints, from which an interrupted `fit` resumes; or None.
        freq: the step in time, such as "h", "15min", "D", "MS", or an integer; None: inferred from the stamps.
        future_covariates: columns known for the future (weather forecasts, prices, holidays); `predict` is given their
            values for the horizon. All columns named nowhere are past covariates.
        static_covariates: columns with one value per series.
        categorical: columns whose numbers are names of categories; text always is. Categories are embedded.
        unseen: a category that was not fitted: "error" refuses it, "unknown" takes it as a missing one.
        calibration: "split" calibrates the quantiles on the held-back rows of `fit`; "adaptive" on the latest windows
            before each forecast whose outcome is known, which follows a drift.
        members: networks that are fitted one after the other, from seeds of their own, and forecast together by the
            mean of their quantiles, at least 1; `max_time` is for all of them.
        sampling: "uniform" learns from every stretch of every series alike, "scale" from a series as often as its
            values are large (Salinas et al. 2020, sec. 3.4), for errors that count in the target's unit.

    Attributes:
        history_: one dict per epoch, with training and validation loss (and its member, of several).
        best_epoch_: the epoch whose weights were kept (of the last member).
        stopped_: why training ended: "finished", "patience", "max_time" or "interrupted".
        fit_seconds_: how long `fit` took.
        windows_per_second_: forecasts that the training learned from in a second, validation included in the time.
        lookback_, season_length_, frequency_: what was chosen or found.
        validation_: which part of each series was held back, in words.
        fitted_: the fitted model itself.
        cross_validation_: the `Evaluation` of the last `cross_validation`.

    Example:
        >>> import numpy as np, pandas as pd
        >>> hours = pd.date_range("2024-01-01", periods=400, freq="h")
        >>> table = pd.DataFrame({"unique_id": "a", "ds": hours, "y": np.sin(np.arange(400) * np.pi / 12)})
        >>> model = Forecaster(horizon=6, hidden_size=8, max_epochs=2, random_state=0, progress=False).fit(
        ...     table
        ... )
        >>> model.predict().columns.to_list()
        ['unique_id', 'ds', 'y_hat', 'q0.1', 'q0.5', 'q0.9']

    References:
        Wen et al. 2017, "A multi-horizon quantile recurrent forecaster", arXiv:1711.11053.
    """

    @no_type_check
    def __init__(
        self,
        horizon: int = 24,
        lookback: int | None = None,
        cell: Any = "lstm",
        hidden_size: int = 64,
        num_layers: int = 1,
        dropout: float = 0.1,
        quantiles: Any = (0.1, 0.5, 0.9),
        architecture: str = "direct",
        loss: str = "auto",
        likelihood: str = "auto",
        revin: bool = False,
        channels: str = "independent",
        segment_length: int | None = None,
        num_samples: int = 100,
        validation: float | int = 0.1,
        missing: str = "error",
        season_length: Any = None,
        scaling: str = "auto",
        batch_size: int | None = None,
        learning_rate: float = 3e-3,
        max_epochs: int = 30,
        patience: int | None = 8,
        max_time: float | None = None,
        random_state: Any = None,
        device: Any = "auto",
        precision: str = "auto",
        engine: str = "auto",
        progress: bool = True,
        checkpoint_folder: Any = None,
        freq: Any = None,
        future_covariates: Any = (),
        static_covariates: Any = (),
        categorical: Any = (),
        unseen: str = "error",
        calibration: str = "split",
        members: int = 1,
        sampling: str = "uniform",
    ) -> None:
        self.horizon = horizon
        self.lookback = lookback
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.dropout = dropout
        self.quantiles = quantiles
        self.architecture = architecture
        self.loss = loss
        self.likelihood = likelihood
        self.revin = revin
        self.channels = channels
        self.segment_length = segment_length
        self.num_samples = num_samples
        self.validation = validation
        self.missing = missing
        self.season_length = season_length
        self.scaling = scaling
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
        self.freq = freq
        self.future_covariates = future_covariates
        self.static_covariates = static_covariates
        self.categorical = categorical
        self.unseen = unseen
        self.calibration = calibration
        self.members = members
        self.sampling = sampling

    @classmethod
    def many_series(cls, horizon: int, season_length: Any, **changes: Any) -> Self:
        """The settings for many positive series of different size, found on the hours of M4, but for the changes.

        SegRNN over two of the longest seasons in segments of the shortest; each window in logarithms and by its own
        level; forecasts start from a mixture of the last value and those of each season and of two and three of the
        longest before; M4's two errors as the loss; ten passes; the last horizon of each series is held back.

        Args:
            horizon: steps to forecast, at least 1.
            season_length: steps of a season, or of several from the shortest on: (24, 168) for hours with days and
                weeks, 7 for days, 12 for months. Each series should have at least four of the longest.
            **changes: parameters that are to be others.

        Raises:
            ArgumentError, ArgumentTypeError: season_length is no length, or the lengths do not rise.

        Example:
            >>> Forecaster.many_series(48, (24, 168), cell="lstm").lookback
            336

        References:
            Measured in docs/results/forecast-sets.md; on other sets than M4's they are a place to start.
        """
        return cls(**{**presets.many_series(horizon, season_length), **changes})

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit to all rows of a table.

        Args:
            X: a pandas, polars or pyarrow table with columns unique_id (may be left out for one series), ds, y and
                further columns as past covariates; or an array of shape (samples, time), each row a series.
            y: ignored; here for scikit-learn's sake.

        Returns:
            This forecaster.

        Raises:
            ArgumentError, ArgumentTypeError: a parameter cannot be used.
            DataError: the table cannot be used; the message names series and stamp.
        """
        options = Options.from_estimator(self._plain(), self._seed())
        panel, from_array = self._panel(X, fitting=True)
        self._remember(fit_forecaster(panel, options, from_array=from_array))
        if from_array:
            self.n_features_in_ = int(panel.lengths[0])
        return self

    @no_type_check
    def predict(self, df: Any = None, horizon: int | None = None, future: Any = None) -> Any:
        """Forecast the steps after the last row of each series.

        Args:
            df: the series' history, columns as in `fit`; at least the last `lookback_` rows of it should be there.
                New series are welcome. None: the series that were fitted, after their last row.
            horizon: how many steps, at most the fitted horizon; None: all of it.
            future: a table with unique_id, ds and the `future_covariates` for these steps; needed where the model was
                fitted with such.

        Returns:
            A table of df's kind (without df of future's, else of the fitted table's): unique_id, ds, y_hat, and a
            column such as q0.1 for each level. For an
            array of shape (samples, time), an array of shape (samples, horizon), the point forecasts.
        """
        panel, values = self._forecast(df, horizon, future)
        if panel.frame is None:
            return values[..., self.fitted_.levels.index(0.5)]
        kind = open_frame(future)[1] if df is None and future is not None else panel.frame
        return forecast_table(panel, kind, values, self.fitted_.levels, self._levels())

    def predict_quantiles(
        self, df: Any = None, horizon: int | None = None, future: Any = None
    ) -> NDArray[np.float64]:
        """The quantiles as an array of shape (series, horizon, quantiles); series sorted by name, as in `predict`."""
        _, values = self._forecast(df, horizon, future)
        levels = self.fitted_.levels
        return values[..., [levels.index(level) for level in self._levels()]]

    @no_type_check
    def sample_paths(self, df: Any = None, num_samples: int = 100, future: Any = None) -> NDArray[np.float64]:
        """Draw whole futures of each series: paths whose steps hang together.

        deepar samples step after step. The others draw from a Gaussian copula: each step has the distribution that its
        quantiles say (straight between their normal scores, and on beyond the outermost), and the steps are
        correlated as the held-out windows' were. Series are independent of each other. The same model, series and
        history give the same paths.

        Args:
            df, future: as in `predict`.
            num_samples: paths of each series, at least 1.

        Returns:
            An array of shape (series, num_samples, horizon), in the target's unit; series sorted by name.

        Raises:
            ArgumentError: the model has the median alone, and so no spread to sample from.
        """
        self._require_fitted("fitted_")
        if not isinstance(num_samples, int | np.integer) or isinstance(num_samples, bool):
            raise ArgumentTypeError(f"num_samples: an integer is expected, came {num_samples!r}")
        if num_samples < 1:
            raise ArgumentError(f"num_samples: at least 1 is expected, came {num_samples}")
        panel = self.fitted_.context if df is None else self._panel(df)[0]
        encoder = self.fitted_.encoder
        rows = behind(panel, future, encoder.covariates.roles.future, encoder.horizon, self.missing)
        return self.fitted_.sample(rows, int(num_samples), panel.lengths)

    @no_type_check
    def evaluate(
        self, df: Any, *, start: Any = None, every: int | None = None, linear: bool = True
    ) -> Evaluation:
        """Forecast from many rows of a held-out span and compare with what came, beside simpler methods.

        These are the last value, seasonal naive, Naive2 (M4) and the linear model DLinear (Zeng et al. 2023), which is
        fitted here to the rows before the span. Every forecast sees only rows up to its origin. All methods are
        measured on the same windows and the same observed values; only whole horizons count.

        Args:
            df: history and held-out span together, or an array of shape (samples, time) whose last `horizon` columns
                are held out.
            start: the first stamp of the held-out span. None: the rows after those that were fitted; for series
                that were not fitted, the last fifth of their rows.
            every: rows from one origin to the next, at least 1. None: 1, or more where that would be more than
                20,000 forecasts.
            linear: whether to fit DLinear too; it takes seconds.

        Returns:
            The errors, coverage, and a verdict in words; print it for a table.

        Raises:
            DataError: no row is left to be forecast, or there is no history before it.
        """
        self._require_fitted("fitted_")
        panel, from_array = self._panel(df)
        stamp = None if start is None else parse_stamp(start, panel.kind, panel.zone)
        if from_array and start is None:
            first = panel.lengths - self.fitted_.encoder.horizon
            if first.min() < 1:
                raise DataError(
                    f"df: {panel.lengths[0]} columns are too few for a history and a horizon of "
                    f"{self.fitted_.encoder.horizon}"
                )
        else:
            first = self.fitted_.held_out(panel, stamp)
        if every is None:
            every = max(1, -(-int((panel.lengths - first).sum()) // _MOST_WINDOWS))
        every = whole("every", every)
        return self.fitted_.back_test(
            panel, first, every, self.fitted_.network.plan.program.name, linear=linear
        )

    @no_type_check
    def cross_validation(
        self,
        df: Any,
        n_windows: int = 1,
        step_size: int | None = None,
        refit: bool | int = True,
        *,
        align: str = "time",
        linear: bool = False,
    ) -> Any:
        """Walk forward through a table: fit up to a cutoff, forecast the horizon after it, move the cutoff on.

        This estimator's own fit, if it has one, is neither used nor changed. A fit sees rows up to its cutoff, a
        forecast rows up to its own, and of later rows only the `future_covariates`.

        Args:
            df: a long table, as in `fit`.
            n_windows: cutoffs, at least 1; the last one lies a horizon before the table's end.
            step_size: steps from one cutoff to the next; None: a horizon, so that windows do not overlap.
            refit: True fits at every cutoff, False only at the first, n at every n-th.
            align: "time": one cutoff in time for all series (a series counts where it has a whole horizon after it);
                "end": each series counts from its own last row, as in Nixtla's libraries.
            linear: whether to fit DLinear beside, for `cross_validation_`.

        Returns:
            A table of the kind that came in: unique_id, ds, cutoff, y, y_hat and the quantiles. The errors beside the
            simpler methods' are in `cross_validation_`, an `Evaluation`.

        Raises:
            DataError: a window has too few rows before or after it.
        """
        options = Options.from_estimator(self._plain(), self._seed())
        if not is_frame(df):
            raise ArgumentTypeError(
                f"df: a pandas, polars or pyarrow table is expected, came {type(df).__name__}"
            )
        plan = Plan.checked(options.horizon, n_windows, step_size, refit, align)

        def fit(history: Panel, window: int) -> Fitted:
            return fit_forecaster(history, options.of_window(window), from_array=False).fitted

        found = cross_validate(
            self._panel(df, fitting=True)[0],
            plan,
            fit,
            model=options.program.name,
            shown=self._levels(),
            linear=linear,
        )
        self.cross_validation_ = found.evaluation
        return found.table

    @no_type_check
    def update(self, df: Any) -> Self:
        """Take in rows that came after those that are known, without a refit: `predict()` goes on from them.

        Forecasts are those of `predict` on the whole history.

        Args:
            df: the new rows of some or all fitted series, columns as in `fit`.

        Returns:
            This forecaster.

        Raises:
            DataError: a series was not fitted, a row is not after the last one that is known, or a step has none.
        """
        self._require_fitted("fitted_")
        if self.fitted_.from_array or not is_frame(df):
            raise ArgumentTypeError(
                "df: a table is expected, of series that were fitted from a table (rows of an array have no names); "
                "give whole histories to predict instead"
            )
        later = self._panel(df, observed=False)[0]
        self.fitted_ = self.fitted_.updated(later, self.missing)
        return self

    @no_type_check
    def plot(
        self, df: Any = None, *, series: str | None = None, history: int | None = None, future: Any = None
    ) -> Any:
        """Draw one series' forecast with its quantile band after its last rows.

        Args:
            df, future: as in `predict`.
            series: its name; None: the first.
            history: rows to show before the forecast; None: the lookback.

        Returns:
            A matplotlib figure.
        """
        from gatewise.tasks.forecast.figures import plot_forecast

        panel, values = self._forecast(df, None, future)
        if series is not None and series not in panel.names:
            raise ArgumentError(
                f"series: {series!r} is not in the table; the first of {len(panel)} is {panel.names[0]!r}"
            )
        index = 0 if series is None else panel.names.index(series)
        return plot_forecast(panel, index, values[index], self.fitted_.levels, history or self.lookback_)

    @classmethod
    def _persistence(cls) -> tuple[Callable[..., None], Callable[..., Any]]:
        from gatewise.tasks.forecast.persistence import load_forecaster, save_forecaster

        return save_forecaster, load_forecaster

    def _levels(self) -> tuple[float, ...]:
        return tuple(float(level) for level in self.quantiles)

    def _panel(self, data: Any, *, fitting: bool = False, observed: bool = True) -> tuple[Panel, bool]:
        known = None
        if not fitting and not self.fitted_.from_array:
            known = self.fitted_.frequency
        # To fit, a series needs a horizon to learn from, one to stop by, and something before them.
        least = int(self.horizon) + 2 if fitting else 1
        if known is not None and is_frame(data):
            check_zones(self.fitted_.context.frame, open_frame(data)[1], "df")
        return open_data(self, data, known, least, observed=observed)

    def _remember(self, result: FitResult) -> None:
        self._remember_training(result)
        self.windows_per_second_ = result.windows_per_second
        self.lookback_ = result.fitted.encoder.lookback
        self.season_length_ = result.fitted.encoder.season_length
        self.frequency_ = result.fitted.frequency

    def _forecast(self, df: Any, horizon: Any, future: Any = None) -> tuple[Panel, NDArray[np.float64]]:
        self._require_fitted("fitted_")
        most = self.fitted_.encoder.horizon
        horizon = None if horizon is None else whole("horizon", horizon, 0)
        if horizon is not None and not 1 <= horizon <= most:
            raise ArgumentError(
                f"horizon: 1 to {most} is expected (the model was fitted for {most} steps), came {horizon}; fit with "
                "a longer horizon to forecast further"
            )
        panel = self.fitted_.context if df is None else self._panel(df)[0]
        steps = horizon or most
        names = self.fitted_.encoder.covariates.roles.future
        rows = behind(panel, future, names, steps, self.missing)
        return panel, self.fitted_.forecast(rows, panel.lengths)[:, :steps]
