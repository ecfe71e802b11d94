"""What a search needs of a model: one step, and the choice of rows; it knows no network."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor
from torch.utils import _pytree

__all__ = ["Step", "StepModel", "select_rows"]

State = TypeVar("State")


class Step(NamedTuple):
    """What one step of a model gives.

    Attributes:
        log_probs: (rows, vocabulary) log-probabilities of the next token; -inf for what cannot come.
        state: what the next step starts from.
        attention: (rows, positions) weights over what the model reads, or None.
    """

    log_probs: Float[Tensor, "rows vocabulary"]
    state: Any
    attention: Float[Tensor, "rows positions"] | None = None


@runtime_checkable
class StepModel(Protocol):
    """A model that says, token by token, what may come next.

    A batch has sentences, and each sentence so many rows (hypotheses) as the search is wide; the rows of a sentence
    lie side by side. The search begins with one row per sentence.
    """

    def step(self, tokens: Int[Tensor, " rows"], state: Any) -> Step:
        """Read one token per row.

        Args:
            tokens: (rows,) what was said last.
            state: what the last step, `select` or the caller gave.
        """
        ...

    def select(self, state: Any, rows: Int[Tensor, "sentences width"]) -> Any:
        """The state whose rows are those that `rows` names.

        Args:
            state: of the last step.
            rows: (sentences, width) positions among its rows. All rows of one sentence come from one sentence, and
                sentences keep their order; what the rows of a sentence share can be kept once: sentence i comes from
                `rows[i, 0] // (width before)`.
        """
        ...


def select_rows(state: State, rows: Int[Tensor, "sentences width"], *, dim: int) -> State:
    """Rows of every tensor in nested tuples, lists, dicts or a `gatewise.nn.RecurrentState`.

    Args:
        state: tensors, all with their rows in the same dimension.
        rows: as in `StepModel.select`.
        dim: that dimension; 1 for the states of recurrent layers.

    Example:
        >>> import torch
        >>> from gatewise.nn import RecurrentState
        >>> state = RecurrentState((torch.arange(6.0).view(1, 3, 2),), names=("h",))
        >>> select_rows(state, torch.tensor([[2, 0]]), dim=1)[0]
        tensor([[[4., 5.],
                 [0., 1.]]])
    """
    flat = rows.flatten()
    return _pytree.tree_map_only(Tensor, lambda one: one.index_select(dim, flat), state)  # type: ignore[no-any-return]
