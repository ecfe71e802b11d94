"""A linear-chain conditional random field over tags: likelihood, marginals and the best path.

Lafferty, McCallum & Pereira 2001. The probability of tags y for a sequence of scores s is

    p(y) = exp(start[y_1] + sum_t s_t[y_t] + sum_t transitions[y_(t-1), y_t] + end[y_T]) / Z

All recursions are scaled: at each step what is carried is brought back to a logarithm of probabilities, and what was
taken off is summed as small differences, so that float32 is enough for sequences of any length.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from gatewise.engines.geometry import as_lengths, check_flags, expect_tensor
from gatewise.errors import ArgumentError, ArgumentTypeError, ShapeError
from gatewise.nn.arguments import check_size, no_type_check
from gatewise.nn.crf_chain import carried, chain_norms, marginals, norms_by_step, steps_there
from gatewise.nn.crf_sums import ILLEGAL, sum_over_sources

__all__ = ["CRF"]


class CRF(nn.Module):
    """Scores of tags next to each other, on top of a network's scores of each tag at each step.

    Args:
        tags: how many there are, at least 1.
        allowed: (tags, tags) bool, whether the second may follow the first; None: all may.
        allowed_start, allowed_end: (tags,) bool, whether a sequence may begin or end with it; None: with all.

    Attributes:
        transitions: (tags, tags) scores of one tag (row) before another (column).
        start, end: (tags,) scores of the first and the last tag.

    Raises:
        ArgumentError, ArgumentTypeError: the arguments do not fit, or leave no path at all for some length.

    Example:
        >>> import torch
        >>> crf = CRF(3)
        >>> scores = torch.zeros(4, 2, 3)  # (time, batch, tags)
        >>> tags = torch.zeros(4, 2, dtype=torch.int64)
        >>> round(float(crf.log_likelihood(scores, tags)[0].exp() * 3**4), 5)
        1.0
        >>> crf.viterbi(scores, lengths=torch.tensor([4, 2]))[0][:, 1].tolist()
        [0, 0, -1, -1]

    References:
        Lafferty, McCallum & Pereira 2001; Rabiner 1989 (scaling); Tsuboi et al. 2008 (partly labelled sequences).
    """

    @no_type_check
    def __init__(
        self,
        tags: int,
        *,
        allowed: Tensor | None = None,
        allowed_start: Tensor | None = None,
        allowed_end: Tensor | None = None,
    ) -> None:
        super().__init__()
        check_size("tags", tags)
        self.tags = tags
        moves = _flags("allowed", allowed, (tags, tags))
        first = _flags("allowed_start", allowed_start, (tags,))
        last = _flags("allowed_end", allowed_end, (tags,))
        _check_paths(moves, first, last)
        self.transitions = nn.Parameter(torch.zeros(tags, tags))
        self.start = nn.Parameter(torch.zeros(tags))
        self.end = nn.Parameter(torch.zeros(tags))
        # What is allowed belongs to the configuration, not to the weights.
        self.register_buffer("allowed", moves, persistent=False)
        self.register_buffer("allowed_start", first, persistent=False)
        self.register_buffer("allowed_end", last, persistent=False)
        self._forward_sum = sum_over_sources(moves)
        self._backward_sum = sum_over_sources(moves.T)

    @no_type_check
    def log_likelihood(
        self,
        scores: Tensor,
        tags: Tensor,
        lengths: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        partial: bool = False,
    ) -> Float[Tensor, " batch"]:
        """The logarithm of the probability of tags.

        Args:
            scores: (time, batch, tags) of the network.
            tags: (time, batch) the right tags' numbers; outside `lengths` and `mask` they may be anything.
            lengths: (batch,) steps of each sequence, zero allowed; None: all.
            mask: (time, batch) in place of `lengths`: steps where it is False are left out, wherever they are.
            partial: whether a tag of -1 stands for one that is not known; then it is the probability of all paths
                that agree with the known ones (Tsuboi et al. 2008).

        Returns:
            (batch,), at most 0, and 0 for a sequence without steps; tags that are not allowed get about -10000.

        Raises:
            ShapeError, ArgumentTypeError: the tensors do not fit.
            ArgumentError: a tag is out of range.
        """
        scores, lengths, order = self._entered(scores, lengths, mask)
        _check_tags(scores, tags)
        tags = tags if order is None else tags.gather(0, order)
        there = steps_there(scores, lengths)
        self._check_range(tags, there, partial)
        with _full_precision(scores):
            norms, final = self._norms(scores, lengths)
            if not partial:
                gold, last = self._gold(scores, tags.clamp(min=0), lengths, there)
            else:
                known = tags[..., None] == torch.arange(self.tags, device=tags.device)
                held = torch.where((tags >= 0)[..., None], known, True)
                gold, last = self._norms(torch.where(held, scores, scores + ILLEGAL), lengths)
            # Differences of each step, which are small, and not of two sums, which are large.
            return (gold - norms).sum(0) + (last - final)

    @no_type_check
    def log_partition(
        self, scores: Tensor, lengths: Tensor | None = None, *, mask: Tensor | None = None
    ) -> Float[Tensor, " batch"]:
        """log Z: the logarithm of the sum over all paths of exp(their score).

        Args:
            scores, lengths, mask: as in `log_likelihood`.
        """
        scores, lengths, _ = self._entered(scores, lengths, mask)
        with _full_precision(scores):
            norms, final = self._norms(scores, lengths)
            return norms.sum(0) + final

    @no_type_check
    def marginals(
        self, scores: Tensor, lengths: Tensor | None = None, *, mask: Tensor | None = None
    ) -> Float[Tensor, "time batch tags"]:
        """The probability of each tag at each step, all paths taken together (forward and backward recursions).

        Args:
            scores, lengths, mask: as in `log_likelihood`.

        Returns:
            (time, batch, tags), sums over the tags are 1; 0 where there is no step.
        """
        scores, lengths, order = self._entered(scores, lengths, mask)
        with _full_precision(scores):
            start, end = self._ends()
            moves = self._moves()
            ahead = carried(scores, start, lengths, self._forward_sum.over(moves))
            found = marginals(scores, ahead, end, lengths, self._backward_sum.over(moves.T))
        return found if order is None else _put_back(found, order)

    @no_type_check
    @torch.no_grad()
    def viterbi(
        self, scores: Tensor, lengths: Tensor | None = None, *, mask: Tensor | None = None
    ) -> tuple[Int64[Tensor, "time batch"], Float[Tensor, " batch"]]:
        """The path with the largest probability (Viterbi 1967).

        Args:
            scores, lengths, mask: as in `log_likelihood`.

        Returns:
            (time, batch) tags, -1 where there is no step, and the (batch,) paths' scores (before log Z is taken off).
        """
        scores, lengths, order = self._entered(scores, lengths, mask)
        there = steps_there(scores, lengths)
        with _full_precision(scores):
            start, end = self._ends()
            moves = self._moves()
            stay = torch.arange(self.tags, device=scores.device).expand(scores.shape[1], -1)
            best = start + scores[0]
            total = torch.zeros_like(best[:, 0])
            pointers = []
            for step in range(1, scores.shape[0]):
                value, source = (best[:, :, None] + moves).max(1)
                new = value + scores[step]
                most = new.max(1, keepdim=True).values
                here = there[step][:, None]
                best = torch.where(here, new - most, best)
                total = total + torch.where(here, most, 0.0)[:, 0]
                pointers.append(torch.where(here, source, stay))
            value, tag = (best + end).max(1)
            path = [tag]
            for source in reversed(pointers):
                path.append(source.gather(1, path[-1][:, None])[:, 0])
            tags = torch.where(there, torch.stack(path[::-1]), -1)
            total = torch.where(lengths > 0, total + value, 0.0)
        return (tags if order is None else _put_back(tags, order, -1)), total

    def extra_repr(self) -> str:
        """The number of tags, and whether some moves are not allowed."""
        return f"{self.tags}" + ("" if bool(self.allowed.all()) else ", constrained")

    # --- the recursions

    def _moves(self) -> Tensor:
        return _at_least_single(self.transitions) + torch.where(self.allowed, 0.0, ILLEGAL)

    def _ends(self) -> tuple[Tensor, Tensor]:
        start = _at_least_single(self.start) + torch.where(self.allowed_start, 0.0, ILLEGAL)
        return start, _at_least_single(self.end) + torch.where(self.allowed_end, 0.0, ILLEGAL)

    def _norms(self, scores: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """What is taken off at each step, (time, batch), and at the end, (batch,): their sum is log Z."""
        start, end = self._ends()
        moves = self._moves()
        if not torch.compiler.is_compiling():
            return chain_norms(scores, moves, start, end, lengths, self._forward_sum, self._backward_sum)
        return norms_by_step(scores, start, end, lengths, self._forward_sum.over(moves))[:2]

    def _gold(self, scores: Tensor, tags: Tensor, lengths: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """The given path's score at each step, (time, batch), and at the end, (batch,)."""
        start, end = self._ends()
        tags = torch.where(there, tags, 0)
        own = scores.gather(2, tags[..., None])[..., 0]
        moved = torch.cat([start[tags[:1]], self._moves()[tags[:-1], tags[1:]]])
        last = tags.gather(0, (lengths - 1).clamp(min=0)[None])[0]
        return torch.where(there, own + moved, 0.0), torch.where(lengths > 0, end[last], 0.0)

    # --- the edge

    @no_type_check
    def _entered(
        self, scores: Tensor, lengths: Tensor | None, mask: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Checked scores in float32 or float64, lengths, and where steps came from if a mask left some out."""
        expect_tensor("scores", scores, "(time, batch, tags)")
        if scores.ndim != 3 or scores.shape[2] != self.tags or scores.shape[0] == 0:
            raise ShapeError(
                f"scores: (time, batch, {self.tags}) with at least one step is expected, came {tuple(scores.shape)}"
            )
        if scores.is_complex():
            raise ArgumentTypeError(f"scores: real numbers are expected, came {scores.dtype}; take .real")
        if scores.device != self.transitions.device:
            raise ShapeError(
                f"scores: {self.transitions.device}, where the weights are, is expected, came {scores.device}"
            )
        scores = _at_least_single(scores)
        time, batch = scores.shape[:2]
        if mask is not None:
            if lengths is not None:
                raise ArgumentError("mask: lengths or a mask is expected, came both; leave one out")
            check_flags("mask", mask, (time, batch), scores.device)
            order = torch.argsort(~mask, dim=0, stable=True)
            return scores.gather(0, order[..., None].expand(-1, -1, self.tags)), mask.sum(0), order
        if lengths is None:
            return scores, torch.full((batch,), time, device=scores.device), None
        return scores, as_lengths(lengths, batch, time, scores.device), None

    def _check_range(self, tags: Tensor, there: Tensor, partial: bool) -> None:
        if torch.compiler.is_compiling() or tags.device.type == "meta":
            return
        least = -1 if partial else 0
        wrong = there & ((tags < least) | (tags >= self.tags))
        if bool(wrong.any()):
            step, row = wrong.nonzero()[0].tolist()
            raise ArgumentError(
                f"tags: numbers in {least} to {self.tags - 1} are expected, came {int(tags[step, row])} at step "
                f"{step} of sequence {row}"
                + ("" if partial else "; with partial=True, -1 stands for a tag that is not known")
            )


def _at_least_single(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


def _put_back(found: Tensor, order: Tensor, fill: int = 0) -> Tensor:
    """Steps at the places that a mask took them from; `found` already holds `fill` where there is none."""
    place = order if found.ndim == 2 else order[..., None].expand_as(found)
    return torch.full_like(found, fill).scatter(0, place, found)


def _full_precision(scores: Tensor) -> torch.autocast:
    """No autocast: sums of exponentials need float32."""
    return torch.autocast(scores.device.type, enabled=False)


def _flags(name: str, flags: object, shape: tuple[int, ...]) -> Tensor:
    if flags is None:
        return torch.ones(shape, dtype=torch.bool)
    if not isinstance(flags, Tensor) or flags.dtype != torch.bool:
        kind = str(flags.dtype) if isinstance(flags, Tensor) else type(flags).__name__
        raise ArgumentTypeError(f"{name}: a bool tensor is expected, came {kind}")
    if flags.shape != shape:
        raise ShapeError(f"{name}: shape {shape} is expected, came {tuple(flags.shape)}")
    return flags.detach().clone()


def _check_paths(moves: Tensor, first: Tensor, last: Tensor) -> None:
    """Refuse constraints under which sequences of some length have no path at all."""
    reached = first
    for length in range(1, len(first) + 2):
        if not bool((reached & last).any()):
            raise ArgumentError(
                f"allowed, allowed_start, allowed_end: a path for every length is expected, there is none of {length} "
                "steps; allow more"
            )
        reached = (reached[:, None] & moves).any(0)


def _check_tags(scores: Tensor, given: object) -> None:
    tags = expect_tensor("tags", given, "(time, batch) numbers of tags")
    if tags.dtype != torch.int64:
        raise ArgumentTypeError(f"tags: an int64 tensor is expected, came {tags.dtype}")
    if tags.shape != scores.shape[:2] or tags.device != scores.device:
        raise ShapeError(
            f"tags: shape {tuple(scores.shape[:2])} on {scores.device} is expected, came {tuple(tags.shape)} on "
            f"{tags.device}"
        )
