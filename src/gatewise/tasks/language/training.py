"""What the training loop needs: windows of parallel streams, and the loss with its penalties and carried states."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gatewise.data.text import PackedStreams, window_lengths
from gatewise.nn import RecurrentState
from gatewise.tasks.language.network import States
from gatewise.tasks.language.regularisation import activation_penalty, slowness_penalty
from gatewise.tasks.language.scoring import mean_loss

__all__ = ["LanguageObjective", "WindowSource"]

Whole = NDArray[np.int64]
_VALIDATION_STREAMS = 16


class WindowSource:
    """Windows of a text's parallel streams, a pure function of (seed, epoch, step).

    Args:
        ids: (tokens,) the training text, what it begins after in front.
        batch_size: streams read side by side.
        window: usual length of a window.
        variable: whether lengths are drawn (Merity et al. 2018, section 5).
        scale_rate: whether the learning rate follows a window's length, as it must for plain SGD there.
        seed: what lengths are drawn from.
    """

    # The streams lie in the second dimension.
    batch_dim = 1

    def __init__(
        self, ids: Whole, *, batch_size: int, window: int, variable: bool, scale_rate: bool, seed: int
    ) -> None:
        self.streams = PackedStreams(ids, batch_size)
        self._window, self._variable, self._scale, self._seed = window, variable, scale_rate, seed
        self._digest = hashlib.sha256(np.ascontiguousarray(ids).tobytes()).hexdigest()
        self._cut: tuple[int, Whole, Whole] | None = None
        self._steps = len(self._windows(0)[0])

    def steps_per_epoch(self) -> int:
        """Windows in an epoch."""
        return self._steps

    def batch(self, epoch: int, step: int) -> Mapping[str, Tensor]:
        """Window number `step`: tokens, the ones that follow, and whether the streams begin here."""
        starts, lengths = self._windows(epoch)
        tokens, targets = self.streams.window(int(starts[step]), int(lengths[step]))
        return {
            "tokens": torch.from_numpy(tokens),
            "targets": torch.from_numpy(targets),
            "begins": torch.full((1, tokens.shape[1]), float(step == 0)),
        }

    def rate_factor(self, epoch: int, step: int) -> float:
        """What the learning rate is multiplied by at a window."""
        return float(self._windows(epoch)[1][step] / self._window) if self._scale else 1.0

    def fingerprint(self) -> str:
        """Tells one text and its windows from another's."""
        about = f"{self.streams.streams} {self._window} {self._variable} {self._scale} {self._seed}"
        return f"{self._digest} {about}"

    def _windows(self, epoch: int) -> tuple[Whole, Whole]:
        """Where an epoch's windows start, and their lengths."""
        if self._cut is None or self._cut[0] != epoch:
            generator = np.random.default_rng((self._seed, epoch))
            lengths = window_lengths(
                self.streams.steps, self._window, variable=self._variable, generator=generator
            )
            self._cut = (epoch, np.cumsum(lengths) - lengths, lengths)
        return self._cut[1], self._cut[2]


class LanguageObjective:
    """Cross-entropy of the next token, with activation penalties; states go on from window to window.

    Args:
        validation: (tokens,) the text to validate on, what it begins after in front.
        activation: weight of the mean square of the last layer's dropped output (AR).
        slowness: weight of the mean square of its changes (TAR).
        about: what else tells one run from another: the cell, sizes, rates.
    """

    def __init__(self, validation: Whole, *, activation: float, slowness: float, about: str) -> None:
        self._validation, self._activation, self._slowness = validation, activation, slowness
        self._about = about
        self._states: States | None = None

    def fingerprint(self) -> str:
        """Tells one objective from another."""
        digest = hashlib.sha256(np.ascontiguousarray(self._validation).tobytes()).hexdigest()
        return f"{digest} {self._activation} {self._slowness} {self._about}"

    def loss(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """The training loss of a window, in nats per token."""
        dropped, output, states = model(batch["tokens"], self._carried(batch["begins"]))
        self._states = [state.detach() for state in states]
        loss = model.head.mean_loss(dropped.flatten(0, 1), batch["targets"].flatten())  # type: ignore[union-attr, operator]
        if self._activation:
            loss = loss + self._activation * activation_penalty(dropped)
        if self._slowness:
            loss = loss + self._slowness * slowness_penalty(output)
        return loss

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Nats per token and perplexity on the text that is held back, read in a few streams."""
        loss = mean_loss(model, self._validation, streams=_VALIDATION_STREAMS)
        return {"loss": loss, "perplexity": math.exp(min(loss, 700.0))}

    def state_tensors(self) -> dict[str, Tensor]:
        """The states that the next window starts from.

        With several processes, each of which has the states of its own streams, there are none: a run that is resumed
        amid an epoch then goes on with empty ones.
        """
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return {}
        return {
            f"{layer}.{place}": tensor
            for layer, state in enumerate(self._states or [])
            for place, tensor in enumerate(state)
        }

    def load_state_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `state_tensors` gave."""
        found: dict[int, dict[int, Tensor]] = {}
        for name, tensor in tensors.items():
            layer, _, place = name.partition(".")
            found.setdefault(int(layer), {})[int(place)] = tensor
        self._states = [
            RecurrentState([found[layer][place] for place in range(len(found[layer]))], directions=1)
            for layer in range(len(found))
        ] or None

    def _carried(self, begins: Tensor) -> States | None:
        """The states of the window before, zero where a stream begins."""
        if self._states is None:
            return None
        kept = (1.0 - begins).unsqueeze(-1)
        return [
            RecurrentState([one * kept.to(one) for one in state], names=state.names, directions=1)
            for state in self._states
        ]
