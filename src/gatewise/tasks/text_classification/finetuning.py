"""A language model that becomes a classifier: ULMFiT (Howard & Ruder 2018), its network and its stages.

What reads a text to tell its next word already knows the language; the classifier keeps its layers and learns a head
on top. Lower layers are moved less than higher ones (section 3.2: each by 1/2.6 of the rate of the one above it), and
are set free one after the other, from the head down (section 3.3: gradual unfreezing).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from gatewise import train
from gatewise.nn.dropout import locked_dropout
from gatewise.tasks.classify.pooling import LastPooling, MeanPooling
from gatewise.tasks.language.network import LanguageNetwork
from gatewise.tasks.language.network import NetworkPlan as LanguagePlan
from gatewise.tasks.text_classification.network import MaxPooling, TextReader

__all__ = ["FineTunedNetwork", "FineTunedPlan", "fit_in_stages"]

# Howard & Ruder 2018, section 3.2, and section 4.1 for the head's width.
_RATE = 2.6
_HEAD = 50
# What tells the stages' seeds apart, and the time that a stage has where all of it is spent.
_STAGE, _LEAST_SECONDS = 1_000_000_007, 1e-3


@dataclass(frozen=True)
class FineTunedPlan:
    """The network's sizes.

    Args:
        language: the language model's plan.
        classes: how many.
        dropout: probability, in training.
    """

    language: LanguagePlan
    classes: int
    dropout: float

    @property
    def program(self) -> Any:
        """The cell's."""
        return self.language.program

    @property
    def words(self) -> int:
        """Tokens of the vocabulary."""
        return self.language.tokens

    @property
    def num_layers(self) -> int:
        """Recurrent layers."""
        return self.language.num_layers

    @property
    def hidden_size(self) -> int:
        """Units of a recurrent layer."""
        return self.language.hidden_size

    @property
    def bidirectional(self) -> bool:
        """Never: a language model reads forwards."""
        return False

    @property
    def pooling(self) -> str:
        """What of the steps decides, in words."""
        return "a language model's layers; last, largest and mean"


class TextNorm(nn.BatchNorm1d):
    """Batch normalisation over texts; a batch of one text is normalised by what went before."""

    def forward(self, input: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
        """Normalise each feature."""
        if len(input) > 1 or not self.training:
            return super().forward(input)
        return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


class FineTunedNetwork(TextReader):
    """The layers of a language model, and a head on the last step, the largest and the mean of all (eq. 4).

    Args:
        plan: its sizes.
    """

    def __init__(self, plan: FineTunedPlan) -> None:
        super().__init__()
        self.plan = plan
        self.reader = LanguageNetwork(plan.language)
        # What told the next word is not needed any more.
        self.reader.head = None  # type: ignore[assignment]
        with torch.no_grad():
            width = int(self.reader.layers[-1].eval()(torch.zeros(1, 1, self._into_last()))[0].shape[-1])
        self.reader.train()
        self.last, self.mean, self.most = LastPooling(), MeanPooling(), MaxPooling()
        # Batch normalisation (section 3.3) is what makes the head learn: means over a text hardly differ from text to
        # text, and their differences are what tells.
        self.head = nn.Sequential(
            TextNorm(3 * width), nn.Dropout(plan.dropout), nn.Linear(3 * width, _HEAD), nn.ReLU(),
            TextNorm(_HEAD), nn.Dropout(plan.dropout), nn.Linear(_HEAD, plan.classes),
        )  # fmt: skip

    def vectors(self, codes: Tensor) -> Tensor:
        """Vectors of words."""
        return F.embedding(codes, self.reader.embedding) * self.plan.language.embedding_scale

    def of_vectors(
        self, vectors: Float[Tensor, "time batch width"], lengths: Int64[Tensor, " batch"]
    ) -> Float[Tensor, "batch classes"]:
        """Logits of words that are already vectors: what attributions look at."""
        own = self.plan.language
        steps = locked_dropout(vectors, own.input_dropout, self.training)
        for number, layer in enumerate(self.reader.layers):
            steps = locked_dropout(steps, own.hidden_dropout if number else 0.0, self.training)
            steps = layer(steps, lengths=lengths)[0]
        pooled = [self.last(steps, lengths), self.most(steps, lengths), self.mean(steps, lengths)]
        return self.head(torch.cat(pooled, dim=1))

    def take(self, language: LanguageNetwork) -> None:
        """Start from a language model's weights."""
        own = {name: one for name, one in language.state_dict().items() if not name.startswith("head.")}
        self.reader.load_state_dict(own)

    def groups(self) -> list[list[str]]:
        """The parameters' names, from the head down to the embedding."""
        names = [name for name, _ in self.named_parameters()]
        depths = [f"reader.layers.{number}." for number in reversed(range(len(self.reader.layers)))]
        starts = ["head.", *depths, "reader.embedding"]
        return [[name for name in names if name.startswith(start)] for start in starts]

    def rate_factors(self) -> dict[str, float]:
        """What each parameter's learning rate is multiplied by: the lower, the less."""
        return {name: _RATE**-depth for depth, names in enumerate(self.groups()) for name in names}

    def free(self, groups: int) -> None:
        """Let so many groups be trained, from the head down, and no others."""
        free = {name for names in self.groups()[:groups] for name in names}
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name in free)

    def _into_last(self) -> int:
        return int(self.reader.layers[-1].input_size)


