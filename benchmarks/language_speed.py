"""Tokens a second of a language model in gatewise and in plain torch.nn: one network, the same weights, in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from gatewise import cells
from gatewise.tasks.language.choosing import Choice, draw
from gatewise.tasks.language.network import LanguageNetwork, NetworkPlan
from gatewise.tasks.language.prepared import prepared_network

__all__ = ["Plain", "speed"]

SIZES = {
    "character": {"tokens": 65, "embedding_size": 128, "hidden_size": 512, "num_layers": 2, "tied": False},
    "word": {"tokens": 10_000, "embedding_size": 256, "hidden_size": 512, "num_layers": 2, "tied": True},
}
WINDOWS = {"character": (128, 32), "word": (35, 32)}
ROUNDS, DROPOUT = 9, 0.3


class Plain(nn.Module):
    """The same network as anyone writes it with torch.nn: an embedding, LSTM layers, locked dropout, a linear layer."""

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        self.plan = plan
        self.embedding = nn.Embedding(plan.tokens, plan.embedding_size)
        sizes = [plan.embedding_size, *(plan.width(layer) for layer in range(plan.num_layers))]
        self.layers = nn.ModuleList(nn.LSTM(*pair) for pair in pairwise(sizes))
        self.out = nn.Linear(sizes[-1], plan.tokens)
        if plan.tied:
            self.out.weight = self.embedding.weight

    def forward(self, tokens: torch.Tensor, states: list | None) -> tuple[torch.Tensor, list]:
        """Logits of a window, and the states after it."""
        x, news = self.drop(self.embedding(tokens)), []
        for number, layer in enumerate(self.layers):
            x, new = layer(x, None if states is None else states[number])
            x = self.drop(x)
            news.append(new)
        return self.out(x), news

    def drop(self, x: torch.Tensor) -> torch.Tensor:
        """Locked dropout."""
        if not self.training:
            return x
        return x * F.dropout(x.new_ones(1, *x.shape[1:]), DROPOUT)


def speed(level: str, what: str, *, quick: bool = False) -> dict:
    """Compare, then time in turns.

    Args:
        level: "character" or "word".
        what: "training" or "writing".
        quick: small, to see that it runs.
    """
    torch.manual_seed(0)
    sizes = {**SIZES[level], **({"hidden_size": 32, "embedding_size": 16} if quick else {})}
    rates = {"dropout": DROPOUT, "input_dropout": DROPOUT, "hidden_dropout": DROPOUT}
    ours = LanguageNetwork(NetworkPlan(program=cells.get("lstm"), **sizes, **rates))
    plain = copied(ours)
    return training(level, ours, plain, quick) if what == "training" else writing(ours, plain, quick)


def copied(ours: LanguageNetwork) -> Plain:
    """The plain network with the same weights."""
    plain = Plain(ours.plan)
    with torch.no_grad():
        plain.embedding.weight.copy_(ours.embedding)
        plain.out.weight.copy_(ours.head.weight)
        plain.out.bias.copy_(ours.head.bias)
        for mine, theirs in zip(ours.layers, plain.layers, strict=True):
            theirs.load_state_dict(mine.state_dict())
    return plain


def training(level: str, ours: LanguageNetwork, plain: Plain, quick: bool) -> dict:
    """Training steps of carried windows."""
    steps, streams = WINDOWS[level]
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, ours.plan.tokens, (steps + 1, streams), generator=generator)
    with torch.no_grad():
        own = ours.head.logits(ours.eval()(ids[:-1])[0])
        difference = float((own - plain.eval()(ids[:-1], None)[0]).abs().max())
    if difference > 1e-3:
        raise SystemExit(f"the outputs differ by {difference}: nothing is timed")
    rounds, repeats = (2, 1) if quick else (ROUNDS, 4)
    runs = {
        "gatewise": _trainer(ours.train(), ids, _our_loss),
        "torch": _trainer(plain.train(), ids, _plain_loss),
    }
    seconds = in_turns(runs, rounds, repeats)
    tokens = steps * streams * repeats
    return report(seconds, tokens) | {"difference": difference, "window": steps, "streams": streams}


def _trainer(model: nn.Module, ids: torch.Tensor, loss_of: Callable) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    held: list = [None]

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss, states = loss_of(model, ids, held[0])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        held[0] = states

    return step


def _our_loss(model: LanguageNetwork, ids: torch.Tensor, states: list | None) -> tuple[torch.Tensor, list]:
    output, _, news = model(ids[:-1], states)
    return model.head.mean_loss(output.flatten(0, 1), ids[1:].flatten()), [state.detach() for state in news]


def _plain_loss(model: Plain, ids: torch.Tensor, states: list | None) -> tuple[torch.Tensor, list]:
    logits, news = model(ids[:-1], states)
    loss = F.cross_entropy(logits.flatten(0, 1), ids[1:].flatten())
    return loss, [tuple(one.detach() for one in state) for state in news]


def writing(ours: LanguageNetwork, plain: Plain, quick: bool) -> dict:
    """One stream, token by token, drawn at temperature 1: the whole loop that a user waits for."""
    count = 20 if quick else 200
    ours.eval(), plain.eval()
    packed = prepared_network(ours, "int8")
    tokens = torch.randint(0, ours.plan.tokens, (30,), generator=torch.Generator().manual_seed(2)).tolist()
    differences = _agree(ours, packed, plain, tokens)
    if differences["difference"] > 1e-3:
        raise SystemExit(f"the outputs differ by {differences['difference']}: nothing is timed")
    runs = {
        "gatewise": lambda: _write(ours, count),
        "gatewise_int8": lambda: _write(packed, count),
        "torch": lambda: _write_plain(plain, count),
    }
    seconds = in_turns(runs, 2 if quick else ROUNDS, 1)
    return report(seconds, count) | differences


@torch.inference_mode()
def _write(network: LanguageNetwork, count: int) -> list[int]:
    """The loop of `LanguageModel.stream`, without the text."""
    generator, choice = np.random.default_rng(0), Choice()
    token, states, found = 0, None, []
    for _ in range(count):
        output, states = network.step(torch.tensor([token]), states)
        token = draw(network.head.logits(output).numpy()[0], choice, generator)
        found.append(token)
    return found


@torch.inference_mode()
def _write_plain(model: Plain, count: int) -> list[int]:
    """The loop as it is usually written."""
    token, states, found = torch.zeros(1, 1, dtype=torch.int64), None, []
    for _ in range(count):
        logits, states = model(token, states)
        token = torch.multinomial(torch.softmax(logits[0], dim=-1), 1)
        found.append(int(token))
    return found


@torch.inference_mode()
def _agree(
    ours: LanguageNetwork, packed: LanguageNetwork, plain: Plain, tokens: list[int]
) -> dict[str, float]:
    """The largest differences of logits, step by step."""
    mine, small, theirs = None, None, None
    worst = {"difference": 0.0, "int8_difference": 0.0}
    for token in tokens:
        own, mine = ours.step(torch.tensor([token]), mine)
        less, small = packed.step(torch.tensor([token]), small)
        logits, theirs = plain(torch.tensor([[token]]), theirs)
        for name, one in (
            ("difference", ours.head.logits(own)),
            ("int8_difference", packed.head.logits(less)),
        ):
            worst[name] = max(worst[name], float((one - logits[0]).abs().max()))
    return worst


def in_turns(runs: dict[str, Callable], rounds: int, repeats: int) -> dict[str, list[float]]:
    """Seconds of each, one after the other in every round; the first round is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            begun = time.perf_counter()
            for _ in range(repeats):
                run()
            if number:
                seconds[name].append(time.perf_counter() - begun)
    return seconds


def report(seconds: dict[str, list[float]], tokens: int) -> dict:
    """Tokens a second by their medians, and the median ratio of a round to torch's."""
    found: dict = {"threads": torch.get_num_threads()}
    for name, times in seconds.items():
        found[f"{name}_tokens_per_second"] = round(tokens / statistics.median(times), 1)
        if name != "torch":
            ratios = [theirs / own for own, theirs in zip(times, seconds["torch"], strict=True)]
            found[f"{name}_ratio"] = round(statistics.median(ratios), 3)
            found[f"{name}_ratios"] = [round(one, 3) for one in sorted(ratios)]
    return found
