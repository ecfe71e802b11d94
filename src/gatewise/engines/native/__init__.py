"""The native CPU engine: programs over time in C++, without a compiler at run time (docs/architecture.md)."""

from gatewise.engines.native.engine import can_run, run
from gatewise.engines.native.library import loaded, reason_absent

__all__ = ["can_run", "loaded", "reason_absent", "run"]
