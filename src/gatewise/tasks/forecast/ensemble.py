"""Several networks of one plan that forecast as one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gatewise.tasks.forecast.encoding import Windows
from gatewise.tasks.forecast.network import ForecastNetwork
from gatewise.tasks.forecast.plan import NetworkPlan

__all__ = ["Ensemble", "Forecasting", "together"]


class Ensemble(nn.Module):
    """Networks that differ in their seed alone: the mean of their quantiles, level by level.

    Averages of quantiles rise in level as the quantiles do (Vincent averaging; Ratcliff 1979, psychological bulletin
    86). Where the networks sample, each draws its share of the paths.

    Args:
        members: of one plan, at least two.

    Attributes:
        correlation: as `ForecastNetwork`'s, of the averaged quantiles.
    """

    correlation: Tensor

    def __init__(self, members: Iterable[ForecastNetwork]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.register_buffer("correlation", self._first.correlation.clone())

    @property
    def _first(self) -> ForecastNetwork:
        return cast(ForecastNetwork, self.members[0])

    @property
    def plan(self) -> NetworkPlan:
        """The plan of the first."""
        return self._first.plan

    @property
    def samples(self) -> bool:
        """Whether forecasts are made by sampling."""
        return self._first.samples

    def forward(self, windows: Windows) -> Float[Tensor, "positions batch horizon levels"]:
        """Forecast from each of the windows' positions; scaled quantiles, rising in level."""
        return torch.stack([member(windows) for member in self.members]).mean(0)

    def paths(
        self, windows: Windows, noise: Float[Tensor, "noise samples horizon 2"]
    ) -> Float[Tensor, "positions batch samples horizon"]:
        """Sample paths, scaled: each network's share of them."""
        count = len(self.members)
        shares = [noise[:, place::count] for place in range(min(count, noise.shape[1]))]
        drawn = [member.paths(windows, share) for member, share in zip(self.members, shares, strict=False)]
        return torch.cat(drawn, dim=2)


Forecasting = ForecastNetwork | Ensemble


def together(networks: list[ForecastNetwork]) -> Forecasting:
    """One network as it is, several as an ensemble."""
    return networks[0] if len(networks) == 1 else Ensemble(networks)
