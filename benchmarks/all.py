"""The long measurements one after the other, from where the last day left them.

    export GATEWISE_DATA=../shared/data
    python benchmarks/all.py --out benchmarks/results --hours 3      # does what is missing, in this order
    python benchmarks/all.py --out benchmarks/results --list         # says what there is, and how many runs are done
    python benchmarks/all.py --out benchmarks/results --only nab etth1

Each entry is a script of this folder that writes a JSON line a run and does none twice. Lines that are kept in
docs/results are taken up first, where --out has none of that name yet; what comes new is for you to copy back, with its
page. Speed is measured by scripts of their own, on a machine that does nothing else: forecast_peers, forecast_engines,
language_speed, torch_parity, `gatewise bench kernels`.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
KEPT = HERE.parent / "docs" / "results"


@dataclass(frozen=True)
class Entry:
    """A script, the lines it writes, the name they are kept by, and arguments that belong to it."""

    script: str
    lines: str
    kept: str
    arguments: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What it is called here."""
        return "-".join([self.script, *(one for one in self.arguments if not one.startswith("--"))])


QUEUE = (
    Entry("nsl_kdd", "nsl_kdd", "nsl-kdd"),
    Entry("fraud_simulated", "fraud_simulated", "fraud"),
    Entry("forecast_sets", "forecast_sets", "forecast-sets"),
    Entry("physionet2012", "physionet2012", "physionet2012"),
    Entry("tagging", "tagging", "tagging"),
    Entry("etth1", "etth1", "etth1", ("choose",)),
    Entry("etth1", "etth1", "etth1", ("run",)),
    Entry("activity", "activity", "activity"),
    Entry("stock_movement", "stock-movement", "stock-movement"),
    Entry("nab", "nab", "nab"),
    Entry("understanding", "claims", "claims"),
    Entry("forecast_scale", "forecast_scale", "forecast-scale"),
    Entry("sentiment", "sentiment", "sentiment"),
    Entry("language_model", "language_model", "language-model"),
    Entry("summaries", "summaries", "summaries"),
    Entry("translation", "translation", "translation"),
    Entry("long_dependency", "long_dependency/results", "long-dependency", ("lags",)),
    Entry("long_dependency", "long_dependency_1000/results", "long-dependency-1000", ("thousand",)),
    Entry("sequential_mnist", "sequential_mnist_row/results", "sequential-mnist-row", ("row",)),
    Entry("sequential_mnist", "sequential_mnist_pixel/results", "sequential-mnist-pixel", ("pixel",)),
    Entry(
        "sequential_mnist", "sequential_mnist_permuted/results", "sequential-mnist-permuted", ("permuted",)
    ),
)


def main() -> None:
    """Run the queue, or say what is in it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--hours", type=float, default=1.0, help="after these no further run is begun")
    parser.add_argument(
        "--only", nargs="+", choices=sorted({entry.script for entry in QUEUE}), help="these scripts alone"
    )
    parser.add_argument("--list", action="store_true", help="say what is in the queue and do nothing")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 3600 * arguments.hours
    for entry in QUEUE:
        if arguments.only and entry.script not in arguments.only:
            continue
        lines = arguments.out / f"{entry.lines}.jsonl"
        kept = KEPT / f"{entry.kept}.jsonl"
        if kept.exists() and not lines.exists():
            lines.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(kept, lines)
        if arguments.list:
            done = len(lines.read_text(encoding="utf-8").splitlines()) if lines.exists() else 0
            print(f"{entry.name}: {done} lines in {lines}")
            continue
        left = end - time.monotonic()
        if left <= 0:
            print(f"out of time before {entry.name}; the same command goes on", file=sys.stderr)
            return
        print(f"== {entry.name}", flush=True)
        command = [sys.executable, str(HERE / f"{entry.script}.py"), *entry.arguments]
        done = subprocess.run(
            [*command, "--out", str(arguments.out), "--stop-after", f"{left:.0f}"], check=False
        )
        if done.returncode:
            print(f"{entry.name} ended with {done.returncode}; going on with the next", file=sys.stderr)


if __name__ == "__main__":
    main()
