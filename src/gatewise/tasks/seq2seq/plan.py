"""The sizes of an encoder-decoder, and what it consists of."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gatewise.errors import ArgumentError
from gatewise.nn import Recurrent
from gatewise.spec import Program

__all__ = ["FEEDINGS", "NetworkPlan", "probe", "recurrent_layers"]

FEEDINGS = ("none", "input", "context")


@dataclass(frozen=True)
class NetworkPlan:
    """What the network consists of.

    Args:
        program: the cell of encoder and decoder.
        source_size, target_size: tokens of the vocabularies.
        shared: whether both are one vocabulary with one table of embeddings.
        tied: whether the output layer is the target's table (Press & Wolf 2017).
        embedding_size: numbers for a token.
        hidden_size, num_layers: of the encoder in each direction, and of the decoder.
        attention: the score, see `gatewise.nn.Attention`.
        feeding: what a step of the decoder reads beside the token: "none"; "input", the last step's readout (Luong et
            al. 2015, section 3.3); "context", what the last output attends to (Bahdanau et al. 2015).
        copy: whether tokens of the source can be copied (See et al. 2017, section 2.2).
        coverage: whether the attention reads what each position already got (the same, section 2.3).
        dropout: probability, in training.
        engine: which engine runs the recurrent layers.
    """

    program: Program
    source_size: int
    target_size: int
    shared: bool
    tied: bool
    embedding_size: int
    hidden_size: int
    num_layers: int
    attention: str
    feeding: str
    copy: bool
    coverage: bool
    dropout: float
    engine: str


def recurrent_layers(plan: NetworkPlan, inputs: int, *, bidirectional: bool) -> Recurrent:
    """The plan's recurrent layers over so many inputs.

    Raises:
        ArgumentError: the cell takes several input streams.
    """
    program = plan.program
    if len(program.inputs) != 1:
        streams = [stream.name for stream in program.inputs]
        raise ArgumentError(
            f"cell: an encoder and a decoder feed one input stream, but the cell {program.name!r} has {streams}; "
            "choose another cell"
        )
    return Recurrent(
        program,
        inputs,
        plan.hidden_size,
        num_layers=plan.num_layers,
        dropout=plan.dropout if plan.num_layers > 1 else 0.0,
        bidirectional=bidirectional,
        proj_size=max(1, plan.hidden_size // 2) if program.output_width != "hidden" else 0,
        engine=plan.engine,
    )


def probe(layer: Recurrent) -> tuple[int, tuple[int, ...]]:
    """The width of a layer's output, and of each of its states."""
    with torch.no_grad():
        output, state = layer(torch.zeros(1, 1, layer.input_size))
    return output.shape[-1], tuple(one.shape[-1] for one in state)
