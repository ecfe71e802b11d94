"""Attention over a sequence: additive, dot, general and concat scores, masks by lengths, coverage."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gatewise.engines import geometry
from gatewise.engines.geometry import expect_tensor
from gatewise.errors import ArgumentError, ArgumentTypeError, ShapeError
from gatewise.nn.arguments import check_flag, check_room, check_size, no_type_check

__all__ = ["SCORES", "Attention", "Memory"]

SCORES = ("additive", "dot", "general", "concat")


class Memory(NamedTuple):
    """What is attended to, with what each query would compute anew computed once.

    Attributes:
        values: (batch, positions, size), what the context is made of.
        keys: (batch, positions, key size), what a query is compared with.
        mask: (batch, positions), False for padding.
    """

    values: Float[Tensor, "batch positions size"]
    keys: Float[Tensor, "batch positions keys"]
    mask: Bool[Tensor, "batch positions"]

    def select(self, rows: Int[Tensor, " chosen"]) -> Memory:
        """The memory of some sequences of the batch, in the order given."""
        return Memory(*(one.index_select(0, rows) for one in self))


class Attention(torch.nn.Module):
    """Weights over the positions of a sequence, by how well each fits a query, and their weighted mean.

    With query q and position h the score is:

    - "additive": v . tanh(W q + U h + b) (Bahdanau et al. 2015, appendix A.1.2),
    - "dot": q . h; "general": q . W h; "concat": v . tanh(W [q; h]) (Luong et al. 2015, section 3.1).

    "concat" is "additive" without b: the papers differ in which state of the decoder asks. With coverage the score
    reads what a position already got: v . tanh(W q + U h + w c + b) (See et al. 2017, equation 11).

    Args:
        score: One of these.
        query_size: Features of a query.
        memory_size: Features of a position.
        attention_size: Units of "additive" and "concat"; None: query_size.
        coverage: Whether the score reads the coverage; for "additive" and "concat".

    Raises:
        ArgumentError: An unknown score, or sizes that do not go with it.

    Example:
        >>> import torch
        >>> attention = Attention("general", 4, 6)
        >>> memory = attention.prepare(torch.randn(5, 2, 6), torch.tensor([5, 3]))
        >>> context, weights = attention(torch.randn(7, 2, 4), memory)
        >>> context.shape, weights.shape, bool((weights[:, 1, 3:] == 0).all())
        (torch.Size([7, 2, 6]), torch.Size([7, 2, 5]), True)
    """

    @no_type_check
    def __init__(
        self,
        score: str,
        query_size: int,
        memory_size: int,
        attention_size: int | None = None,
        *,
        coverage: bool = False,
    ) -> None:
        if not isinstance(score, str) or score not in SCORES:
            raise ArgumentError(f"score: expected one of {', '.join(SCORES)}, got {score!r:.60}")
        size = query_size if attention_size is None else attention_size
        for name, value in (
            ("query_size", query_size),
            ("memory_size", memory_size),
            ("attention_size", size),
        ):
            check_size(name, value)
        if score == "dot" and query_size != memory_size:
            raise ArgumentError(
                f"score: expected query_size = memory_size for 'dot', got {query_size} and {memory_size}; use 'general'"
            )
        if coverage and score in ("dot", "general"):
            raise ArgumentError(
                f"coverage: expected False for the score {score!r}, which has no units that could read it, got True; "
                "use 'additive'"
            )
        check_flag("coverage", coverage)
        if score != "dot":
            elements = query_size * memory_size if score == "general" else size * (memory_size + query_size)
            check_room("query_size, memory_size, attention_size", elements)
        super().__init__()
        self.score, self.query_size, self.memory_size = score, query_size, memory_size
        self.key = self.query = self.energy = self.cover = None
        if score == "general":
            self.key = torch.nn.Linear(memory_size, query_size, bias=False)
        elif score != "dot":
            self.key = torch.nn.Linear(memory_size, size, bias=False)
            self.query = torch.nn.Linear(query_size, size, bias=score == "additive")
            self.energy = torch.nn.Linear(size, 1, bias=False)
            self.cover = torch.nn.Linear(1, size, bias=False) if coverage else None

    @no_type_check
    def prepare(
        self, sequence: Float[Tensor, "positions batch size"], lengths: Int[Tensor, " batch"] | None = None
    ) -> Memory:
        """Computes what does not depend on the query.

        Args:
            sequence: (positions, batch, memory_size).
            lengths: (batch,) how many positions of each sequence are there; zero is allowed. None: all.

        Returns:
            What `forward` takes.
        """
        sequence = expect_tensor("sequence", sequence, "(positions, batch, memory_size)")
        if sequence.dim() != 3 or sequence.shape[-1] != self.memory_size:
            raise ShapeError(
                f"sequence: expected (positions, batch, {self.memory_size}), got shape {tuple(sequence.shape)}"
            )
        self._check_like("sequence", sequence)
        values = sequence.transpose(0, 1).contiguous()
        batch, positions, _ = values.shape
        places = torch.arange(positions, device=values.device)
        if lengths is None:
            mask = places.new_ones((batch, positions), dtype=torch.bool)
        else:
            mask = places < geometry.as_lengths(lengths, batch, positions, values.device)[:, None]
        return Memory(values, values if self.key is None else self.key(values), mask)

    def _check_like(self, argument: str, tensor: Tensor, like: Tensor | None = None) -> None:
        """Raises ShapeError unless a tensor goes with the weights, or with another; autocast converts by itself."""
        if tensor.dtype not in geometry.FLOATS:
            raise ShapeError(
                f"{argument}: expected floating-point numbers, got {tensor.dtype}; convert with .float()"
            )
        like = like if self.key is None else self.key.weight
        if like is not None and not torch._C._is_any_autocast_enabled():
            geometry.check_like(argument, tensor, like)

    @no_type_check
    def forward(
        self,
        query: Float[Tensor, "queries batch features"],
        memory: Memory,
        coverage: Float[Tensor, "queries batch positions"] | None = None,
    ) -> tuple[Float[Tensor, "queries batch size"], Float[Tensor, "queries batch positions"]]:
        """Attends once for each query.

        Args:
            query: (queries, batch, query_size): the steps of a decoder, or the hypotheses of a beam.
            memory: What `prepare` gave.
            coverage: (queries, batch, positions) what each position got so far, for a module with coverage.

        Returns:
            The context, (queries, batch, memory_size), and the weights, (queries, batch, positions): they add up to 1,
            padding has none. Both are zero for a sequence without any position.

        Raises:
            ShapeError: Something does not fit.
        """
        query = expect_tensor("query", query, "(queries, batch, query_size)")
        if not isinstance(memory, Memory):
            raise ArgumentTypeError(
                f"memory: expected what prepare() gave, got {type(memory).__name__}; call it first"
            )
        if query.dim() != 3 or query.shape[-1] != self.query_size or query.shape[1] != len(memory.values):
            raise ShapeError(
                f"query: expected (queries, {len(memory.values)}, {self.query_size}), got {tuple(query.shape)}"
            )
        self._check_like("query", query, memory.values)
        if coverage is not None:
            expect_tensor("coverage", coverage, "(queries, batch, positions)")
            expected = (len(query), *memory.mask.shape)
            if coverage.shape != expected:
                raise ShapeError(f"coverage: expected {expected}, got shape {tuple(coverage.shape)}")
            self._check_like("coverage", coverage)
        scores = self._scores(query, memory, coverage)
        scores = scores.masked_fill(~memory.mask, torch.finfo(scores.dtype).min)
        # Where all is padding the softmax is even: the mask takes it away.
        weights = scores.softmax(-1) * memory.mask
        context = torch.bmm(weights.transpose(0, 1), memory.values).transpose(0, 1)
        return context, weights

    def _scores(self, query: Tensor, memory: Memory, coverage: Tensor | None) -> Tensor:
        if (self.cover is None) != (coverage is None):
            raise ShapeError(
                "coverage: expected a tensor for a module with coverage=True and None for any other, got "
                + ("None" if coverage is None else f"shape {tuple(coverage.shape)}")
            )
        if self.query is None or self.energy is None:
            return torch.bmm(query.transpose(0, 1), memory.keys.transpose(1, 2)).transpose(0, 1)
        inner = self.query(query)[:, :, None] + memory.keys
        if self.cover is not None and coverage is not None:
            inner = inner + self.cover(coverage[..., None])
        return self.energy(torch.tanh(inner))[..., 0]  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        """The score and the sizes."""
        return f"{self.score!r}, query_size={self.query_size}, memory_size={self.memory_size}"
