"""What a fitted language model writes: generate, stream and next_words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gatewise.errors import ArgumentError, ArgumentTypeError
from gatewise.nn.arguments import no_type_check
from gatewise.tasks.language.choosing import Choice
from gatewise.tasks.language.fitted import Fitted
from gatewise.tasks.language.generation import Writing, write_many, write_stream
from gatewise.tasks.language.nextwords import next_words
from gatewise.tasks.language.searching import search_text
from gatewise.tasks.language.stopping import check_stops
from gatewise.tasks.options import check_count

__all__ = ["Writes"]


class Writes:
    """The part of :class:`gatewise.LanguageModel` that writes; mixed into it."""

    fitted_: Fitted
    _require_fitted: Callable[[str], None]

    @no_type_check
    def generate(
        self,
        prompt: Any = "",
        *,
        max_tokens: int = 200,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        beams: int = 1,
        stop: Any = (),
        random_state: Any = 0,
    ) -> Any:
        """Write on.

        Args:
            prompt: what to go on from, or a list of such; the beginning of a text where it is empty.
            max_tokens: the most tokens, at least 0.
            temperature: what logits are divided by; 0 takes the most probable token every time.
            top_k: draw from so many of the most probable tokens; None: all.
            top_p: draw from the fewest of the most probable that have this probability together (Holtzman et al. 2020).
            beams: above 1, the most probable text that a search with so many beams finds, in place of a drawn one;
                temperature, top_k, top_p and random_state then say nothing and must be left out.
            stop: a string or several; the text ends before the first of them.
            random_state: an integer gives the same text every time; None another one each time.

        Returns:
            What follows the prompt, without it; for a list of prompts a list. Each text of a list is what it would be
            alone, up to rounding, but for its random numbers: text number i draws from (random_state, i).

        Raises:
            ArgumentError, ArgumentTypeError: an argument cannot be used, or a prompt is longer than 100,000 tokens.
            DataError: a prompt holds what the vocabulary does not know.
        """
        writing = self._writing(max_tokens, temperature, top_k, top_p, stop, random_state)
        check_count("beams", beams)
        prompts = [_prompt(one) for one in prompt] if isinstance(prompt, list | tuple) else [_prompt(prompt)]
        if beams > 1:
            if (temperature, top_k, top_p) != (1.0, None, None):
                raise ArgumentError(
                    "beams: a search draws nothing; leave temperature, top_k and top_p out, or beams"
                )
            found = [search_text(self.fitted_, one, writing, int(beams)) for one in prompts]
        else:
            found = write_many(self.fitted_, prompts, writing)
        return found if isinstance(prompt, list | tuple) else found[0]

    @no_type_check
    def stream(
        self,
        prompt: str = "",
        *,
        max_tokens: int = 200,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        stop: Any = (),
        random_state: Any = 0,
    ) -> Iterator[str]:
        """Write on, piece by piece as tokens come; the pieces together are what `generate` gives.

        Args:
            prompt: what to go on from.
            max_tokens, temperature, top_k, top_p, stop, random_state: as in `generate`.
        """
        writing = self._writing(max_tokens, temperature, top_k, top_p, stop, random_state)
        return write_stream(self.fitted_, _prompt(prompt), writing)

    @no_type_check
    def next_words(self, prompt: str = "", k: int = 5) -> list[tuple[str, float]]:
        """The most probable words after a prompt, with their probabilities.

        Models of characters and subwords search up to the next character that is no part of a word; if the prompt ends
        amid a word, they give its completions, whole.

        Args:
            prompt: what comes before.
            k: how many words, at least 1.

        Returns:
            (word, probability) pairs, the most probable first; a line end is "\\n".
        """
        self._require_fitted("fitted_")
        check_count("k", k)
        return next_words(self.fitted_, _prompt(prompt), int(k))

    def _writing(
        self, max_tokens: Any, temperature: Any, top_k: Any, top_p: Any, stop: Any, seed: Any
    ) -> Writing:
        self._require_fitted("fitted_")
        check_count("max_tokens", max_tokens, 0)
        if seed is None:
            seed = int(np.random.default_rng().integers(2**31))
        if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or seed < 0:
            raise ArgumentError(f"random_state: None or an integer of at least 0 is expected, came {seed!r}")
        return Writing(int(max_tokens), Choice(temperature, top_k, top_p), check_stops(stop), int(seed))


def _prompt(prompt: Any) -> str:
    if not isinstance(prompt, str):
        raise ArgumentTypeError(f"prompt: a string is expected, came {type(prompt).__name__}")
    return prompt
