"""The state of a recurrent layer: a tuple like torch's, that can also be sliced, stored and read out."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor
from torch.utils import _pytree

from gatewise.engines.geometry import FLOATS, expect_tensor
from gatewise.errors import ArgumentError, ArgumentTypeError, ShapeError, StoreError
from gatewise.nn.arguments import check_device, no_type_check

if TYPE_CHECKING:
    from gatewise.nn.recurrent import Recurrent

__all__ = ["RecurrentState"]

_FORMAT = "gatewise.state"
_VERSION = "1"
_HEADER_LIMIT = 1 << 20  # bytes; a state's header holds a few names


@no_type_check
class RecurrentState(tuple[Tensor, ...]):
    """The states of a layer, one tensor per state of its cell.

    It is a tuple, so that ``output, (h, c) = lstm(x)`` works as with torch; and a pytree, so that it passes
    through torch.compile, torch.export and torch.func. Each tensor is (layers * directions, batch, size), or
    (layers * directions, size) where the input has no batch axis; never batch_first.

    Args:
        tensors: One tensor per state.
        names: The states' names in the cell, such as ("h", "c").
        directions: 2 for a bidirectional layer, else 1; None where it is not known (a tuple rebuilt by other code).

    Example:
        >>> import torch
        >>> from gatewise import nn
        >>> lstm = nn.LSTM(3, 5, num_layers=2, bidirectional=True)
        >>> output, state = lstm(torch.zeros(7, 4, 3))
        >>> h, c = state
        >>> h.shape, state.last().shape, state.select(torch.tensor([0, 0, 3])).last().shape
        (torch.Size([4, 4, 5]), torch.Size([4, 10]), torch.Size([3, 10]))
    """

    names: tuple[str, ...]
    directions: int | None

    def __new__(
        cls, tensors: Iterable[Any] = (), *, names: Sequence[str] = (), directions: int | None = None
    ) -> RecurrentState:
        """Makes the tuple; it also accepts any one iterable, as code that rebuilds tuples expects."""
        self = super().__new__(cls, tensors)
        self.names = tuple(names)
        self.directions = directions
        return self

    @classmethod
    def of(cls, module: Recurrent, state: Tensor | Sequence[Tensor]) -> RecurrentState:
        """The state object for what a layer returned: a GRU or RNN returns, like torch's, a plain tensor.

        Args:
            module: The layer that returned it.
            state: A tensor, or one tensor per state.

        Returns:
            The same tensors with this class's methods.

        Example:
            >>> import torch
            >>> from gatewise import nn
            >>> gru = nn.GRU(3, 5, bidirectional=True)
            >>> output, h_n = gru(torch.zeros(7, 4, 3))
            >>> nn.RecurrentState.of(gru, h_n).last().shape
            torch.Size([4, 10])
        """
        if not hasattr(module, "state_names") or not hasattr(module, "bidirectional"):
            raise ArgumentTypeError(
                f"module: expected a gatewise.nn layer, got {type(module).__name__}; pass it first"
            )
        tensors = tuple(state) if isinstance(state, tuple | list) else (state,)
        if not all(isinstance(one, Tensor) for one in tensors):
            raise ArgumentTypeError(
                f"state: expected a tensor or a tuple of tensors, got {type(state).__name__}; "
                "pass what the layer returned"
            )
        if len(tensors) != len(module.state_names):
            raise ShapeError(
                f"state: expected {len(module.state_names)} tensors ({', '.join(module.state_names)}) for "
                f"{type(module).__name__}, got {len(tensors)}; pass what the layer returned"
            )
        return cls(tensors, names=module.state_names, directions=2 if module.bidirectional else 1)

    def _like(self, tensors: Iterable[Tensor]) -> RecurrentState:
        return RecurrentState(tensors, names=self.names, directions=self.directions)

    def last(self) -> Float[Tensor, "*batch features"]:
        """What the last layer knows at the end of each sequence, both directions side by side.

        It is the first state of the cell (h wherever a cell has one). It is right for ragged input too: a state
        stays as it is after a sequence's own last step, and the reverse direction ends at its first step.

        Returns:
            (batch, directions * size), or (directions * size,) without a batch axis.

        Raises:
            ArgumentError: The directions are not known.
        """
        if not self:
            raise ArgumentError(
                "state: expected at least one tensor, got an empty state; use the layer's own"
            )
        if self.directions is None:
            raise ArgumentError(
                "state: expected one that knows its layer's directions, got a tuple rebuilt by other code; "
                "pass it through RecurrentState.of(module, state)"
            )
        h = self[0]
        if not isinstance(h, Tensor) or h.dim() not in (2, 3) or h.shape[0] < self.directions:
            raise ShapeError(
                f"state: expected tensors of (layers * directions, batch, size), got {_shown(self)}; "
                "use the layer's own"
            )
        if self.directions == 1:
            return h[-1]
        return torch.cat((h[-2], h[-1]), dim=-1)

    def detach(self) -> RecurrentState:
        """The same numbers cut off from the graph, for truncated backpropagation."""
        return self._like([tensor.detach() for tensor in self])

    def to(self, *args: Any, **kwargs: Any) -> RecurrentState:
        """Each tensor's ``to(...)``: another device or dtype."""
        return self._like([tensor.to(*args, **kwargs) for tensor in self])

    def select(self, indices: Int[Tensor, " chosen"] | Sequence[int]) -> RecurrentState:
        """The states of some sequences of the batch, in the order given; one may come twice (beam search).

        Args:
            indices: Positions in the batch.

        Returns:
            The state of a batch of ``len(indices)`` sequences.

        Raises:
            ShapeError: The state has no batch axis, or an index is outside the batch.
        """
        if any(not isinstance(tensor, Tensor) or tensor.dim() != 3 for tensor in self):
            raise ShapeError(
                f"indices: expected a state with a batch axis, got shapes {_shown(self)}; "
                "add one with unsqueeze(1)"
            )
        device = self[0].device if self else torch.device("cpu")
        try:
            picked = torch.as_tensor(indices, device=device)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ArgumentTypeError(
                f"indices: expected integers, got {type(indices).__name__}; pass a list or a tensor ({error})"
            ) from None
        if picked.dtype not in (torch.int64, torch.int32) and picked.numel() > 0:
            raise ArgumentTypeError(
                f"indices: expected integers, got {picked.dtype}; convert with .to(torch.int64)"
            )
        if picked.dim() != 1:
            raise ShapeError(f"indices: expected one axis, got shape {tuple(picked.shape)}; flatten them")
        expect_tensor("indices", picked, "positions in the batch")
        batch = self[0].shape[1] if self else 0
        if not torch.compiler.is_compiling() and picked.numel() > 0 and picked.device.type != "meta":
            least, most = (int(n) for n in torch.aminmax(picked))
            if least < 0 or most >= batch:
                raise ShapeError(
                    f"indices: expected positions in [0, {batch}), got {least} to {most}; the batch has {batch} rows"
                )
        return self._like([tensor.index_select(1, picked.to(torch.int64)) for tensor in self])

    def to_bytes(self) -> bytes:
        """The state as safetensors bytes, for a server that must carry a stream on elsewhere.

        Example:
            >>> import torch
            >>> state = RecurrentState((torch.ones(1, 2, 3),), names=("h",))
            >>> RecurrentState.from_bytes(state.to_bytes())[0].sum()
            tensor(6.)
        """
        named = {str(i): tensor.detach().cpu().contiguous().clone() for i, tensor in enumerate(self)}
        about = {
            "format": _FORMAT,
            "version": _VERSION,
            "names": json.dumps(list(self.names)),
            "directions": str(self.directions or 0),
        }
        return bytes(save_tensors(named, metadata=about))

    @staticmethod
    def from_bytes(data: bytes, *, device: str | torch.device = "cpu") -> RecurrentState:
        """Reads what :meth:`to_bytes` wrote; it trusts nothing in it.

        Args:
            data: The bytes.
            device: Where the tensors should be.

        Returns:
            The state.

        Raises:
            ArgumentTypeError: Not bytes.
            StoreError: The bytes are torn, or not a state.
        """
        if not isinstance(data, bytes | bytearray | memoryview):
            raise ArgumentTypeError(
                f"data: expected bytes, got {type(data).__name__}; pass what to_bytes() returned"
            )
        check_device(device)
        data = bytes(data)
        names, directions = _read_about(data)
        try:
            named = load_tensors(data)
        except (SafetensorError, ValueError, KeyError, RuntimeError, TypeError) as error:
            raise _torn(f"tensors that cannot be read ({error})") from None
        expected = [str(i) for i in range(len(named))]
        if sorted(named) != sorted(expected) or (names and len(names) != len(named)):
            raise _torn(f"tensors {sorted(named)[:8]} for the states {list(names)[:8]}")
        tensors = [named[key] for key in expected]
        if any(
            t.dtype not in FLOATS or t.dim() not in (2, 3) or t.shape[0] % (directions or 1) for t in tensors
        ):
            raise _torn(f"tensors of {[(t.dtype, tuple(t.shape)) for t in tensors[:4]]}")
        return RecurrentState((t.to(device) for t in tensors), names=names, directions=directions)


