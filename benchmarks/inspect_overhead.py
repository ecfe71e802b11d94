"""What `FlowMonitor` costs a training at its default interval: the promise is less than 3 % of the training's time.

Training steps run in blocks of one interval, in turns with and without the monitor, on the same model, data and
optimiser. A figure is the median over the pairs of the ratio of their times, with the quartiles; what else the machine
does meets both alike. Before it is timed, a monitored training must end with the bits of one that is not.

    python benchmarks/inspect_overhead.py --out docs/results/inspect-overhead
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from gatewise import nn
from gatewise.inspect import FlowMonitor

try:
    from benchmarks.machine import describe
except ImportError:
    from machine import describe

CASES = [
    ("lstm", 1, 32, 100, 32, 128), ("lstm", 2, 64, 64, 64, 256), ("gru", 1, 16, 400, 8, 64),
    ("rnn_tanh", 1, 8, 32, 4, 32),
]  # fmt: skip
"""(cell, layers, batch, steps, input, hidden)."""
PROMISE = 0.03


class Model(torch.nn.Module):
    """A recurrent stack and a linear head on its last output."""

    def __init__(self, cell: str, layers: int, width: int, hidden: int) -> None:
        super().__init__()
        self.rnn = nn.Recurrent(cell, width, hidden, num_layers=layers)
        self.head = torch.nn.Linear(hidden, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, 1) from (steps, batch, width)."""
        return self.head(self.rnn(x)[0][-1])


class Training:
    """A training that goes on block by block."""

    def __init__(self, case: tuple[str, int, int, int, int, int]) -> None:
        cell, layers, batch, steps, width, hidden = case
        torch.manual_seed(0)
        self.model = Model(cell, layers, width, hidden)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3)
        self.x, self.y = torch.randn(steps, batch, width), torch.randn(batch, 1)

    def step(self) -> torch.Tensor:
        """One step."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = (self.model(self.x) - self.y).square().mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return loss

    def block(self, steps: int, monitor: FlowMonitor | None) -> float:
        """Seconds of so many steps; of a monitor's block one step is looked at, its last."""
        began = time.perf_counter()
        for position in range(steps):
            if monitor is None:
                self.step()
            else:
                # Numbered so that the block holds no first step of a run, which is looked at besides.
                with monitor.watch(self.model, steps + 1 + position) as watch:
                    watch.tell(self.step())
        return time.perf_counter() - began


def same_bits(case: tuple[str, int, int, int, int, int]) -> bool:
    """Whether a monitored training ends with the bits of one that is not."""
    plain, watched, monitor = Training(case), Training(case), FlowMonitor(every=2)
    for _ in range(4):
        plain.step()
        with monitor.watch(watched.model) as watch:
            watch.tell(watched.step())
    left, right = plain.model.state_dict(), watched.model.state_dict()
    return all(torch.equal(left[name], right[name]) for name in left)


def measure(case: tuple[str, int, int, int, int, int], every: int, pairs: int) -> dict[str, object]:
    """The cost of a case."""
    if not same_bits(case):
        raise SystemExit(f"{case}: the monitored training is another one; nothing is timed")
    training, monitor = Training(case), FlowMonitor(every=every)
    training.block(max(2, every // 10), None)
    training.block(every, monitor)
    ratios, steps = [], []
    for pair in range(pairs):
        order = (None, monitor) if pair % 2 else (monitor, None)
        seconds = {one: training.block(every, one) for one in order}
        ratios.append(seconds[monitor] / seconds[None] - 1)
        steps.append(seconds[None] / every)
    if len(monitor.records) != pairs + 1:
        raise SystemExit(
            f"{case}: {len(monitor.records)} records for {pairs + 1} blocks; nothing is reported"
        )
    low, median, high = statistics.quantiles(ratios, n=4) if pairs > 1 else [ratios[0]] * 3
    return {
        "case": list(case), "every": every, "pairs": pairs, "milliseconds_a_step": 1e3 * statistics.median(steps),
        "overhead": median, "quartiles": [low, high],
    }  # fmt: skip


def text(results: list[dict[str, object]]) -> str:
    """The results as a table."""
    lines = [
        "| cell, layers, batch, steps, input, hidden | ms a step | overhead | quartiles |",
        "| --- | ---: | ---: | ---: |",
    ]
    for one in results:
        low, high = one["quartiles"]  # type: ignore[misc]
        case = ", ".join(map(str, one["case"]))  # type: ignore[call-overload]
        lines.append(
            f"| {case} | {one['milliseconds_a_step']:.2f} | {one['overhead']:.2%} | {low:.2%} to {high:.2%} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="a path without suffix: .json and .md are written there")
    parser.add_argument("--every", type=int, default=100, help="the monitor's interval")
    parser.add_argument("--pairs", type=int, default=15, help="blocks with the monitor, and as many without")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="see that it runs; the figures mean nothing")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    every, pairs = (5, 2) if options.quick else (options.every, options.pairs)
    results = []
    for case in CASES[-1:] if options.quick else CASES:
        results.append(measure(case, every, pairs))
        print(text(results[-1:]).splitlines()[-1], flush=True)
    kept = all(one["overhead"] < PROMISE for one in results)  # type: ignore[operator]
    verdict = "not judged" if options.quick else "yes" if kept else "no"
    print(f"under {PROMISE:.0%} in every case: {verdict}")
    if options.out is not None:
        stored = {"machine": describe(), "threads": options.threads, "promise": PROMISE, "results": results}
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.with_suffix(".json").write_text(json.dumps(stored, indent=1) + "\n")
        facts = stored["machine"]["text"]  # type: ignore[index]
        about = f"One step in {every} is looked at; see `benchmarks/inspect_overhead.py`. {facts}"
        heading = f"# What FlowMonitor costs\n\n{about}\n\n"
        options.out.with_suffix(".md").write_text(heading + text(results) + "\n")


if __name__ == "__main__":
    main()
