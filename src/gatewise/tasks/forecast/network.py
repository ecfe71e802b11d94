"""The network: an architecture, its normalisation, and how its outputs become quantiles that never cross."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gatewise.errors import ArgumentError
from gatewise.tasks.forecast import architectures, likelihoods
from gatewise.tasks.forecast.embedding import CategoryEmbedding
from gatewise.tasks.forecast.encoding import Windows
from gatewise.tasks.forecast.likelihoods import Scale
from gatewise.tasks.forecast.normalisation import Normal, ReversibleNorm
from gatewise.tasks.forecast.plan import NetworkPlan
from gatewise.tasks.forecast.sampling import sorted_quantiles, uniforms
from gatewise.tasks.quantiles import assemble

__all__ = ["ForecastNetwork", "NetworkPlan"]


class ForecastNetwork(nn.Module):
    """Quantiles of the next `horizon` values, from steps of a sequence.

    The point forecast is a mixture of the last value and the value one season ago (of each season, where there are
    several), learned per horizon and situation (SegRNN with one season: the last value alone), plus a learned change.
    Each further quantile adds a gap that is positive by construction (softplus), or is the quantile of a likelihood, or
    of samples: quantiles never cross.

    Args:
        plan: its sizes.

    Attributes:
        correlation: (horizon, horizon), how the steps' normal scores hang together on held-out windows: the copula
            that sample paths are drawn with. Not used by deepar, which samples; empty where there is one level.
    """

    correlation: Tensor

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        self.plan = plan
        self.norm = ReversibleNorm(plan.channels) if plan.revin else None
        self.embedding = CategoryEmbedding(plan.embedding)
        wide = replace(
            plan, inputs=plan.inputs + self.embedding.inputs, known=plan.known + self.embedding.known
        )
        self.body: Any = architectures.build(wide)
        size = 0 if self.samples or len(plan.levels) < 2 else plan.horizon
        self.register_buffer("correlation", torch.eye(size))

    @property
    def samples(self) -> bool:
        """Whether forecasts are made by sampling."""
        return self.plan.architecture == "deepar"

    @property
    def shares_encoder(self) -> bool:
        """Whether one pass over a sequence serves forecasts from many of its steps."""
        return bool(self.body.shares_encoder) and self.norm is None

    def forward(self, windows: Windows) -> Float[Tensor, "positions batch horizon levels"]:
        """Forecast from each of the windows' positions; scaled quantiles, rising in level."""
        plan = self.plan
        if self.samples:
            noise = uniforms(plan.seed, None, plan.num_samples, plan.horizon).to(windows.last.device)
            paths = self.paths(windows, noise)
            return torch.stack([sorted_quantiles(one, plan.levels) for one in paths])
        loc, raw, normal = self._outputs(windows)
        if plan.loss == "likelihood":
            likelihood = likelihoods.get(plan.likelihood)
            found = likelihood.parameters(*self._placed(loc, raw, normal), _scale(windows))
            return likelihood.quantiles(found, plan.levels, _scale(windows))
        quantiles = assemble(loc, F.softplus(raw), plan.levels)
        return quantiles if normal is None else normal.undo(quantiles)

    def log_prob(
        self,
        windows: Windows,
        target: Float[Tensor, "positions batch horizon"],
        counts: Bool[Tensor, "positions batch horizon"],
    ) -> Float[Tensor, "positions batch steps"]:
        """Log-likelihood of what came, scaled, for the steps of the horizon (deepar: for the first, or all).

        Args:
            windows: the past.
            target: what came, scaled.
            counts: whether a value was observed; the others' numbers mean nothing.
        """
        if self.samples:
            windows, normal = self._normalised(windows)
            return self.body.log_prob(windows, target, counts, normal)
        loc, raw, normal = self._outputs(windows)
        likelihood = likelihoods.get(self.plan.likelihood)
        found = likelihood.parameters(*self._placed(loc, raw, normal), _scale(windows))
        return likelihood.log_prob(found, target, _scale(windows))

    def paths(
        self, windows: Windows, noise: Float[Tensor, "noise samples horizon 2"]
    ) -> Float[Tensor, "positions batch samples horizon"]:
        """Sample paths by ancestral sampling, scaled (deepar alone).

        Raises:
            ArgumentError: the architecture gives quantiles and does not sample.
        """
        if not self.samples:
            raise ArgumentError(
                f'architecture: "deepar" samples step by step, {self.plan.architecture!r} does not; its paths come '
                "from its quantiles (Forecaster.sample_paths)"
            )
        windows, normal = self._normalised(windows)
        return self.body.paths(windows, normal, noise)

    def _normalised(self, windows: Windows) -> tuple[Windows, Normal | None]:
        """The windows as the architecture reads them: categories embedded, values by the window's own scale."""
        windows = self.embedding(windows)
        return (windows, None) if self.norm is None else self.norm(windows)

    def _outputs(self, windows: Windows) -> tuple[Tensor, Tensor, Normal | None]:
        """Where the forecasts lie, the raw numbers of their spread, and the windows' own scale, if they have one."""
        windows, normal = self._normalised(windows)
        raw = self.body(windows).float()
        end = 1 + self.plan.spread
        return _base(windows, raw[..., end:]) + raw[..., 0], raw[..., 1:end], normal

    @staticmethod
    def _placed(loc: Tensor, raw: Tensor, normal: Normal | None) -> tuple[Tensor, Tensor, Tensor | float]:
        if normal is None:
            return loc, raw, 1.0
        return normal.undo(loc), raw, normal.stretch.view(1, -1, 1)


def _base(
    windows: Windows, weights: Float[Tensor, "positions batch horizon seasons"]
) -> Float[Tensor, "positions batch horizon"]:
    """A mixture of the last value and those of a season before; no weights: the last value."""
    last = windows.last[..., None].expand_as(windows.season)
    if weights.shape[-1] < 2:
        return torch.lerp(last, windows.season, torch.sigmoid(weights[..., 0])) if weights.shape[-1] else last
    shares = torch.softmax(F.pad(weights, (1, 0)), dim=-1)
    return (shares * torch.cat([torch.stack([last, windows.season], dim=-1), windows.further], dim=-1)).sum(
        -1
    )


def _scale(windows: Windows) -> Scale:
    if windows.scale is None:
        raise ArgumentError("windows: a scale is expected by a likelihood, came None; give Windows.scale")
    return windows.scale
