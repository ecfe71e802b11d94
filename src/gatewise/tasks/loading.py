"""`load`: a model folder of whatever kind becomes the estimator that saved it."""

from __future__ import annotations

import importlib
import os
from typing import Any

from gatewise.errors import StoreError
from gatewise.store import model_kind

__all__ = ["load"]

# Each kind's estimator; imported when it is asked for.
ESTIMATORS = {
    "anomaly-detector": "gatewise.tasks.anomaly:AnomalyDetector",
    "classifier": "gatewise.tasks.classify:SequenceClassifier",
    "forecaster": "gatewise.tasks.forecast:Forecaster",
    "language-model": "gatewise.tasks.language:LanguageModel",
    "record-detector": "gatewise.tasks.recipes:RecordDetector",
    "summarizer": "gatewise.tasks.seq2seq:Summarizer",
    "tagger": "gatewise.tasks.tagging:SequenceTagger",
    "text-classifier": "gatewise.tasks.text_classification:TextClassifier",
    "translator": "gatewise.tasks.seq2seq:Translator",
}


def load(path: str | os.PathLike[str]) -> Any:
    """Load a model folder as the estimator that saved it; `Forecaster.load` and the others insist on their own kind.

    Args:
        path: a folder that an estimator's `save` or `gatewise fit` wrote. Nothing in it is executed or unpickled.

    Returns:
        The fitted estimator.

    Raises:
        StoreError: the folder holds no model of this version's kinds, is torn, or was written by a newer version.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> import gatewise
        >>> X = np.random.default_rng(0).normal(size=(24, 10, 1))
        >>> model = gatewise.SequenceClassifier(hidden_size=4, max_epochs=1, random_state=0, progress=False)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.fit(X, X[:, :, 0].mean(axis=1) > 0).save(folder)
        ...     type(gatewise.load(folder)).__name__
        'SequenceClassifier'
    """
    kind = model_kind(path)
    if kind not in ESTIMATORS:
        raise StoreError(
            f"{os.fspath(path)!r}: a model of a kind that is known ({', '.join(sorted(ESTIMATORS))}) is expected, "
            f"came {kind!r}; was it saved by something else, or by a newer version?"
        )
    module, name = ESTIMATORS[kind].split(":")
    return getattr(importlib.import_module(module), name).load(path)
