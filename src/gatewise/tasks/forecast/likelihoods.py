"""Distributions of one future value: their parameters from a network's outputs, densities, samples, quantiles.

Sources: Salinas, Flunkert, Gasthaus & Januschowski 2020, "DeepAR", int. j. of forecasting 36, eq. 3 and 4 (Gaussian,
negative binomial); Bailey 1994, "Polar generation of random variates with the t-distribution", math. comp. 62.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from scipy import special, stats
from torch import Tensor

from gatewise.errors import ArgumentError
from gatewise.tasks.forecast.scaling import undo_scaling

__all__ = ["Gaussian", "Likelihood", "NegativeBinomial", "Scale", "StudentT", "get", "names"]

Parameters = tuple[Tensor, ...]
# Keeps a spread away from zero, as a share of the series' own.
_LEAST_SPREAD = 1e-4
# Where a mean below zero is bent up to stay positive, as a share of the series' level.
_BEND = 0.05
_LEAST_SHAPE, _MOST_SHAPE = 1e-4, 1e4
# float32's ends of the open interval that uniform numbers lie in.
_LOWEST, _HIGHEST = 1e-7, 1 - 1e-7


@dataclass(frozen=True)
class Scale:
    """How the target of each series of a batch was scaled.

    Args:
        constants: "unit", "centre", "spread", "size", "lowest", "highest", each of shape (batch,).
        log: whether a logarithm was taken.
    """

    constants: dict[str, Tensor]
    log: bool

    def undo(self, scaled: Float[Tensor, "lead batch *rest"]) -> Float[Tensor, "lead batch *rest"]:
        """Scaled values in the target's own unit."""
        return undo_scaling(scaled, self.constants, log=self.log) * self._like("size", scaled)

    def apply(self, values: Float[Tensor, "lead batch *rest"]) -> Float[Tensor, "lead batch *rest"]:
        """Values in the target's own unit, scaled."""
        if self.log:
            values = values.sign() * torch.log1p(values.abs() / self._like("unit", values))
        return (values - self._like("centre", values)) / self._like("spread", values)

    def level(self, like: Float[Tensor, "lead batch *rest"]) -> Tensor:
        """1 + the series' typical value, the scale of the counts' likelihood (Salinas et al. 2020, sec. 3.3)."""
        return 1 + self.undo(torch.zeros_like(like)).clamp(min=0.0)

    def bounds(self, like: Float[Tensor, "lead batch *rest"]) -> tuple[Tensor, Tensor]:
        """The least and the largest scaled values that a forecast may have."""
        lowest, highest = (
            self._like(name, like).expand(1, *like.shape[1:]) for name in ("lowest", "highest")
        )
        return self.apply(lowest), self.apply(highest)

    def part(self, rows: slice) -> Scale:
        """Of some series of the batch."""
        return Scale({name: value[rows] for name, value in self.constants.items()}, self.log)

    def _like(self, name: str, values: Tensor) -> Tensor:
        return self.constants[name].reshape(1, -1, *(1,) * (values.dim() - 2))


class Likelihood(ABC):
    """A distribution of scaled values of shape (lead, batch, *rest)."""

    name: str

    @abstractmethod
    def parameters(
        self,
        loc: Float[Tensor, "lead batch *rest"],
        raw: Float[Tensor, "lead batch *rest spread"],
        stretch: Tensor | float,
        scale: Scale,
    ) -> Parameters:
        """Parameters from a network's outputs.

        Args:
            loc: where the distribution lies, scaled.
            raw: any numbers; they give the spread.
            stretch: what one unit of spread is, scaled (a window's own deviation); broadcasts to `loc`.
            scale: of the series.
        """

    @abstractmethod
    def log_prob(self, parameters: Parameters, scaled: Tensor, scale: Scale) -> Tensor:
        """Log of the density (of counts: the probability) at scaled values, of the shape of `scaled`."""

    @abstractmethod
    def sample(self, parameters: Parameters, uniforms: Float[Tensor, "*shape 2"], scale: Scale) -> Tensor:
        """One scaled value from two uniform numbers in 0 to 1 each; shapes broadcast."""

    @abstractmethod
    def quantiles(self, parameters: Parameters, levels: tuple[float, ...], scale: Scale) -> Tensor:
        """Scaled quantiles, one per level in a new last dimension."""


class Gaussian(Likelihood):
    """Normal distribution of the scaled value: mean and deviation."""

    name = "gaussian"

    def parameters(self, loc: Tensor, raw: Tensor, stretch: Tensor | float, scale: Scale) -> Parameters:
        """Mean and deviation."""
        return loc, (F.softplus(raw[..., 0]) + _LEAST_SPREAD) * stretch

    def log_prob(self, parameters: Parameters, scaled: Tensor, scale: Scale) -> Tensor:
        """Salinas et al. 2020, eq. 3."""
        mean, deviation = parameters
        return -0.5 * ((scaled - mean) / deviation) ** 2 - torch.log(deviation) - 0.5 * math.log(2 * math.pi)

    def sample(self, parameters: Parameters, uniforms: Tensor, scale: Scale) -> Tensor:
        """By the inverse of the distribution function."""
        mean, deviation = parameters
        return mean + deviation * torch.special.ndtri(uniforms[..., 0].clamp(_LOWEST, _HIGHEST))

    def quantiles(self, parameters: Parameters, levels: tuple[float, ...], scale: Scale) -> Tensor:
        """Mean plus deviation times the normal quantile."""
        mean, deviation = parameters
        at = torch.special.ndtri(torch.tensor(levels, dtype=mean.dtype, device=mean.device))
        return mean[..., None] + deviation[..., None] * at


