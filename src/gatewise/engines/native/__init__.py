"""The native CPU engine: programs over time in C++, without a compiler at run time (docs/architecture.md)."""

from gatewise.engines.native.engine import can_run, run, run_together
from gatewise.engines.native.library import loaded, reason_absent
from gatewise.engines.native.prepared import FORMATS, PreparedLayer
from gatewise.engines.native.single import can_step, step
from gatewise.engines.native.warm import WarmStep, warm_step

__all__ = [
    "FORMATS", "PreparedLayer", "WarmStep", "can_run", "can_step", "loaded", "reason_absent", "run", "run_together",
    "step", "warm_step",
]  # fmt: skip
