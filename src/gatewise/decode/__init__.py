"""Decoders: from a model that says what may come next to what it says; they know no network.

A model is anything with `step` and `select` (`StepModel`): a language model, a translator, a table of numbers.
"""

from gatewise.decode.beam import Hypothesis, beam_search, greedy
from gatewise.decode.limits import Limits
from gatewise.decode.penalties import Penalties
from gatewise.decode.sampling import narrow, sample
from gatewise.decode.stepping import Step, StepModel, select_rows

__all__ = [
    "Hypothesis",
    "Limits",
    "Penalties",
    "Step",
    "StepModel",
    "beam_search",
    "greedy",
    "narrow",
    "sample",
    "select_rows",
]
