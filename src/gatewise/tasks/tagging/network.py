"""The tagger's network: words, characters and shapes; a recurrent layer in both directions; scores of tags and intents.

Lample et al. 2016 (character LSTM) and Ma & Hovy 2016 (character CNN), with a CRF or a softmax on top; for intents,
attention over the same steps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gatewise.nn import CRF, Recurrent
from gatewise.nn.dropout import locked_dropout
from gatewise.spec import Program
from gatewise.tasks.classify.pooling import AttentionPooling, valid_steps
from gatewise.tasks.tagging.encoding import SHAPES

__all__ = ["CHARACTERS", "HEADS", "TaggerNetwork", "TaggerPlan"]

CHARACTERS = ("cnn", "lstm", "none")
HEADS = ("crf", "softmax")
_SHAPE_WIDTH, _SIGN_WIDTH, _KERNEL = 8, 30, 3


@dataclass(frozen=True)
class TaggerPlan:
    """The network's sizes.

    Args:
        program: the cell.
        words, signs, tags, intents: how many; intents 0: none are told.
        word_size: numbers that stand for a word.
        characters: "cnn", "lstm" or "none".
        character_size: numbers that stand for a word's characters.
        hidden_size, num_layers: of the recurrent layers, in each direction.
        dropout: probability, in training; one mask for all steps of a sentence.
        recurrent_dropout: of what the recurrent weights multiply.
        head: "crf" or "softmax".
        engine: which engine runs the recurrent layers.
    """

    program: Program
    words: int
    signs: int
    tags: int
    intents: int
    word_size: int
    characters: str
    character_size: int
    hidden_size: int
    num_layers: int
    dropout: float
    recurrent_dropout: float
    head: str
    engine: str


class TaggerNetwork(nn.Module):
    """Scores of each tag at each step, and of each intent.

    Args:
        plan: its sizes.
        allowed: what the CRF keeps to (see `gatewise.nn.CRF`), or None.
    """

    def __init__(self, plan: TaggerPlan, allowed: tuple[Tensor, Tensor, Tensor] | None = None) -> None:
        super().__init__()
        self.plan = plan
        self.words = nn.Embedding(plan.words, plan.word_size, padding_idx=0)
        self.shapes = nn.Embedding(len(SHAPES) + 1, _SHAPE_WIDTH, padding_idx=0)
        self.characters = None if plan.characters == "none" else CharacterEncoder(plan)
        width = plan.word_size + _SHAPE_WIDTH + (plan.character_size if self.characters is not None else 0)
        self.recurrent = _recurrent(plan, width, plan.hidden_size, plan.num_layers)
        size = _output_width(self.recurrent, width)
        self.out = nn.Linear(size, plan.tags)
        self.pool = AttentionPooling(size) if plan.intents else None
        self.intent = nn.Linear(size, plan.intents) if plan.intents else None
        moves, first, last = (None, None, None) if allowed is None else allowed
        self.crf = None
        if plan.head == "crf":
            self.crf = CRF(plan.tags, allowed=moves, allowed_start=first, allowed_end=last)
        # Words as near to each other as Xavier's rule has it for a layer of this width (Lample et al. 2016).
        bound = (3.0 / plan.word_size) ** 0.5
        nn.init.uniform_(self.words.weight[1:], -bound, bound)

    def forward(
        self, batch: Mapping[str, Tensor]
    ) -> tuple[Float[Tensor, "time batch tags"], Float[Tensor, "batch intents"] | None]:
        """Scores of the tags, and of the intents where there are any.

        Args:
            batch: as `EncodedSentences.batch` gives it.
        """
        lengths = batch["lengths"][0]
        # At unit scale, as shapes and signs are; the table keeps small numbers, which learn more quickly.
        words = self.words(batch["words"]) * math.sqrt(self.plan.word_size)
        parts = [words, self.shapes(batch["shapes"])]
        if self.characters is not None:
            parts.append(self.characters(batch))
        rate = self.plan.dropout
        steps = locked_dropout(torch.cat(parts, dim=-1), rate, self.training)
        steps = locked_dropout(self.recurrent(steps, lengths=lengths)[0], rate, self.training)
        scores = self.out(steps)
        if self.pool is None or self.intent is None:
            return scores, None
        return scores, self.intent(self.pool(steps, lengths))


class CharacterEncoder(nn.Module):
    """A vector for each word from its characters; each distinct word of a batch is computed once.

    Args:
        plan: the network's sizes.
    """

    def __init__(self, plan: TaggerPlan) -> None:
        super().__init__()
        self.signs = nn.Embedding(plan.signs, _SIGN_WIDTH, padding_idx=0)
        self.kind = plan.characters
        if plan.characters == "cnn":
            self.convolution = nn.Conv1d(_SIGN_WIDTH, plan.character_size, _KERNEL, padding=_KERNEL // 2)
        else:
            self.recurrent = Recurrent(
                "lstm", _SIGN_WIDTH, plan.character_size // 2, bidirectional=True, engine=plan.engine
            )

    def forward(self, batch: Mapping[str, Tensor]) -> Float[Tensor, "time batch width"]:
        """Vectors of the words, (time, batch, character_size); 0 where there is no word."""
        forms = batch["forms"]
        distinct, place = torch.unique(forms, return_inverse=True)
        # Any of the places where a distinct word stands will do to look its characters up.
        first = torch.zeros_like(distinct).scatter(
            0, place.flatten(), torch.arange(forms.numel(), device=forms.device)
        )
        characters = batch["characters"].flatten(0, 1)[first]
        lengths = batch["character_lengths"].flatten()[first]
        found = self._encoded(characters.T, lengths)
        return torch.where((distinct >= 0)[:, None], found, 0.0)[place]

    def _encoded(self, characters: Tensor, lengths: Tensor) -> Tensor:
        """Vectors of distinct words, (words, width), from (signs, words)."""
        steps = self.signs(characters)
        if self.kind == "cnn":
            found = self.convolution(steps.permute(1, 2, 0)).permute(2, 0, 1)
            there = valid_steps(lengths, found.shape[0])[..., None]
            return torch.where(there, found, -torch.inf).amax(0).clamp(min=-1e4)
        _, (last, *_) = self.recurrent(steps, lengths=lengths)
        return torch.cat([last[0], last[1]], dim=-1)


def _recurrent(plan: TaggerPlan, width: int, hidden_size: int, num_layers: int) -> Recurrent:
    projected = plan.program.output_width != "hidden"
    return Recurrent(
        plan.program,
        width,
        hidden_size,
        num_layers=num_layers,
        dropout=plan.dropout if num_layers > 1 else 0.0,
        bidirectional=True,
        recurrent_dropout=plan.recurrent_dropout,
        proj_size=max(1, hidden_size // 2) if projected else 0,
        engine=plan.engine,
    )


def _output_width(layer: Recurrent, width: int) -> int:
    with torch.no_grad():
        size = int(layer.eval()(torch.zeros(1, 1, width))[0].shape[-1])
    layer.train()
    return size
