"""What a benchmark stores beside its figures: machine, versions, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import torch

__all__ = ["describe"]


def describe() -> dict[str, str | int]:
    """The machine, the versions and the commit, and one sentence of them all."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line
        ]
        processor = names[0] if names else processor
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        check=False,
    )
    facts: dict[str, str | int] = {
        "processor": processor,
        "cores": os.cpu_count() or 0,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "commit": done.stdout.strip() or "unknown",
    }
    facts["text"] = (
        f"Machine: {facts['processor']}, {facts['cores']} cores, {facts['system']}; Python {facts['python']}, "
        f"torch {facts['torch']}; commit {facts['commit']}."
    )
    return facts