class LaterEpochs:
    """A source that begins some epochs later: no stage sees the batches of the one before in their order again.

    Args:
        source: the whole training's.
        epochs: that have gone before.
    """

    def __init__(self, source: train.BatchSource, epochs: int) -> None:
        self._source, self._epochs = source, epochs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return self._source.steps_per_epoch()

    def batch(self, epoch: int, step: int) -> Mapping[str, Tensor]:
        """Batch number `step` of an epoch, counted from this stage's first."""
        return self._source.batch(epoch + self._epochs, step)


def fit_in_stages(
    network: FineTunedNetwork,
    objective: train.Objective,
    source: train.BatchSource,
    config: train.TrainConfig,
    progress: Callable[[], Any],
) -> train.History:
    """Train with gradual unfreezing: one epoch after each group is set free, the rest of the epochs with all.

    Args:
        network: with a language model's weights.
        objective, source: as for `train.fit`.
        config: of the whole; its max_epochs are shared out, with at least one epoch for each stage, and its max_time is
            the time of all.
        progress: makes whom to tell.

    Returns:
        All stages' epochs, numbered through; the best one is of the last stage.
    """
    stages = len(network.groups())
    whole = train.History()
    for stage in range(1, stages + 1):
        network.free(stage)
        last = stage == stages
        before = len(whole.epochs)
        own = replace(
            config,
            # Noise of its own: with each stage's masks on the same batches the last ones learned them by heart.
            seed=(config.seed + _STAGE * stage) % 2**63,
            max_time=None
            if config.max_time is None
            else max(config.max_time - whole.seconds, _LEAST_SECONDS),
            max_epochs=max(1, config.max_epochs - stages + 1) if last else 1,
            # Slanted triangular rates (section 3.2): up, then down.
            schedule="one_cycle",
            warmup_steps=0,
            averaging=None,
            checkpoint_folder=None
            if config.checkpoint_folder is None
            else config.checkpoint_folder / f"stage{stage}",
        )
        found = train.fit(network, objective, LaterEpochs(source, before), own, progress=progress())
        whole.epochs += [{**row, "epoch": row["epoch"] + before, "stage": stage} for row in found.epochs]
        whole.stopped, whole.best_loss = found.stopped, found.best_loss
        whole.best_epoch = None if found.best_epoch is None else found.best_epoch + before
        whole.steps, whole.seconds = whole.steps + found.steps, whole.seconds + found.seconds
        if found.stopped in ("interrupted", "max_time"):
            break
    network.free(stages)
    return whole
