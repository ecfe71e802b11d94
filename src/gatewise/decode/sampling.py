"""Sampling from any step function: temperature, the k most probable, the most probable of mass p."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gatewise.checks import unwrapped, whole
from gatewise.decode.beam import Hypothesis, check_start
from gatewise.decode.limits import Limits
from gatewise.decode.stepping import StepModel
from gatewise.errors import ArgumentError, ArgumentTypeError
from gatewise.nn.arguments import no_type_check

__all__ = ["narrow", "sample"]


@no_type_check
def narrow(
    log_probs: Float[Tensor, "*rows vocabulary"],
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Float[Tensor, "*rows vocabulary"]:
    """Log-probabilities to draw from: sharpened, and cut to the most probable tokens.

    Args:
        log_probs: of the model.
        temperature: they are divided by it, above 0.
        top_k: only so many of the most probable tokens stay (Fan et al. 2018), at least 1; None: all.
        top_p: of these, the fewest most probable ones stay whose probability is at least so much (Holtzman et al.
            2020), above 0 and at most 1; None: all.

    Returns:
        Normalised; -inf for what does not stay.

    Raises:
        ArgumentError, ArgumentTypeError: a value out of range, or of a wrong type.

    Example:
        >>> import torch
        >>> narrow(torch.tensor([0.5, 0.3, 0.2]).log(), top_p=0.8).exp()
        tensor([0.6250, 0.3750, 0.0000])
    """
    _check(temperature, top_k, top_p)
    found = (log_probs / temperature).log_softmax(-1)
    if top_k is not None and top_k < found.shape[-1]:
        least = found.topk(top_k, dim=-1).values[..., -1:]
        found = found.masked_fill(found < least, -torch.inf).log_softmax(-1)
    if top_p is not None and top_p < 1:
        ordered, order = found.sort(dim=-1, descending=True)
        # A token stays while those before it do not have enough: the first one always does.
        before = ordered.exp().cumsum(-1) - ordered.exp()
        cut = torch.zeros_like(found, dtype=torch.bool).scatter(-1, order, before >= top_p)
        found = found.masked_fill(cut, -torch.inf).log_softmax(-1)
    return found


@no_type_check
def sample(
    model: StepModel,
    start: Int[Tensor, " sentences"],
    state: Any,
    limits: Limits,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> list[Hypothesis]:
    """One hypothesis for each sentence, drawn at random token by token.

    Args:
        model, start, state, limits: as in `gatewise.decode.beam_search`.
        temperature, top_k, top_p: as in `narrow`.
        generator: of the random numbers, on the CPU; None for torch's own.

    Returns:
        For each sentence a hypothesis; score and log_prob are its log-probability under the model itself.

    Raises:
        ArgumentError, ArgumentTypeError: a value out of range, or of a wrong type.

    Example:
        >>> import torch
        >>> from gatewise.decode import Step
        >>> class Dice:
        ...     def step(self, tokens, state):
        ...         return Step(torch.full((len(tokens), 6), 1 / 6).log(), state)
        ...
        ...     def select(self, state, rows):
        ...         return state
        >>> seeded = torch.Generator().manual_seed(0)
        >>> found = sample(Dice(), torch.tensor([0]), None, Limits(8), generator=seeded)
        >>> len(found[0].tokens)
        8
    """
    check_start(start)
    _check(temperature, top_k, top_p)
    most = limits.lengths(len(start))
    sentences, tokens = torch.arange(len(start), device="cpu"), start
    said = torch.zeros(len(start), 0, dtype=torch.int64, device=start.device)
    totals = torch.zeros(len(start), dtype=torch.float64, device="cpu")
    found: list[Hypothesis | None] = [None] * len(start)
    while True:
        step = model.step(tokens, state)
        allowed = limits.apply(step.log_probs, said)
        stuck = (allowed == -torch.inf).all(-1).cpu()
        allowed = torch.where(stuck[:, None].to(allowed.device), torch.zeros_like(allowed), allowed)
        odds = narrow(allowed, temperature=temperature, top_k=top_k, top_p=top_p).exp().cpu()
        drawn = torch.multinomial(odds, 1, generator=generator)
        gained = step.log_probs.cpu().gather(1, drawn)[:, 0].double()
        totals = totals + torch.where(stuck, 0.0, gained)
        stops = torch.isin(drawn[:, 0], torch.tensor(limits.stop, dtype=torch.int64, device="cpu"))
        done = stuck | stops | (said.shape[1] + 1 >= most[sentences])
        said = torch.cat([said, drawn.to(said.device)], dim=1)
        for row in done.nonzero()[:, 0].tolist():
            own, total = said[row].tolist(), float(totals[row])
            ended = bool(stops[row]) and not bool(stuck[row])
            words = own[:-1] if ended or bool(stuck[row]) else own
            found[int(sentences[row])] = Hypothesis(tuple(words), total, total, own[-1] if ended else None)
        going = (~done).nonzero()[:, 0]
        if not len(going):
            return [one for one in found if one is not None]
        state, sentences, totals = step.state, sentences[going], totals[going]
        said = said[going.to(said.device)]
        if len(going) < len(done):
            state = model.select(state, going[:, None].to(start.device))
        tokens = said[:, -1]


def _check(temperature: Any, top_k: Any, top_p: Any) -> None:
    top_p = unwrapped(top_p)
    for name, value in (("temperature", unwrapped(temperature)), ("top_p", top_p)):
        if value is None and name == "top_p":
            continue
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ArgumentTypeError(f"{name}: a number is expected, came {value!r} ({type(value).__name__})")
        if not 0 < value < float("inf"):
            raise ArgumentError(f"{name}: a finite number above 0 is expected, came {value}")
    if top_p is not None and top_p > 1:
        raise ArgumentError(f"top_p: at most 1 is expected, came {top_p}")
    if top_k is not None:
        whole("top_k", top_k)
