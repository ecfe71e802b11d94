"""Which task a model folder is of: its kind decides what `predict` and `evaluate` do."""

from __future__ import annotations

from pathlib import Path

__all__ = ["kind_of"]


def kind_of(model: Path) -> str:
    """The kind of the model in a folder ("forecaster", "classifier").

    Raises:
        StoreError: it is no model folder, or damaged.
    """
    from gatewise.store import load_model

    return load_model(model).kind
