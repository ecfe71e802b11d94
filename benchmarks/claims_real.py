"""Claims on real data: GRU beside LSTM on air quality, both directions on ATIS, convolutions beside an LSTM on AReM.

Runs of benchmarks/understanding.py; protocols are told there.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.model_selection import StratifiedGroupKFold
from torch import Tensor, nn

from gatewise.compare.forecast_table import ForecastTable
from gatewise.compare.variants import parse_variant
from gatewise.nn import Recurrent
from gatewise.spec import cell, tanh
from gatewise.tasks import SequenceClassifier
from gatewise.tasks.tagging.scores import TagCounts, count_tags

try:
    from benchmarks.activity import arem
    from benchmarks.resumable import data_folder
    from benchmarks.tagging import atis
except ImportError:
    from activity import arem
    from resumable import data_folder
    from tagging import atis

__all__ = ["ACTIVITY", "AIR", "NETWORKS", "TAGGING", "activity", "air", "tag"]

AIR = {"hidden_size": 64, "horizon": 24, "options": {"max_epochs": 12}}
TAGGING = {
    "word_size": 50, "units": 64, "fewer_units": 38, "dropout": 0.3, "unknown": 0.02, "batch": 32, "epochs": 8,
    "learning_rate": 0.003,
}  # fmt: skip
ACTIVITY = {"hidden_size": 32, "dropout": 0.3, "max_epochs": 30, "patience": 6, "pooling": "mean", "folds": 5}


@cell(states="h", gates="n:input", title="Cell without memory", cite="a control")
def memoryless(gate, state):
    """A layer that looks at each step by itself: whatever context a network with it has comes from elsewhere."""
    return tanh(gate.n)


NETWORKS: dict[str, dict] = {
    "LSTM": {"cell": "lstm"},
    "CNN": {"cell": memoryless, "architecture": "cnn", "filters": 32},
    "CNN, then LSTM": {"cell": "lstm", "architecture": "cnn", "filters": 32},
    "neither": {"cell": memoryless},
}


# --- GRU beside LSTM, on the air of Beijing


def air(cell: str, width: str, seed: int, *, quick: bool = False) -> dict:
    """Forecast the bundled series 24 hours ahead with one cell.

    Args:
        cell: its name.
        width: "equal units", or "equal parameters": as near as can be to the LSTM's of AIR's width.
        seed: the forecaster's.
        quick: one epoch, to see that it runs.
    """
    table = ForecastTable(
        "beijing-air", {"max_epochs": 1} if quick else AIR["options"], horizon=AIR["horizon"]
    )
    variant = parse_variant(cell)
    units = AIR["hidden_size"]
    if width == "equal parameters":
        units = table.width(variant, _lstm_parameters(), 1)
    found = table.learn(
        variant,
        seed=seed,
        hidden_size=units,
        num_layers=1,
        seconds=None,
        checkpoints=None,
        progress=False,
        goal=None,
    )
    kept = ("parameters", "hidden_size", "steps", "stopped", "trivial")
    return {**found["measures"], **{name: found[name] for name in kept}, "epochs": len(found["curve"])}


@cache
def _lstm_parameters() -> int:
    """How many numbers the forecaster with the LSTM learns; it is made for the purpose, and not trained."""
    table = ForecastTable("beijing-air", AIR["options"], horizon=AIR["horizon"])
    probe = table.estimator(
        parse_variant("lstm"), hidden_size=AIR["hidden_size"], max_time=1e-6, random_state=0, progress=False
    )
    table.fit(probe)
    return sum(one.numel() for one in probe.fitted_.network.parameters())


# --- both directions, on ATIS


class _Tagger(nn.Module):
    """Word vectors, one recurrent layer, and a softmax over tags: nothing but the layer sees a word's neighbours."""

    def __init__(self, words: int, tags: int, direction: str) -> None:
        super().__init__()
        size, both = TAGGING["word_size"], direction.startswith("both")
        units = TAGGING["units"] if direction != "both, equal parameters" else TAGGING["fewer_units"]
        self.words = nn.Embedding(words, size, padding_idx=0)
        self.dropout = nn.Dropout(TAGGING["dropout"])
        self.recurrent = Recurrent("lstm", size, units, bidirectional=both, reverse=direction == "backward")
        self.out = nn.Linear(units * (2 if both else 1), tags)

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        """From (time, batch) to (time, batch, tags)."""
        steps, _ = self.recurrent(self.dropout(self.words(words)), lengths=lengths)
        return self.out(self.dropout(steps))


