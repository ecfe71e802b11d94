"""Writing: one token after the other from `network.step`, one text or several side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatewise.errors import ArgumentError, DataError
from gatewise.nn import RecurrentState
from gatewise.tasks.language.choosing import Choice, draw
from gatewise.tasks.language.fitted import Fitted
from gatewise.tasks.language.network import States, select_states
from gatewise.tasks.language.scoring import read
from gatewise.tasks.language.stopping import Stopper

__all__ = ["LONGEST_PROMPT", "Writing", "banned_tokens", "read_prompt", "write_many", "write_stream"]

# A network with a state could read any length; a prompt longer than this is a file given by mistake.
LONGEST_PROMPT = 100_000


@dataclass(frozen=True)
class Writing:
    """What is to be written.

    Args:
        max_tokens: the most tokens.
        choice: how each is chosen.
        stops: where to stop; not written themselves.
        seed: of the random numbers; text number i of several draws from (seed, i).
    """

    max_tokens: int = 200
    choice: Choice = field(default_factory=Choice)
    stops: tuple[str, ...] = ()
    seed: int = 0

    def generator(self, number: int) -> np.random.Generator:
        """The random numbers of one text."""
        return np.random.default_rng((self.seed, number))


def write_stream(fitted: Fitted, prompt: str, writing: Writing) -> Iterator[str]:
    """Write on after a prompt, piece by piece; the pieces together are what `write_many` gives for it."""
    output, states = read_prompt(fitted, prompt)
    text = _Text(fitted, prompt, writing, 0)
    banned = banned_tokens(fitted)
    network, device = fitted.network, fitted.device
    for number in range(writing.max_tokens):
        if number:
            with torch.inference_mode():
                output, states = network.step(torch.tensor([token], device=device), states)
        token = text.choose(_logits(fitted, output, banned)[0])
        if shown := text.push(token):
            yield shown
        if text.stopped:
            return
    if shown := text.finish():
        yield shown


def write_many(fitted: Fitted, prompts: Sequence[str], writing: Writing) -> list[str]:
    """Write on after several prompts, side by side: each as if it were alone."""
    texts = [_Text(fitted, prompt, writing, number) for number, prompt in enumerate(prompts)]
    found = [""] * len(prompts)
    if not writing.max_tokens or not prompts:
        return found
    parts = [read_prompt(fitted, prompt) for prompt in prompts]
    output = torch.cat([part for part, _ in parts])
    states = _side_by_side([state for _, state in parts])
    banned, running = banned_tokens(fitted), list(range(len(prompts)))
    for number in range(writing.max_tokens):
        logits = _logits(fitted, output, banned)
        tokens = [texts[one].choose(row) for one, row in zip(running, logits, strict=True)]
        for one, token in zip(running, tokens, strict=True):
            found[one] += texts[one].push(token)
        going = [place for place, one in enumerate(running) if not texts[one].stopped]
        if not going or number == writing.max_tokens - 1:
            break
        if len(going) < len(running):
            states = select_states(states, going)
            running = [running[place] for place in going]
            tokens = [tokens[place] for place in going]
        with torch.inference_mode():
            output, states = fitted.network.step(torch.tensor(tokens, device=fitted.device), states)
    for one in range(len(prompts)):
        found[one] += texts[one].finish()
    return found


def read_prompt(fitted: Fitted, prompt: str) -> tuple[Tensor, States]:
    """The network's output after a prompt, (1, features), and its states.

    Raises:
        ArgumentError: the prompt is longer than `LONGEST_PROMPT` tokens.
        DataError: it holds what the vocabulary does not know.
    """
    try:
        ids = fitted.encode(prompt)
    except DataError as error:
        raise DataError(f"prompt: {error}") from error
    if len(ids) - 1 > LONGEST_PROMPT:
        raise ArgumentError(
            f"prompt: at most {LONGEST_PROMPT:,} tokens are expected, came {len(ids) - 1:,}; give the end of it"
        )
    return read(fitted.network, ids)


def banned_tokens(fitted: Fitted) -> Any:
    """What is never written: padding and the sign for unknown words; an array of their numbers, or None."""
    vocabulary = fitted.tokenizer.vocabulary
    numbers = [one for one in (vocabulary.pad_id, vocabulary.unknown_id) if one is not None]
    numbers += [
        vocabulary.index(token) for token in vocabulary.specials if vocabulary.index(token) not in numbers
    ]
    return np.array(numbers) if 0 < len(numbers) < len(vocabulary) else None


class _Text:
    """A text as it grows."""

    def __init__(self, fitted: Fitted, prompt: str, writing: Writing, number: int) -> None:
        self._choice = writing.choice
        self._generator = writing.generator(number)
        self._joiner = fitted.tokenizer.joiner(prompt)
        self._stopper = Stopper(writing.stops)

    @property
    def stopped(self) -> bool:
        return self._stopper.found

    def choose(self, logits: NDArray[np.float32]) -> int:
        return draw(logits, self._choice, self._generator)

    def push(self, token: int) -> str:
        return self._stopper.push(self._joiner.push(token))

    def finish(self) -> str:
        if self.stopped:
            return ""
        return self._stopper.push(self._joiner.flush()) + self._stopper.flush()


def _logits(fitted: Fitted, output: Tensor, banned: Any) -> NDArray[np.float32]:
    with torch.inference_mode():
        logits = fitted.network.head.logits(output).float().cpu().numpy()
    if banned is not None:
        logits[:, banned] = -np.inf
    return logits


def _side_by_side(parts: list[States]) -> States:
    """The states of several streams as those of one batch."""
    return [
        RecurrentState(
            [torch.cat(tensors, dim=1) for tensors in zip(*layers, strict=True)],
            names=layers[0].names,
            directions=1,
        )
        for layers in zip(*parts, strict=True)
    ]
