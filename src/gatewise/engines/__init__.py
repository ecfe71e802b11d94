"""How a program runs over time."""

from gatewise.engines.call import StackCall, StackResult
from gatewise.engines.choose import ENGINES, Explanation, explain, observed, run, step, step_kernel
from gatewise.engines.operators import RecurrenceResult, recurrence

__all__ = [
    "ENGINES", "Explanation", "RecurrenceResult", "StackCall", "StackResult", "explain", "observed", "recurrence",
    "run", "step", "step_kernel",
]  # fmt: skip
