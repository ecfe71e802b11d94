"""The most probable text after a prompt, by beam search over `network.step`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatewise.tasks.language.fitted import Fitted
from gatewise.tasks.language.generation import Writing, banned_tokens, read_prompt
from gatewise.tasks.language.network import select_states
from gatewise.tasks.language.stopping import Stopper

__all__ = ["allowed_logs", "search_text"]


@dataclass(frozen=True)
class _Hypothesis:
    """A text that is being searched: its tokens, the logarithm of their probability, and where it stopped."""

    tokens: tuple[int, ...]
    log: float
    stopped: bool = False


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
    output, states = read_prompt(fitted, prompt)
    banned = banned_tokens(fitted)
    kept, finished = [_Hypothesis((), 0.0)], []
    for _ in range(writing.max_tokens):
        logs = allowed_logs(fitted, output, banned)
        totals = np.array([one.log for one in kept])[:, None] + logs
        best = _largest(totals.ravel(), beams)
        grown, origins = [], []
        for place in best.tolist():
            origin, token = divmod(place, totals.shape[1])
            one = _Hypothesis((*kept[origin].tokens, token), float(totals[origin, token]))
            if _stops(fitted, prompt, one.tokens, writing):
                finished.append(_Hypothesis(one.tokens, one.log, stopped=True))
            else:
                grown.append(one)
                origins.append(origin)
        # What goes on can only become less probable.
        least = max((one.log for one in finished), default=-np.inf)
        going = [place for place, one in enumerate(grown) if one.log > least]
        kept = [grown[place] for place in going]
        if not kept or len(kept[0].tokens) == writing.max_tokens:
            break
        states = select_states(states, [origins[place] for place in going])
        tokens = torch.tensor([one.tokens[-1] for one in kept], device=fitted.device)
        with torch.inference_mode():
            output, states = fitted.network.step(tokens, states)
    winner = max([*kept, *finished], key=lambda one: one.log)
    return _text(fitted, prompt, winner.tokens, writing)[0]


def allowed_logs(fitted: Fitted, output: Tensor, banned: Any) -> NDArray[np.float64]:
    """Log probabilities of all tokens, minus infinity for what is never written; (rows, tokens)."""
    with torch.inference_mode():
        logs = fitted.network.head.log_probabilities(output).double().cpu().numpy()
    if banned is not None:
        logs[:, banned] = -np.inf
    return logs


def _largest(values: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Places of the largest finite values, the largest first; of equal ones the first."""
    if count < len(values):
        least = np.partition(values, len(values) - count)[len(values) - count]
        places = np.flatnonzero(values >= least)
    else:
        places = np.arange(len(values))
    places = places[np.isfinite(values[places])]
    return places[np.argsort(-values[places], kind="stable")][:count]


def _stops(fitted: Fitted, prompt: str, tokens: tuple[int, ...], writing: Writing) -> bool:
    return bool(writing.stops) and _text(fitted, prompt, tokens, writing)[1]


def _text(fitted: Fitted, prompt: str, tokens: tuple[int, ...], writing: Writing) -> tuple[str, bool]:
    """The text of tokens up to a stop string, and whether there is one."""
    joiner, stopper = fitted.tokenizer.joiner(prompt), Stopper(writing.stops)
    text = "".join([stopper.push(joiner.push(token)) for token in tokens])
    if not stopper.found:
        text += stopper.push(joiner.flush()) + stopper.flush()
    return text, stopper.found
