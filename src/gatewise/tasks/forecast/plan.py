"""The network's sizes and choices: all that is needed to build it anew before its weights are put in."""

from __future__ import annotations

from dataclasses import dataclass, field

from gatewise.spec import Program
from gatewise.tasks.forecast.embedding import EmbeddingPlan

__all__ = ["NetworkPlan"]


@dataclass(frozen=True)
class NetworkPlan:
    """The network's sizes.

    Args:
        program: the cell.
        inputs: features of a step: the value, whether it was observed, its age, what is known of the past alone, and
            last those that are known for the future too.
        known: how many are known for the future.
        horizon: steps ahead, at least 1.
        levels: the quantiles' levels, rising, 0.5 among them.
        hidden_size, num_layers: of the recurrent layers.
        decoder_size: width of the decoder.
        dropout: in 0 to 1, on the encoder's output and between its layers.
        engine: which engine runs the recurrent layers.
        architecture: one of `gatewise.tasks.forecast.architectures.names()`.
        lookback: steps of a window, at least 1.
        revin: whether each window is normalised by its own mean and deviation.
        channels: series that are forecast together; 1: each by itself.
        loss: "pinball", "relative", "owa", "mse", "mae" or "likelihood".
        likelihood: "gaussian", "student_t" or "negative_binomial", where the loss is one.
        segment_length: steps of a segment (segrnn), at least 1.
        further_seasons: how many seasons there are beside it, whose values are read and forecast from, at least 0.
        season_length: steps of a season, at least 1: after so many, a path's own values are those of a season before.
        num_samples: paths that quantiles are read from (deepar), at least 2.
        log: whether the target's scaling takes a logarithm.
        seed: of the sampled paths.
        embedding: sizes of what stands for categories and series, which comes to `inputs` and `known` in addition.
    """

    program: Program
    inputs: int
    known: int
    horizon: int
    levels: tuple[float, ...]
    hidden_size: int
    num_layers: int
    decoder_size: int
    dropout: float
    engine: str
    architecture: str = "direct"
    lookback: int = 1
    revin: bool = False
    channels: int = 1
    loss: str = "pinball"
    likelihood: str = "student_t"
    segment_length: int = 1
    season_length: int = 1
    further_seasons: int = 0
    num_samples: int = 100
    log: bool = False
    seed: int = 0
    embedding: EmbeddingPlan = field(default_factory=EmbeddingPlan)

    @property
    def spread(self) -> int:
        """How many raw numbers give the spread at each step: gaps between quantiles, or a likelihood's."""
        if self.loss == "likelihood":
            return {"gaussian": 1, "student_t": 2, "negative_binomial": 1}[self.likelihood]
        return len(self.levels) - 1
