"""How a forecast is made from a window: one file for each architecture, and their registry."""

from __future__ import annotations

from torch import nn

from gatewise.errors import ArgumentError
from gatewise.tasks.forecast.architectures.deepar import DeepAR, StreamState
from gatewise.tasks.forecast.architectures.direct import Direct
from gatewise.tasks.forecast.architectures.segrnn import SegRNN
from gatewise.tasks.forecast.architectures.seq2seq import Seq2Seq
from gatewise.tasks.forecast.plan import NetworkPlan

__all__ = ["DeepAR", "Direct", "SegRNN", "Seq2Seq", "StreamState", "build", "check_name", "names"]

_ALL: dict[str, type[nn.Module]] = {
    "direct": Direct,
    "seq2seq": Seq2Seq,
    "deepar": DeepAR,
    "segrnn": SegRNN,
}


def names() -> tuple[str, ...]:
    """Names of the architectures.

    Example:
        >>> names()
        ('direct', 'seq2seq', 'deepar', 'segrnn')
    """
    return tuple(_ALL)


def check_name(name: object) -> None:
    """Check the name of an architecture.

    Raises:
        ArgumentError: there is none of that name.
    """
    if name not in names():
        raise ArgumentError(
            f"architecture: one of {', '.join(map(repr, names()))} is expected, came {name!r}"
        )


def build(plan: NetworkPlan) -> nn.Module:
    """The network of a plan, without its normalisation.

    Raises:
        ArgumentError: the name is unknown, or the plan asks for what the architecture cannot do.
    """
    check_name(plan.architecture)
    return _ALL[plan.architecture](plan)
