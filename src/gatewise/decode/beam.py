"""Beam search over any step function, many sentences at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gatewise.checks import whole
from gatewise.decode.limits import Limits
from gatewise.decode.penalties import Penalties
from gatewise.decode.stepping import Step, StepModel
from gatewise.errors import ArgumentError, ArgumentTypeError
from gatewise.nn.arguments import no_type_check

__all__ = ["Hypothesis", "beam_search", "greedy"]


@dataclass(frozen=True)
class Hypothesis:
    """One thing that a model might say.

    Attributes:
        tokens: what it says, without the stop token; where `ends` ended it, with its last token.
        score: by which hypotheses are compared.
        log_prob: its log-probability under the model, the stop token included.
        stop: the token that ended it; None where it was cut at its greatest length or nothing could follow.
        attention: (steps, positions), if it was asked for; a stop token is the last step.
    """

    tokens: tuple[int, ...]
    score: float
    log_prob: float
    stop: int | None
    attention: Tensor | None = None


@no_type_check
def beam_search(
    model: StepModel,
    start: Int[Tensor, " sentences"],
    state: Any,
    limits: Limits,
    *,
    beam_size: int = 5,
    n_best: int = 1,
    penalties: Penalties | None = None,
    positions: Int[Tensor, " sentences"] | None = None,
    keep_attention: bool = False,
    ends: Callable[[Sequence[int]], bool] | None = None,
) -> list[list[Hypothesis]]:
    """The best hypotheses that a beam finds, for each sentence.

    At each step the hypotheses of a sentence are continued by every token and the best ones by log-probability are
    kept: as many as the beam is wide, less those that have ended (Sutskever et al. 2014, section 3.2; so a beam of 1 is
    greedy search). A sentence is done when none of its hypotheses is left, or when none that is left can still
    beat the `n_best` that have ended. A beam with room for every prefix finds what a search over all sequences finds.

    Args:
        model: gives log-probabilities step by step.
        start: (sentences,) the token that each sentence begins with; it is no part of a hypothesis.
        state: of the model before it reads `start`, one row per sentence.
        limits: what may be said.
        beam_size: hypotheses of a sentence that are followed, at least 1.
        n_best: how many are given back, 1 to `beam_size`.
        penalties: how hypotheses of different lengths are compared; None: by log-probability.
        positions: (sentences,) for the coverage penalty: the number of positions that each sentence reads, where they
            are padded to one width.
        keep_attention: whether hypotheses carry the attention of their steps.
        ends: whether a hypothesis of these tokens has ended, for what no single token can say (a stop string).

    Returns:
        For each sentence its hypotheses, best first: `n_best` of them, or fewer where fewer have ended.

    Raises:
        ArgumentError: a value out of range, or log-probabilities that are not a number.
        ArgumentTypeError: a wrong type.

    Example:
        >>> import torch
        >>> class Coin:  # says 1 with probability 0.6, then stops (0)
        ...     def step(self, tokens, state):
        ...         return Step(torch.tensor([[0.4, 0.6]]).log().expand(len(tokens), 2), state)
        ...
        ...     def select(self, state, rows):
        ...         return state
        >>> found = beam_search(Coin(), torch.tensor([1]), None, Limits(3, stop=(0,)), beam_size=4, n_best=2)
        >>> [hypothesis.tokens for hypothesis in found[0]]
        [(), (1,)]

    References:
        Sutskever et al. 2014, "Sequence to sequence learning with neural networks"; Wu et al. 2016, section 7.
    """
    _check(start, beam_size, n_best)
    search = _Search(
        limits, penalties or Penalties(), start, beam_size, n_best, positions, keep_attention, ends
    )
    tokens = start
    while True:
        step = model.step(tokens, state)
        rows = search.advance(step)
        if rows is None:
            return search.results()
        state = step.state
        if rows.numel() != len(tokens) or not torch.equal(
            rows.flatten(), torch.arange(len(tokens), device="cpu").to(rows)
        ):
            state = model.select(state, rows)
        tokens = search.last()


def greedy(
    model: StepModel, start: Int[Tensor, " sentences"], state: Any, limits: Limits, **options: Any
) -> list[Hypothesis]:
    """The hypothesis that takes the most probable token at each step: a beam of 1.

    Args:
        model, start, state, limits: as in `beam_search`.
        **options: its `penalties`, `positions` and `keep_attention`.
    """
    found = beam_search(model, start, state, limits, beam_size=1, **options)
    return [own[0] for own in found]


class _Search:
    """The hypotheses of all sentences that are not done: (sentences, width), dead ones with a score of -inf."""

    def __init__(
        self,
        limits: Limits,
        penalties: Penalties,
        start: Tensor,
        beam_size: int,
        n_best: int,
        positions: Tensor | None,
        keep_attention: bool,
        ends: Callable[[Sequence[int]], bool] | None,
    ) -> None:
        self.limits, self.penalties, self.beam_size, self.n_best = limits, penalties, beam_size, n_best
        self.keep_attention, self.ends = keep_attention, ends
        count, device = len(start), start.device
        self.most = limits.lengths(count).to(device)
        self.positions = None if positions is None else positions.tolist()
        self.ended: list[list[Hypothesis]] = [[] for _ in range(count)]
        self.sentences = torch.arange(count, device=device)
        self.said = torch.zeros(count, 1, 0, dtype=torch.int64, device=device)
        self.scores = torch.zeros(count, 1, device=device)
        self.stops = torch.tensor(limits.stop, dtype=torch.int64, device=device)
        self.covered: Tensor | None = None
        self.attention: Tensor | None = None

    def last(self) -> Int[Tensor, " rows"]:
        """What each row said last."""
        return self.said[:, :, -1].flatten()

    def results(self) -> list[list[Hypothesis]]:
        """The best hypotheses of each sentence."""
        return [sorted(own, key=lambda one: -one.score)[: self.n_best] for own in self.ended]

    def advance(self, step: Step) -> Int[Tensor, "sentences width"] | None:
        """Take a step's log-probabilities in; the rows to go on with, None when all is done."""
        count, width, length = self.said.shape
        log_probs = self.limits.apply(step.log_probs, self.said.flatten(0, 1)).view(count, width, -1)
        totals = self.scores.to(log_probs.dtype)[..., None] + log_probs
        self._close_stuck(totals)
        self._cover(step.attention)
        best, place = totals.flatten(1).topk(min(self.beam_size, totals[0].numel()))
        if bool(torch.isnan(best).any()):
            raise ArgumentError(
                "model: log-probabilities are expected, came some that are not a number (nan)"
            )
        parent, token = place // totals.shape[2], place % totals.shape[2]
        room = self.beam_size - torch.tensor(
            [len(self.ended[i]) for i in self.sentences.tolist()], device="cpu"
        )
        chosen = (best > -torch.inf) & (torch.arange(best.shape[1]) < room[:, None]).to(best.device)
        stopped = torch.isin(token, self.stops) | self._end_said(parent, token, chosen)
        ends = chosen & (stopped | (length + 1 >= self.most[self.sentences])[:, None])
        for row, slot in ends.nonzero().tolist():
            over = bool(stopped[row, slot])
            self._end(row, int(parent[row, slot]), float(best[row, slot]), int(token[row, slot]), over)
        return self._go_on(best, parent, token, chosen & ~ends)

    def _cover(self, attention: Tensor | None) -> None:
        """Add up what each position got, where it will be asked for."""
        if attention is None:
            if self.penalties.coverage:
                raise ArgumentError(
                    "coverage: a model that gives its attention is expected, came one without; set it to 0"
                )
            return
        now = attention.view(*self.said.shape[:2], -1)
        if self.penalties.coverage:
            self.covered = now if self.covered is None else self.covered + now
        if self.keep_attention:
            own = now[:, :, None]
            self.attention = own if self.attention is None else torch.cat([self.attention, own], dim=2)

    def _close_stuck(self, totals: Float[Tensor, "sentences width vocabulary"]) -> None:
        """Hypotheses that nothing may follow end where they are."""
        stuck = (self.scores > -torch.inf) & (totals == -torch.inf).all(-1)
        for row, slot in stuck.nonzero().tolist():
            self._end(row, slot, float(self.scores[row, slot]), None, False)

    def _end_said(self, parent: Tensor, token: Tensor, chosen: Tensor) -> Tensor:
        """Which of the chosen have ended by what they say as a whole."""
        found = torch.zeros_like(chosen)
        if self.ends is not None:
            for row, slot in chosen.nonzero().tolist():
                said = [*self.said[row, parent[row, slot]].tolist(), int(token[row, slot])]
                found[row, slot] = bool(self.ends(said))
        return found

    def _end(self, row: int, slot: int, log_prob: float, token: int | None, stopped: bool) -> None:
        """Keep a hypothesis that ends with a token: a stop token, or the last that there is room for."""
        said = self.said[row, slot].tolist() + ([] if token is None else [token])
        stop = token if stopped else None
        sentence = int(self.sentences[row])
        covered = None
        if self.covered is not None:
            covered = self.covered[row, slot]
            covered = covered if self.positions is None else covered[: self.positions[sentence]]
        score = self.penalties.score(log_prob, max(len(said), 1), covered)
        kept = None if self.attention is None else self.attention[row, slot, : len(said)].clone()
        words = tuple(said[:-1] if token in self.limits.stop else said)
        self.ended[sentence].append(Hypothesis(words, score, log_prob, stop, kept))

    def _go_on(
        self, best: Tensor, parent: Tensor, token: Tensor, alive: Bool[Tensor, "sentences slots"]
    ) -> Int[Tensor, "going width"] | None:
        """Keep the sentences that are not done and, side by side, their hypotheses that are alive."""
        going = torch.tensor(
            [self._may_improve(i, own) for i, own in enumerate(_most(best, alive))], device=best.device
        )
        if not bool(going.any()):
            return None
        width = int(alive[going].sum(1).max())
        # Those alive first, in their order; what fills up a narrower sentence is dead.
        order = torch.argsort((~alive).to(torch.int8), dim=1, stable=True)[going, :width]
        old, rows = self.said.shape[1], going.nonzero()
        parent = parent[going].gather(1, order)
        self.said = torch.cat([self.said[rows, parent], token[going].gather(1, order)[..., None]], dim=-1)
        self.scores = best[going].gather(1, order).masked_fill(~alive[going].gather(1, order), -torch.inf)
        self.sentences = self.sentences[going]
        self.covered = None if self.covered is None else self.covered[rows, parent]
        self.attention = None if self.attention is None else self.attention[rows, parent]
        return rows * old + parent

    def _may_improve(self, row: int, best: float) -> bool:
        """Whether a hypothesis that is alive can still come among the best that have ended."""
        sentence = int(self.sentences[row])
        ended = self.ended[sentence]
        if best == -torch.inf or len(ended) >= self.beam_size:
            return False
        if len(ended) < self.n_best:
            return True
        worst = sorted((one.score for one in ended), reverse=True)[self.n_best - 1]
        return self.penalties.bound(best, int(self.most[sentence])) > worst


def _most(best: Tensor, alive: Tensor) -> list[float]:
    """The largest score alive of each sentence."""
    return best.masked_fill(~alive, -torch.inf).amax(1).tolist()  # type: ignore[no-any-return]


def _check(start: Any, beam_size: Any, n_best: Any) -> None:
    check_start(start)
    for name, value in (("beam_size", beam_size), ("n_best", n_best)):
        whole(name, value)
    if n_best > beam_size:
        raise ArgumentError(f"n_best: at most beam_size ({beam_size}) is expected, came {n_best}")


def check_start(start: Any) -> None:
    """Raises unless these are the first tokens of a batch.

    Raises:
        ArgumentError: there are none.
        ArgumentTypeError: no tensor of int64 and shape (sentences,).
    """
    if not isinstance(start, Tensor) or start.dim() != 1 or start.dtype != torch.int64:
        came = (
            f"{start.dtype} of shape {tuple(start.shape)}"
            if isinstance(start, Tensor)
            else type(start).__name__
        )
        raise ArgumentTypeError(f"start: a tensor of int64 and shape (sentences,) is expected, came {came}")
    if not len(start):
        raise ArgumentError("start: at least one sentence is expected, came none")
