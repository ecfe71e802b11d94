"""What every test runs under: annotations checked at run time, one seed, one thread."""

from __future__ import annotations

import random
import signal
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


# Tests that fit many models: `python -m pytest -m long` runs them, beside the suite, which keeps under 15 minutes.
LONG = (
    "tests/tasks/anomaly/test_contract.py", "tests/tasks/anomaly/test_detector.py",
    "tests/tasks/anomaly/test_evaluation_and_folder.py", "tests/tasks/classify/test_classifier.py",
    "tests/tasks/classify/test_model_folder.py", "tests/tasks/classify/test_sklearn_contract.py",
    "tests/tasks/recipes/test_recipes.py", "tests/tasks/test_adaptive.py",
    "tests/tasks/test_architecture_covariates.py", "tests/tasks/test_architectures.py",
    "tests/tasks/test_bad_input.py", "tests/tasks/test_cross_validation.py",
    "tests/tasks/test_parallel_forecast.py", "tests/tasks/test_sample_paths.py", "tests/tasks/test_search.py",
    "tests/tasks/test_update.py", "tests/cli/test_anomaly_cli.py", "tests/cli/test_classify.py",
    "tests/cli/test_forecast_options.py", "tests/cli/test_records.py", "tests/tasks/anomaly/test_bad_input.py",
    "tests/tasks/classify/test_bad_input.py", "tests/tasks/classify/test_streaming.py",
    "tests/cli/test_tag.py", "tests/tasks/tagging/test_tagger.py",
    "tests/tasks/text_classification/test_classifier.py", "tests/tasks/text_classification/test_finetuning.py",
    "tests/tasks/seq2seq/test_estimators.py", "tests/cli/test_texts.py",
    "tests/tasks/language/test_language_model.py", "tests/compare/test_tables.py", "tests/cli/test_inspect_kinds.py",
    "tests/bench/test_kernels.py", "tests/explorer/test_browser.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the long tests by their files."""
    for item in items:
        if item.path.as_posix().endswith(LONG):
            item.add_marker(pytest.mark.long)


@pytest.fixture(autouse=True)
def fixed_seeds() -> None:
    """Give every test the same random numbers, whatever ran before it."""
    random.seed(0)
    numpy.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture
def ctrl_c_is_heard() -> Iterator[None]:
    """A suite that was started in the background of a script inherits that Ctrl-C is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def without_run_time_types() -> Iterator[None]:
    """Neither Dynamo nor symbolic sizes get through the run-time type checks: they rest here."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)
