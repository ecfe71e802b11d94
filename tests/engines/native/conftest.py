"""The native library, and a way to run each of its kernels."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gatewise.engines import native
from gatewise.engines.native.library import Library


@pytest.fixture
def library() -> Library:
    found = native.loaded()
    if found is None:
        pytest.skip(f"the native engine is not there: {native.reason_absent()}")
    return found


@pytest.fixture(params=["avx512", "avx2", "portable"])
def kernel(request, library) -> Iterator[str]:
    """Each kernel that this processor runs."""
    best = library.kernel
    try:
        library.choose_kernel(request.param)
    except RuntimeError:
        pytest.skip(f"this processor runs {best}")
    yield request.param
    library.choose_kernel(best)