class StudentT(Likelihood):
    """Student's t of the scaled value: place, spread, and degrees of freedom above 2, so that a variance exists."""

    name = "student_t"

    def parameters(self, loc: Tensor, raw: Tensor, stretch: Tensor | float, scale: Scale) -> Parameters:
        """Place, spread, degrees of freedom."""
        return loc, (F.softplus(raw[..., 0]) + _LEAST_SPREAD) * stretch, 2 + F.softplus(raw[..., 1] + 2)

    def log_prob(self, parameters: Parameters, scaled: Tensor, scale: Scale) -> Tensor:
        """The density's logarithm."""
        loc, spread, freedom = parameters
        half = 0.5 * (freedom + 1)
        rest = torch.lgamma(half) - torch.lgamma(0.5 * freedom) - 0.5 * torch.log(math.pi * freedom)
        return rest - torch.log(spread) - half * torch.log1p(((scaled - loc) / spread) ** 2 / freedom)

    def sample(self, parameters: Parameters, uniforms: Tensor, scale: Scale) -> Tensor:
        """Bailey 1994: sqrt(f (u^(-2/f) - 1)) cos(2 pi v) is t-distributed with f degrees of freedom."""
        loc, spread, freedom = parameters
        first = uniforms[..., 0].clamp(_LOWEST, _HIGHEST)
        radius = torch.sqrt(freedom * torch.expm1(-2 / freedom * torch.log(first)))
        return loc + spread * radius * torch.cos(2 * math.pi * uniforms[..., 1])

    def quantiles(self, parameters: Parameters, levels: tuple[float, ...], scale: Scale) -> Tensor:
        """Place plus spread times the quantile of t, by scipy."""
        loc, spread, freedom = parameters
        at = special.stdtrit(freedom.detach().double().cpu().numpy()[..., None], np.array(levels))
        return loc[..., None] + spread[..., None] * torch.from_numpy(at).to(loc)


class NegativeBinomial(Likelihood):
    """Counts: mean m and shape a, with variance m + a m^2, in the target's own unit."""

    name = "negative_binomial"

    def parameters(self, loc: Tensor, raw: Tensor, stretch: Tensor | float, scale: Scale) -> Parameters:
        """Mean and shape; both keep to the series' level as in Salinas et al. 2020, sec. 3.3."""
        level = scale.level(loc)
        own = scale.undo(loc) / level
        # Positive and smooth, the value itself where that is well above zero.
        mean = 0.5 * (own + torch.sqrt(own * own + 4 * _BEND * _BEND)) * level
        shape = F.softplus(raw[..., 0]) / torch.sqrt(level)
        return mean, shape.clamp(_LEAST_SHAPE, _MOST_SHAPE)

    def log_prob(self, parameters: Parameters, scaled: Tensor, scale: Scale) -> Tensor:
        """Salinas et al. 2020, eq. 4."""
        mean, shape = parameters
        count = scale.undo(scaled).round().clamp(min=0.0)
        size, grown = 1 / shape, torch.log1p(shape * mean)
        choose = torch.lgamma(count + size) - torch.lgamma(size) - torch.lgamma(count + 1)
        return choose - size * grown + count * (torch.log(shape * mean) - grown)

    def sample(self, parameters: Parameters, uniforms: Tensor, scale: Scale) -> Tensor:
        """By the inverse of the distribution function, by scipy."""
        return scale.apply(self._inverse(parameters, uniforms[..., 0]))

    def quantiles(self, parameters: Parameters, levels: tuple[float, ...], scale: Scale) -> Tensor:
        """The least counts whose probabilities reach the levels."""
        at = torch.tensor(levels, dtype=parameters[0].dtype, device=parameters[0].device)
        return scale.apply(self._inverse(tuple(one[..., None] for one in parameters), at))

    @staticmethod
    def _inverse(parameters: Parameters, level: Tensor) -> Tensor:
        mean, shape = (one.detach().double().cpu().numpy() for one in parameters)
        at = level.double().cpu().numpy().clip(_LOWEST, _HIGHEST)
        return torch.from_numpy(np.asarray(stats.nbinom.ppf(at, 1 / shape, 1 / (1 + shape * mean)))).to(
            parameters[0]
        )


_ALL = {one.name: one for one in (Gaussian(), StudentT(), NegativeBinomial())}


def names() -> tuple[str, ...]:
    """Names of the likelihoods.

    Example:
        >>> names()
        ('gaussian', 'student_t', 'negative_binomial')
    """
    return tuple(_ALL)


def get(name: str) -> Likelihood:
    """The likelihood of a name.

    Raises:
        ArgumentError: there is none of that name.
    """
    if name not in _ALL:
        raise ArgumentError(f"likelihood: one of {', '.join(map(repr, names()))} is expected, came {name!r}")
    return _ALL[name]
