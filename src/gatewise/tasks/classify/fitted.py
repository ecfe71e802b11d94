"""A fitted classifier: what prediction needs, and nothing of how it was trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from gatewise.data.sequences import Form, Sequences
from gatewise.errors import ArgumentError
from gatewise.tasks.classify.calibration import softmax
from gatewise.tasks.classify.encoding import Encoder
from gatewise.tasks.classify.ensemble import Ensemble
from gatewise.tasks.classify.training import logits_of

__all__ = ["Fitted"]


@dataclass(frozen=True)
class Fitted:
    """What `fit` learned.

    Args:
        network: in eval mode.
        encoder: how sequences become inputs.
        classes: the classes, sorted.
        weights: of each class in training, and in decisions.
        temperature: what logits are divided by.
        shares: of the classes among the training labels.
        form: what was fitted to.
        categories: the names of the columns of text.
    """

    network: Ensemble
    encoder: Encoder
    classes: NDArray[Any]
    weights: NDArray[np.float64]
    temperature: float
    shares: NDArray[np.float64]
    form: Form
    categories: tuple[str, ...]

    def probabilities(
        self, sequences: Sequences, *, by_step: bool = False
    ) -> Float[np.ndarray, "labels classes"]:
        """Calibrated probabilities, one row per sequence or, where there is a label for each step, per row."""
        if by_step:
            self.check_causal("probabilities after each step")
        logits, _ = logits_of(
            self.network, self.encoder.encode(sequences), np.arange(len(sequences)), by_step=by_step
        )
        return self.calibrated(logits)

    def calibrated(self, logits: Float[np.ndarray, "labels classes"]) -> Float[np.ndarray, "labels classes"]:
        """Probabilities in the proportions of the data: what weighted training added is taken off again.

        A network trained on a loss with weights w estimates probabilities in proportion to w p; so log w comes off
        the logits (Elkan 2001), and the temperature divides the rest.
        """
        return softmax((logits - np.log(self.weights)) / self.temperature)

    def decide(self, probabilities: Float[np.ndarray, "labels classes"]) -> NDArray[Any]:
        """The class with the largest probability times weight."""
        return self.classes[(probabilities * self.weights).argmax(axis=1)]

    def check_causal(self, what: str) -> None:
        """Refuse what needs a network that never looks ahead.

        Raises:
            ArgumentError: naming the parameter that stands in the way.
        """
        plan = self.network.plan
        fault = (
            "bidirectional=True reads from the end"
            if plan.bidirectional
            else 'architecture="fcn" averages over the whole sequence'
            if plan.architecture == "fcn"
            else 'scaling="instance" needs the whole sequence'
            if self.encoder.scaling == "instance"
            else None
        )
        if fault is not None:
            raise ArgumentError(
                f"{what}: a model that sees only the past is expected, but {fault}; fit one without it"
            )
