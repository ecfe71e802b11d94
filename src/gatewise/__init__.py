"""Gatewise: recurrent networks on PyTorch, every cell written once as its equations.

Three levels, each usable alone: `gatewise.nn` (modules that drop in for `torch.nn`), the tasks
(`gatewise.Forecaster`, `gatewise.AnomalyDetector`) and the command line (`gatewise fit forecast ...`). Names load
when they are first used, so that `import gatewise` is quick.

Example:
    >>> import gatewise
    >>> "Forecaster" in dir(gatewise)
    True
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gatewise import (
        bench,
        cells,
        compare,
        data,
        decode,
        engines,
        errors,
        explorer,
        inspect,
        nn,
        report,
        spec,
        store,
        tasks,
        train,
    )
    from gatewise.nn import explain
    from gatewise.spec import cell
    from gatewise.tasks import (
        AnomalyDetector,
        Forecaster,
        LanguageModel,
        SequenceClassifier,
        SequenceTagger,
        Summarizer,
        TextClassifier,
        Translator,
        load,
    )

__version__ = "0.1.0"

# Where each name of the package's front comes from.
_FROM: dict[str, str] = {
    "AnomalyDetector": "gatewise.tasks",
    "Forecaster": "gatewise.tasks",
    "LanguageModel": "gatewise.tasks",
    "SequenceClassifier": "gatewise.tasks",
    "SequenceTagger": "gatewise.tasks",
    "Summarizer": "gatewise.tasks",
    "TextClassifier": "gatewise.tasks",
    "Translator": "gatewise.tasks",
    "cell": "gatewise.spec",
    "explain": "gatewise.nn",
    "load": "gatewise.tasks",
}
# All but the command line, which nobody imports.
_SUBPACKAGES = (
    "bench", "cells", "compare", "data", "decode", "engines", "errors", "explorer", "inspect", "nn", "report", "spec",
    "store", "tasks", "train",
)  # fmt: skip

__all__ = [
    "AnomalyDetector",
    "Forecaster",
    "LanguageModel",
    "SequenceClassifier",
    "SequenceTagger",
    "Summarizer",
    "TextClassifier",
    "Translator",
    "__version__",
    "bench",
    "cell",
    "cells",
    "compare",
    "data",
    "decode",
    "engines",
    "errors",
    "explain",
    "explorer",
    "inspect",
    "load",
    "nn",
    "report",
    "spec",
    "store",
    "tasks",
    "train",
]


def __getattr__(name: str) -> Any:
    """Load a name of the package's front when it is first asked for (PEP 562)."""
    if name in _FROM:
        value = getattr(importlib.import_module(_FROM[name]), name)
    elif name in _SUBPACKAGES:
        value = importlib.import_module(f"gatewise.{name}")
    else:
        raise AttributeError(f"module 'gatewise' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the names of the package's front, loaded or not."""
    return sorted(__all__)
