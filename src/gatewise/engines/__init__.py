"""How a program runs over time."""

from gatewise.engines import ending as ending  # registers itself
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
from gatewise.engines.flat import RecurrenceResult
from gatewise.engines.native import FORMATS as WEIGHT_FORMATS
from gatewise.engines.native import PreparedLayer, WarmStep, warm_step
from gatewise.engines.operators import recurrence

__all__ = [
    "ENGINES", "WEIGHT_FORMATS", "Explanation", "PreparedLayer", "RecurrenceResult", "StackCall", "StackResult",
    "WarmStep", "explain", "has_steps", "lean_step", "may_prepare", "observed", "recurrence", "run", "step",
    "step_kernel", "warm_step",
]  # fmt: skip
