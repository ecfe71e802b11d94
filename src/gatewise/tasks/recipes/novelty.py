"""How unlike harmless records a record is, learned from harmless records alone: what no label could have shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatewise import train
from gatewise.data.sequences import Sequences
from gatewise.errors import ArgumentError
from gatewise.spec import Program
from gatewise.store import apply_tensors
from gatewise.tasks.recipes.density import DensityPlan, FieldDensity, RecordObjective, RecordSource, surprises
from gatewise.tasks.recipes.tokens import FieldTokens

__all__ = ["Novelty", "check_novelty_cell", "fit_novelty", "stored_tokens"]

# Chosen by cross-validation over the kinds of attack in NSL-KDD's training file; see docs/results/nsl-kdd.md.
_WIDTH, _BATCH = 24, 256


@dataclass(frozen=True)
class Novelty:
    """A density of harmless records.

    Args:
        tokens: how records become tokens.
        network: in eval mode.
    """

    tokens: FieldTokens
    network: FieldDensity

    def scores(self, sequences: Sequences) -> NDArray[np.float64]:
        """-log p of each row, nats: the higher the stranger."""
        return surprises(self.network, self.tokens.encode(sequences.values, sequences.texts))

    def score(self, record: Mapping[str, Any]) -> float:
        """-log p of one record, a mapping from column to value."""
        return float(surprises(self.network, self.tokens.record(record))[0])

    def stored(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What of it goes into config.json and model.safetensors."""
        plan = self.network.plan
        config = {
            "channels": {name: list(edges) for name, edges in self.tokens.channels.items()},
            "categories": {name: list(known) for name, known in self.tokens.categories.items()},
            "network": {
                "program": json.loads(plan.program.to_json()), "sizes": list(plan.sizes), "width": plan.width,
                "hidden_size": plan.hidden_size, "dropout": plan.dropout, "engine": plan.engine,
            },
        }  # fmt: skip
        state = self.network.state_dict()
        return config, {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}

    @classmethod
    def restored(cls, config: Mapping[str, Any], tensors: dict[str, Tensor]) -> Self:
        """From what `stored` gave."""
        plan = dict(config["network"])
        program = Program.from_json(json.dumps(plan.pop("program")))
        network = FieldDensity(DensityPlan(program=program, **{**plan, "sizes": tuple(plan["sizes"])}))
        apply_tensors(network, tensors, source="model.safetensors")
        network.eval()
        return cls(stored_tokens(config), network)


def stored_tokens(config: Mapping[str, Any]) -> FieldTokens:
    """Tokens from a config's edges and categories."""
    return FieldTokens(
        {name: tuple(edges) for name, edges in config["channels"].items()},
        {name: tuple(known) for name, known in config["categories"].items()},
    )


def check_novelty_cell(program: Program) -> None:
    """Refuse a cell that a density of fields cannot feed.

    Raises:
        ArgumentError: the cell reads more than its input.
    """
    if len(program.inputs) > 1:
        raise ArgumentError(
            f"novelty: a cell that reads one input is expected, but the cell {program.name!r} also reads "
            f"{[stream.name for stream in program.inputs[1:]]}; choose another cell, or novelty=False"
        )


def fit_novelty(
    kept: Sequences, held: Sequences, program: Program, config: train.TrainConfig, *, hidden_size: int, dropout: float,
    progress: bool, engine: str = "auto",
) -> tuple[Novelty, train.History]:  # fmt: skip
    """Fit a density to harmless records.

    Args:
        kept: harmless records to learn from, row by row.
        held: others, to stop by.
        program: the cell.
        config: how to train; the seed also draws the weights.
        hidden_size, dropout, engine: of the network.
        progress: whether to show it.
    """
    check_novelty_cell(program)
    tokens = FieldTokens.fit(kept.values, kept.texts, kept.channels, kept.categories)
    plan = DensityPlan(program, tokens.sizes, _WIDTH, hidden_size, dropout, engine)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = FieldDensity(plan)
    source = RecordSource(tokens.encode(kept.values, kept.texts), _BATCH, config.seed)
    objective = RecordObjective(tokens.encode(held.values, held.texts))
    shown = train.choose(silent=not progress)
    history = train.fit(network, objective, source, config, progress=shown)
    network.eval()
    return Novelty(tokens, network), history
