"""The most probable text after a prompt, by the search of `gatewise.decode`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatewise.decode import Limits, Step, beam_search
from gatewise.tasks.language.fitted import Fitted
from gatewise.tasks.language.generation import Writing, banned_tokens, read_prompt
from gatewise.tasks.language.network import States, select_states
from gatewise.tasks.language.stopping import Stopper

__all__ = ["allowed_logs", "search_text"]


def search_text(fitted: Fitted, prompt: str, writing: Writing, beams: int) -> str:
    """The most probable text that `beams` beams find, of `max_tokens` tokens or up to a stop string.

    Texts are compared by the probability of all their tokens, so that of two that stop the shorter is often the more
    probable. With one beam it is what temperature 0 writes.

    Args:
        fitted: the model.
        prompt: what to go on from.
        writing: how far; its choice and seed are not used.
        beams: how many texts are kept at each step, at least 1.
    """
    if writing.max_tokens == 0:
        return ""

    def ends(tokens: Sequence[int]) -> bool:
        return bool(writing.stops) and _text(fitted, prompt, tokens, writing)[1]

    model = _AfterPrompt(fitted, read_prompt(fitted, prompt))
    # What stands before the first token has been read: it is no token for the search.
    start = torch.zeros(1, dtype=torch.int64, device=fitted.device)
    found = beam_search(model, start, None, Limits(writing.max_tokens), beam_size=beams, ends=ends)
    return _text(fitted, prompt, found[0][0].tokens, writing)[0]


class _AfterPrompt:
    """The model as a search asks it (see `gatewise.decode.StepModel`); its first step is that of the prompt."""

    def __init__(self, fitted: Fitted, begun: tuple[Tensor, States]) -> None:
        self._fitted, self._begun, self._banned = fitted, begun, banned_tokens(fitted)

    def step(self, tokens: Tensor, state: States | None) -> Step:
        """Log-probabilities after one more token of each row, and the states."""
        if state is None:
            output, state = self._begun
        else:
            with torch.inference_mode():
                output, state = self._fitted.network.step(tokens, state)
        return Step(torch.from_numpy(allowed_logs(self._fitted, output, self._banned)), state)

    def select(self, state: States, rows: Tensor) -> States:
        """The states of chosen rows."""
        return select_states(state, rows.flatten())


def allowed_logs(fitted: Fitted, output: Tensor, banned: Any) -> NDArray[np.float64]:
    """Log probabilities of all tokens, minus infinity for what is never written; (rows, tokens)."""
    with torch.inference_mode():
        logs = fitted.network.head.log_probabilities(output).double().cpu().numpy()
    if banned is not None:
        logs[:, banned] = -np.inf
    return logs


def _text(fitted: Fitted, prompt: str, tokens: Sequence[int], writing: Writing) -> tuple[str, bool]:
    """The text of tokens up to a stop string, and whether there is one."""
    joiner, stopper = fitted.tokenizer.joiner(prompt), Stopper(writing.stops)
    text = "".join([stopper.push(joiner.push(token)) for token in tokens])
    if not stopper.found:
        text += stopper.push(joiner.flush()) + stopper.flush()
    return text, stopper.found
