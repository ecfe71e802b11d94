"""When memory may be walked as it is: asked here, before any engine takes a tensor's address.

Whatever is not plain goes through the registered operator: torch's dispatcher hands it plain tensors (for a view
whose sign is still to be turned, for zeros without memory), records it (torch.jit.trace, make_fx) or asks its rule
(vmap, fake tensors).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from gatewise.errors import EngineError

__all__ = ["is_legacy_batched", "is_plain", "is_traced", "placed", "resolved"]

_TYPES = frozenset((Tensor, torch.nn.Parameter))
# All but these two bits are set by a mode: dispatch modes, tracers, functionalization, the old and the new vmap.
_MODES = ~0
for _key in map(torch._C._parse_dispatch_key, ("BackendSelect", "ADInplaceOrView")):
    if _key is not None:
        _MODES &= ~torch._C.DispatchKeySet(_key).raw_repr()
_modes_now = torch._C._dispatch_tls_local_include_set


def is_plain(tensors: Iterable[Tensor]) -> bool:
    """Whether these are ordinary tensors in eager mode whose numbers lie in memory as they are."""
    if _modes_now().raw_repr() & _MODES:
        return False
    for x in tensors:  # noqa: SIM110 (a generator would cost as much as the looks themselves)
        if type(x) not in _TYPES or x.is_neg() or x._is_zerotensor():
            return False
    return True


def is_traced() -> bool:
    """Whether torch records the calls of this thread into a graph, where a plain function would be a constant."""
    return torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None


def is_legacy_batched(tensors: Iterable[Tensor]) -> bool:
    """Whether one of these is a batch of the vmap before torch.func: of ``is_grads_batched`` and ``vectorize``."""
    return any(torch._C._functorch.is_legacy_batchedtensor(x) for x in tensors)


def resolved(tensors: Iterable[Tensor]) -> list[Tensor]:
    """The same numbers in memory as they are: signs turned and zeros written out, what is so already as it is."""
    return [x.clone() if x.is_neg() or x._is_zerotensor() else x for x in tensors]


def placed(tensor: Tensor) -> Tensor:
    """A tensor whose address suits its numbers, copied where it does not (from a buffer of bytes, for instance).

    Raises:
        EngineError: Its memory was freed.
    """
    if not tensor.data_ptr():
        if tensor.numel():
            raise EngineError(
                f"operands: expected tensors with memory, got one of shape {tuple(tensor.shape)} whose storage was "
                "freed (resize_(0), as sharded training does between calls); restore it before the call"
            )
        return tensor
    return tensor.clone() if tensor.data_ptr() % tensor.element_size() else tensor
