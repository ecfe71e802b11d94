"""Small models, sources and objectives to train in tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gatewise.train import History, TrainConfig, fit


class Sums:
    """Rows whose target is the sum of the inputs: batches as a pure function of (seed, epoch, step)."""

    def __init__(
        self, steps: int = 10, rows: int = 8, seed: int = 0, dtype: torch.dtype = torch.float32
    ) -> None:
        self.steps, self.rows, self.seed, self.dtype = steps, rows, seed, dtype

    def steps_per_epoch(self) -> int:
        return self.steps

    def batch(self, epoch: int, step: int) -> Mapping[str, Tensor]:
        generator = torch.Generator().manual_seed(1_000_000 * self.seed + 1000 * epoch + step)
        x = torch.randn(self.rows, 5, generator=generator, dtype=self.dtype)
        return {"x": x, "y": x.sum(1, keepdim=True)}


class Squares:
    """Mean squared error, validated on fixed rows."""

    def loss(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        return (model(batch["x"]) - batch["y"]).square().mean()

    def validate(self, model: nn.Module) -> dict[str, float]:
        parameter = next(model.parameters())
        x = torch.linspace(-1, 1, 80, dtype=parameter.dtype).reshape(16, 5)
        error = model(x) - x.sum(1, keepdim=True)
        return {"loss": error.square().mean().item(), "mae": error.abs().mean().item()}


class Scripted(Squares):
    """Squares, with validation losses that are written down beforehand."""

    def __init__(self, losses: list[float]) -> None:
        self.losses = list(losses)
        self.at = 0

    def validate(self, model: nn.Module) -> dict[str, float]:
        self.at += 1
        return {"loss": self.losses[min(self.at, len(self.losses)) - 1]}


def network(dropout: float = 0.2, seed: int = 1) -> nn.Module:
    """A small network with dropout, the same at each call."""
    generator = torch.random.get_rng_state()
    torch.manual_seed(seed)
    made = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 1))
    torch.random.set_rng_state(generator)
    return made


def train(model: nn.Module | None = None, **options: Any) -> tuple[nn.Module, History]:
    """Train the small network; `objective`, `batches`, `progress` and `on_epoch` go to fit, the rest to the config."""
    model = model if model is not None else network()
    objective, batches = options.pop("objective", None), options.pop("batches", None)
    told = {name: options.pop(name, None) for name in ("progress", "on_epoch")}
    config = TrainConfig(**{"max_epochs": 4, "learning_rate": 1e-2, **options})
    return model, fit(model, objective or Squares(), batches or Sums(), config, **told)


def weights(model: nn.Module) -> dict[str, Tensor]:
    """A copy of a model's tensors."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def same_weights(first: nn.Module, second: nn.Module) -> bool:
    """Tell whether two models hold the same bits."""
    one, two = first.state_dict(), second.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def numbers(history: History) -> list[dict[str, Any]]:
    """A history's records without the time that they took."""
    return [{key: value for key, value in record.items() if key != "seconds"} for record in history.epochs]