def _shown(state: Iterable[Any]) -> list[Any]:
    return [tuple(t.shape) if isinstance(t, Tensor) else type(t).__name__ for t in state]


def _torn(got: str) -> StoreError:
    return StoreError(f"data: expected the bytes of a recurrent state, got {got}; write them with to_bytes()")


def _read_about(data: bytes) -> tuple[tuple[str, ...], int | None]:
    """The names and directions out of the safetensors header: 8 bytes of length, then JSON."""
    if len(data) < 8:
        raise _torn(f"{len(data)} bytes")
    (length,) = struct.unpack("<Q", data[:8])
    if not 2 <= length <= min(_HEADER_LIMIT, len(data) - 8):
        raise _torn(f"a header of {length} bytes in {len(data)}")
    try:
        about = json.loads(data[8 : 8 + length].decode("utf-8"))["__metadata__"]
        if about["format"] != _FORMAT or about["version"] != _VERSION:
            raise _torn(f"format {about['format']!r:.40} version {about['version']!r:.40}")
        names = json.loads(about["names"])
        directions = {"0": None, "1": 1, "2": 2}[about["directions"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, StoreError):
            raise
        raise _torn(f"a header without what it needs ({type(error).__name__})") from None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _torn("names that are no list of texts")
    return tuple(names), directions


def _flatten(state: Any) -> tuple[list[Any], tuple[tuple[str, ...], int | None]]:
    return list(state), (state.names, state.directions)


def _unflatten(tensors: Iterable[Any], context: tuple[tuple[str, ...], int | None]) -> Any:
    return RecurrentState(tensors, names=context[0], directions=context[1])


_pytree.register_pytree_node(
    RecurrentState,
    _flatten,
    _unflatten,
    serialized_type_name="gatewise.nn.RecurrentState",
    to_dumpable_context=lambda context: [list(context[0]), context[1]],
    from_dumpable_context=lambda stored: (tuple(stored[0]), stored[1]),
    flatten_with_keys_fn=lambda state: (
        [(_pytree.SequenceKey(i), tensor) for i, tensor in enumerate(state)],
        (state.names, state.directions),
    ),
)
