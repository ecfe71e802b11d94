"""A small stored model, and how two stored models are compared."""

from __future__ import annotations

import torch

from gatewise.errors import StoreError
from gatewise.store import StoredModel, load_model, save_model

CONFIG = {
    "hidden_size": 8,
    "quantiles": [0.1, 0.5, 0.9],
    "scale": {"mean": -3.25, "note": "Grüße"},
    "cell": None,
    "mask": True,
}


def tensors() -> dict[str, torch.Tensor]:
    """Every dtype that a model holds, an empty tensor and a scalar among them."""
    generator = torch.Generator().manual_seed(3)
    return {
        "weight": torch.randn(4, 3, generator=generator),
        "double": torch.randn(2, generator=generator, dtype=torch.float64),
        "half": torch.randn(3, generator=generator).to(torch.bfloat16),
        "count": torch.tensor(7),
        "mask": torch.tensor([True, False]),
        "empty": torch.empty(0, 5),
    }


def save(folder: object, **changes: object) -> None:
    """Save the small model, with some arguments changed."""
    arguments = {"kind": "toy", "config": CONFIG, "tensors": tensors(), "card": "# A toy\n", **changes}
    save_model(folder, **arguments)


def attempt(folder: object) -> tuple[StoredModel | None, str]:
    """Load a model, or return None and what the StoreError says; any other error fails the test."""
    try:
        return load_model(folder), ""
    except StoreError as error:
        return None, str(error)


def same_tensors(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Tell whether two sets of tensors are equal in names, dtypes, shapes and bits."""
    return sorted(first) == sorted(second) and all(
        value.dtype == second[name].dtype
        and value.shape == second[name].shape
        and value.contiguous().view(-1).view(torch.uint8).tolist()
        == second[name].contiguous().view(-1).view(torch.uint8).tolist()
        for name, value in ((name, first[name]) for name in first)
    )


def same(first: StoredModel, second: StoredModel) -> bool:
    """Tell whether two stored models are equal."""
    return (
        (first.kind, first.version, first.config, first.library)
        == (second.kind, second.version, second.config, second.library)
    ) and same_tensors(first.tensors, second.tensors)