@cache
def _atis(quick: bool) -> tuple[dict, list[str], int]:
    """Each part as (word codes, tag codes, tags) a sentence; the tags; how many words there are."""
    parts = atis(data_folder())
    if quick:
        parts = {part: one.take(range(0, len(one), 20)) for part, one in parts.items()}
    train = parts["train"]
    # 0 is padding, 1 a word that training never showed.
    words = {word: 2 + place for place, word in enumerate(sorted({w for one in train.tokens for w in one}))}
    tags = sorted({tag for one in train.tags for tag in one})
    codes = {tag: place for place, tag in enumerate(tags)}
    coded = {
        part: [
            (np.array([words.get(w, 1) for w in ws]), np.array([codes.get(t, -1) for t in ts]), ts)
            for ws, ts in zip(one.tokens, one.tags, strict=True)
        ]
        for part, one in parts.items()
    }
    return coded, tags, len(words) + 2


def tag(direction: str, seed: int, *, quick: bool = False) -> dict:
    """Fill the slots of ATIS by a layer that reads forward, backward or both.

    Args:
        direction: "forward", "backward", "both", or "both, equal parameters".
        seed: of the weights and the order of sentences.
        quick: one epoch on a twentieth, to see that it runs.
    """
    coded, tags, words = _atis(quick)
    epochs = 1 if quick else TAGGING["epochs"]
    generator = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _Tagger(words, len(tags), direction)
        optimiser = torch.optim.Adam(model.parameters(), TAGGING["learning_rate"])
        best, kept = -1.0, {}
        for _ in range(epochs):
            model.train()
            order = generator.permutation(len(coded["train"]))
            for begin in range(0, len(order), TAGGING["batch"]):
                given, wanted, lengths = _batch(
                    [coded["train"][k] for k in order[begin : begin + TAGGING["batch"]]]
                )
                given = given.where(torch.rand(given.shape) > TAGGING["unknown"], given.clamp(max=1))
                loss = F.cross_entropy(model(given, lengths).flatten(0, 1), wanted.flatten(), ignore_index=-1)
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimiser.step()
            score = _score(model, coded["develop"], tags)
            if score.f1 > best:
                best, kept = score.f1, {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(kept)
    score = _score(model, coded["test"], tags)
    recurrent = sum(one.numel() for one in (*model.recurrent.parameters(), *model.out.parameters()))
    return {"f1": score.f1, "accuracy": score.accuracy, "develop_f1": best, "parameters": recurrent}


def _batch(sentences: list) -> tuple[Tensor, Tensor, Tensor]:
    lengths = torch.tensor([len(one[0]) for one in sentences])
    given = torch.zeros(int(lengths.max()), len(sentences), dtype=torch.long)
    wanted = torch.full_like(given, -1)
    for place, (words, tags, _) in enumerate(sentences):
        given[: len(words), place] = torch.from_numpy(words)
        wanted[: len(words), place] = torch.from_numpy(tags)
    return given, wanted, lengths


@torch.no_grad()
def _score(model: _Tagger, sentences: list, tags: list[str]) -> TagCounts:
    """Slots that training never showed count as missed."""
    model.eval()
    counts = []
    for begin in range(0, len(sentences), 200):
        part = sentences[begin : begin + 200]
        given, _, lengths = _batch(part)
        said = model(given, lengths).argmax(-1).T.tolist()
        counts += [
            count_tags(one[2], [tags[k] for k in row[: len(one[2])]])
            for one, row in zip(part, said, strict=True)
        ]
    return TagCounts.of(counts)


# --- convolutions beside an LSTM, on AReM


@cache
def _arem() -> tuple[list[np.ndarray], np.ndarray, list]:
    """Recordings, activities, and the folds over recordings that benchmarks/activity.py takes."""
    values, labels, groups = arem(data_folder() / "activity-recognition")
    splitter = StratifiedGroupKFold(ACTIVITY["folds"], shuffle=True, random_state=0)
    return values, labels, list(splitter.split(np.zeros(len(labels)), labels, groups))


def activity(network: str, fold: int, seed: int, *, quick: bool = False) -> dict:
    """Tell activities apart by one network; all have the same head, training and width.

    Args:
        network: one of NETWORKS.
        fold: which fifth of the recordings is held out.
        seed: the classifier's.
        quick: two epochs, to see that it runs.
    """
    values, labels, folds = _arem()
    train, test = folds[fold]
    shared = {name: value for name, value in ACTIVITY.items() if name != "folds"}
    model = SequenceClassifier(
        **{**shared, **NETWORKS[network], **({"max_epochs": 2} if quick else {})},
        random_state=seed,
        progress=False,
    )
    model.fit([values[one] for one in train], labels[train])
    said = model.predict([values[one] for one in test])
    parameters = sum(one.numel() for one in model.fitted_.network.parameters())
    return {
        "right": int((said == labels[test]).sum()), "count": len(test),
        "accuracy": float((said == labels[test]).mean()),
        "parameters": parameters, "epochs": len(model.history_),
    }  # fmt: skip
