"""What every test runs under: annotations checked at run time, one seed, one thread."""

from __future__ import annotations

import random
from collections.abc import Iterator

from jaxtyping import config, install_import_hook

from tests import run_time_types

# Before anything imports gatewise: every annotated function of the package is wrapped, so that a shape in a
# type hint is a claim that the suite checks.
install_import_hook("gatewise", f"{run_time_types.__name__}.check")

import matplotlib  # noqa: E402

matplotlib.use("Agg")

import numpy  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402

# The tensors of the tests are small: more threads cost more than they bring.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def fixed_seeds() -> None:
    """Give every test the same random numbers, whatever ran before it."""
    random.seed(0)
    numpy.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture
def without_run_time_types() -> Iterator[None]:
    """Neither Dynamo nor symbolic sizes get through the run-time type checks: they rest here."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)
