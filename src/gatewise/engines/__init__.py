"""How a program runs over time."""

from gatewise.engines.call import StackCall, StackResult
from gatewise.engines.choose import (
    ENGINES,
    Explanation,
    explain,
    has_steps,
    lean_step,
    may_prepare,
    observed,
    run,
    step,
    step_kernel,
)
from gatewise.engines.native import FORMATS as WEIGHT_FORMATS
from gatewise.engines.native import PreparedLayer
from gatewise.engines.operators import RecurrenceResult, recurrence

__all__ = [
    "ENGINES", "WEIGHT_FORMATS", "Explanation", "PreparedLayer", "RecurrenceResult", "StackCall", "StackResult",
    "explain", "has_steps", "lean_step", "may_prepare", "observed", "recurrence", "run", "step", "step_kernel",
]  # fmt: skip
