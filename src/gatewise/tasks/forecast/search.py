"""Search for a forecaster's parameters with Optuna, inside the training rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from gatewise.errors import ArgumentError, DataError, GatewiseError
from gatewise.nn.arguments import no_type_check
from gatewise.tasks.forecast.evaluation import BackTest

if TYPE_CHECKING:
    import optuna

    from gatewise.tasks.forecast.forecaster import Forecaster

__all__ = ["DEFAULT_SPACE", "SearchResult", "scaled_pinball", "search_parameters"]

# A list is a choice; a pair is a range, of whole numbers or of numbers as its ends are; "log" makes it logarithmic.
DEFAULT_SPACE: Mapping[str, Any] = {
    "hidden_size": (16, 128, "log"),
    "num_layers": (1, 2),
    "dropout": (0.0, 0.4),
    "learning_rate": (5e-4, 1e-2, "log"),
    "scaling": ["standard", "log"],
}
_STUDY = "forecaster"


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Args:
        parameters: of the best trial; `forecaster.set_params(**parameters)` takes them.
        score: its score, lower is better: the pinball loss of all quantiles by the MASE scale of the series.
        default_score: the score of the forecaster as it came, or None if that trial failed.
        trials: one dict per trial: its parameters, score (None where it failed) and seconds.
    """

    parameters: dict[str, Any]
    score: float
    default_score: float | None
    trials: list[dict[str, Any]]


@no_type_check
def search_parameters(
    forecaster: Forecaster,
    df: Any,
    *,
    space: Mapping[str, Any] | None = None,
    n_trials: int = 20,
    n_windows: int = 1,
    step_size: int | None = None,
    timeout: float | None = None,
    seed: int = 0,
    storage: str | Path | None = None,
) -> SearchResult:
    """Try parameters by cross-validation on the last rows of a table; the first trial is the forecaster as it came.

    Give it the rows that may be learned from and no others: nothing else is read, so nothing held out is touched.

    Args:
        forecaster: whose parameters are searched; it is not changed.
        df: the training rows, a long table.
        space: parameter -> a list of choices, or (low, high) or (low, high, "log"); None: `DEFAULT_SPACE`.
        n_trials: trials in all, at least 1, those found in `storage` included.
        n_windows, step_size: of the cross-validation that scores a trial.
        timeout: seconds after which no further trial begins, or None.
        seed: of the sampler (a tree-structured Parzen estimator, Bergstra et al. 2011).
        storage: a file in which trials are kept, so that an interrupted search goes on; None: in memory.

    Returns:
        The best trial's parameters and score, beside the default's.

    Raises:
        ArgumentError: a range is none, a parameter is unknown, or Optuna is not installed.
        DataError: every trial failed.
    """
    optuna = _optuna()
    space = DEFAULT_SPACE if space is None else space
    _check_space(forecaster, space)
    if not isinstance(n_trials, int) or isinstance(n_trials, bool) or n_trials < 1:
        raise ArgumentError(f"n_trials: an integer of at least 1 is expected, came {n_trials!r}")
    study = optuna.create_study(
        study_name=_STUDY,
        storage=None if storage is None else f"sqlite:///{Path(storage)}",
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=seed),
    )

    def score(trial: optuna.Trial) -> float:
        # The first trial changes nothing: what is found is never worse than the default on these windows.
        chosen = {} if trial.number == 0 else {name: _draw(trial, name, how) for name, how in space.items()}
        trial.set_user_attr("parameters", chosen)
        candidate = clone(forecaster).set_params(progress=False, checkpoint_folder=None, **chosen)
        candidate.cross_validation(df, n_windows=n_windows, step_size=step_size)
        return scaled_pinball(candidate.cross_validation_.back_test)

    left = n_trials - len([trial for trial in study.trials if trial.state.is_finished()])
    if left > 0:
        study.optimize(score, n_trials=left, timeout=timeout, catch=(GatewiseError,))
    return _result(study)


def scaled_pinball(test: BackTest) -> float:
    """Mean pinball loss over levels and observed values, each series in units of its MASE scale."""
    level = np.array(test.levels)
    error = test.actual[..., None] - test.quantiles
    loss = np.maximum(level * error, (level - 1) * error).mean(axis=-1) / test.scale[:, None]
    return float(loss[test.counts].mean())


def _result(study: optuna.Study) -> SearchResult:
    trials = [
        {
            "parameters": trial.user_attrs.get("parameters", {}),
            "score": trial.value,
            "seconds": None if trial.duration is None else trial.duration.total_seconds(),
        }
        for trial in study.trials
        if trial.state.is_finished()
    ]
    scored = [trial for trial in trials if trial["score"] is not None and np.isfinite(trial["score"])]
    if not scored:
        raise DataError(
            "the search found nothing: no trial could be fitted to these rows. Call cross_validation with the same "
            "windows to see why."
        )
    best = min(scored, key=lambda trial: trial["score"])
    return SearchResult(best["parameters"], best["score"], trials[0]["score"], trials)


def _draw(trial: optuna.Trial, name: str, how: Any) -> Any:
    if isinstance(how, list):
        return trial.suggest_categorical(name, how)
    low, high, *scale = how
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(name, low, high, log=bool(scale))
    return trial.suggest_float(name, low, high, log=bool(scale))


def _check_space(forecaster: Forecaster, space: Mapping[str, Any]) -> None:
    for name, how in space.items():
        if name not in forecaster.get_params():
            raise ArgumentError(
                f"space: {name!r} is no parameter of the forecaster; it has {sorted(forecaster.get_params())}"
            )
        if isinstance(how, list) and how:
            continue
        ends = how[:2] if isinstance(how, tuple) and len(how) in (2, 3) else ()
        numbers = [isinstance(end, int | float) and not isinstance(end, bool) for end in ends]
        if not numbers or not all(numbers) or ends[0] > ends[1] or how[2:] not in ((), ("log",)):
            raise ArgumentError(
                f'space: {name!r} needs a list of choices, (low, high) or (low, high, "log"), came {how!r}'
            )
        if how[2:] and ends[0] <= 0:
            raise ArgumentError(f"space: {name!r} is logarithmic and must begin above 0, came {how!r}")


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ArgumentError(
            "the search needs Optuna, which is not installed: python -m pip install 'gatewise[search]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
