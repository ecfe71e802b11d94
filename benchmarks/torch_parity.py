"""Gatewise's layers against torch.nn's in eager mode: the promise is no more than 3 % or 20 microseconds slower.

Both run in the same process, in turns; a figure is a median of the turns, and each pair is timed only after its
outputs and gradients agree.

    python benchmarks/torch_parity.py --out docs/results/torch-parity
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from gatewise import nn

try:
    from benchmarks.machine import describe
except ImportError:
    from machine import describe

SHAPES = [(1, 1, 16, 16), (1, 128, 64, 128), (4, 64, 64, 96), (32, 50, 64, 128), (64, 100, 128, 256)]
"""(batch, steps, input, hidden)."""


def seconds(function: Callable[[], None], calls: int) -> float:
    """Seconds of one call, over a number of them."""
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - start) / calls


def pair(
    mode: str, shape: tuple[int, int, int, int], train: bool
) -> tuple[Callable[[], None], Callable[[], None]]:
    """The same job for torch's module and for ours, after their outputs and gradients agree."""
    batch, steps, width, hidden = shape
    theirs = getattr(torch.nn, mode)(width, hidden)
    ours = getattr(nn, mode)(width, hidden)
    ours.load_state_dict(theirs.state_dict())
    cell = mode.endswith("Cell")
    x = torch.randn(batch, width) if cell else torch.randn(steps, batch, width)

    def result(module: torch.nn.Module) -> torch.Tensor:
        out = module(x)
        return out[0] if isinstance(out, tuple) else out

    def job(module: torch.nn.Module) -> Callable[[], None]:
        def infer() -> None:
            with torch.no_grad():
                result(module)

        def step() -> None:
            module.zero_grad(set_to_none=True)
            result(module).sum().backward()

        return step if train else infer

    job(theirs)(), job(ours)()
    torch.testing.assert_close(result(ours), result(theirs), rtol=1e-5, atol=1e-5)
    if train:
        for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(one.grad, two.grad, rtol=1e-4, atol=1e-4)
    return job(theirs), job(ours)


def measure(turns: int) -> list[dict[str, object]]:
    """One row for each layer, shape, job and number of threads."""
    rows = []
    for threads in sorted({1, torch.get_num_threads()}):
        torch.set_num_threads(threads)
        for mode in ("RNN", "LSTM", "GRU", "LSTMCell", "GRUCell"):
            for shape in SHAPES[:3] if mode.endswith("Cell") else SHAPES:
                for train in (False, True):
                    theirs, ours = pair(mode, shape, train)
                    calls = max(2, min(300, int(0.03 / max(seconds(theirs, 3), 1e-6))))
                    times: tuple[list[float], list[float]] = ([], [])
                    for _ in range(turns):
                        times[0].append(seconds(theirs, calls))
                        times[1].append(seconds(ours, calls))
                    one, two = statistics.median(times[0]), statistics.median(times[1])
                    rows.append(
                        {
                            "layer": mode, "shape": shape, "job": "train" if train else "infer", "threads": threads,
                            "torch_us": one * 1e6, "gatewise_us": two * 1e6, "ratio": two / one,
                            "kept": two <= one * 1.03 or two <= one + 20e-6,
                        }
                    )  # fmt: skip
    return rows


def table(rows: list[dict[str, object]]) -> str:
    """The rows as Markdown."""
    lines = [
        "| layer | batch, steps, input, hidden | job | threads | torch us | gatewise us | ratio | kept |"
    ]
    lines.append("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for r in rows:
        lines.append(
            f"| {r['layer']} | {', '.join(map(str, r['shape']))} | {r['job']} | {r['threads']} "
            f"| {r['torch_us']:.0f} | {r['gatewise_us']:.0f} | {r['ratio']:.3f} | {'yes' if r['kept'] else 'no'} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=None, help="path without ending for .md and .json")
    parser.add_argument("--turns", type=int, default=15)
    given = parser.parse_args()
    rows = measure(given.turns)
    text = table(rows)
    print(text)
    kept = sum(bool(r["kept"]) for r in rows)
    print(f"\n{kept} of {len(rows)} within 3 % or 20 microseconds")
    if given.out is not None:
        facts = describe()
        given.out.parent.mkdir(parents=True, exist_ok=True)
        command = f"python benchmarks/torch_parity.py --turns {given.turns}"
        head = f"# Eager layers beside torch.nn\n\nCommand: `{command}`. {facts['text']}\n\n"
        foot = f"\n\n{kept} of {len(rows)} rows are within 3 % or 20 microseconds of torch.nn.\n"
        given.out.with_suffix(".md").write_text(head + text + foot)
        given.out.with_suffix(".json").write_text(
            json.dumps({"machine": facts, "rows": rows}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
