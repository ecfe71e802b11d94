"""The elementary functions against twice the precision, over the whole range and at every special value."""

from __future__ import annotations

import math

import numpy
import pytest
import torch

from gatewise.engines.native.words import CODES
from gatewise.spec.operations import OPERATIONS

# In units of the last place, as native/src/functions.h states them; where the result is denormal, in units of the
# smallest number, but of sigmoid in units of the smallest normal number.
BOUNDS = {"exp": 2, "tanh": 2, "sigmoid": 3, "log": 2, "softplus": 3}
SPECIAL = [
    0.0, -0.0, math.inf, -math.inf, math.nan, 1e-45, -1e-45, 1.1754944e-38, -1.1754944e-38, 3.4028235e38,
    -3.4028235e38, 0.625, -0.625, 88.72283, 88.72284, -87.33655, -103.97208, -104.0, 1.0, -1.0, 16.0, 9.010913,
]  # fmt: skip


def apply(library, name: str, *arguments: numpy.ndarray) -> numpy.ndarray:
    result = numpy.empty_like(arguments[0])
    pointers = [a.ctypes.data for a in arguments] + [None] * (3 - len(arguments))
    element = result.itemsize
    library.check(
        library.handle.gatewise_apply(CODES[name], element, *pointers, result.ctypes.data, result.size)
    )
    return result


def exact(name: str, x: numpy.ndarray) -> numpy.ndarray:
    """The function in the precision of ``x``."""
    with numpy.errstate(all="ignore"):
        if name == "sigmoid":
            e = numpy.exp(-numpy.abs(x))
            return numpy.where(x >= 0, 1 / (1 + e), e / (1 + e))
        if name == "softplus":
            return numpy.maximum(x, 0) + numpy.log1p(numpy.exp(-numpy.abs(x)))
        return getattr(numpy, name)(x)


def check(name: str, got: numpy.ndarray, expected: numpy.ndarray) -> None:
    """Equal up to so many units in the last place; infinities and NaN where they belong."""
    bound = BOUNDS[name]
    with numpy.errstate(all="ignore"):
        rounded = expected.astype(got.dtype)
    assert (numpy.isnan(got) == numpy.isnan(rounded)).all()
    finite = numpy.isfinite(rounded)
    # The last number before infinity may round either way.
    largest = numpy.finfo(got.dtype).max
    edge = ~finite & ~numpy.isnan(rounded)
    assert ((got[edge] == rounded[edge]) | (numpy.abs(got[edge]) >= largest * (1 - 1e-6))).all()
    spacing = numpy.spacing(numpy.abs(rounded[finite])).astype(expected.dtype)
    if name == "sigmoid":
        tiny = numpy.finfo(got.dtype).tiny
        spacing[numpy.abs(expected[finite]) < tiny] = tiny
    error = numpy.abs(got[finite].astype(expected.dtype) - expected[finite]) / spacing
    assert error.max() <= bound, f"{error.max()} units at {got[finite][error.argmax()]!r}"


@pytest.mark.parametrize("name", BOUNDS)
def test_float32_over_all_magnitudes(library, kernel, name):
    """Every 509th float32 (8.4 million, a prime stride, so that no pattern of the low bits is left out)."""
    words = numpy.arange(0, 2**32, 509, dtype=numpy.uint64).astype(numpy.uint32)
    x = numpy.concatenate([words.view(numpy.float32), numpy.array(SPECIAL, dtype=numpy.float32)])
    check(name, apply(library, name, x), exact(name, x.astype(numpy.float64)))


@pytest.mark.parametrize("name", BOUNDS)
def test_float32_where_gates_live(library, kernel, name):
    """Every float32 in [1/2, 4) and its negative."""
    words = numpy.arange(0x3F000000, 0x40800000, 3, dtype=numpy.uint32)
    positive = words.view(numpy.float32)
    x = numpy.concatenate([positive, -positive])
    check(name, apply(library, name, x), exact(name, x.astype(numpy.float64)))


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.skipif(
    numpy.finfo(numpy.longdouble).eps > 1e-18, reason="needs an extended precision to compare with"
)
def test_float64(library, kernel, name):
    generator = numpy.random.default_rng(0)
    x = numpy.concatenate([
        generator.uniform(-40, 40, 200_000), generator.uniform(-1, 1, 200_000), generator.uniform(-750, 750, 100_000),
        generator.normal(size=100_000) * 10.0 ** generator.integers(-320, 300, 100_000), numpy.array(SPECIAL),
    ])  # fmt: skip
    check(name, apply(library, name, x), exact(name, x.astype(numpy.longdouble)))


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in BOUNDS])
def test_the_others_equal_torch(library, kernel, name):
    """Arithmetic, comparisons and choices are those of torch, bit for bit, also for infinities and NaN."""
    row = OPERATIONS[name]
    values = torch.tensor([*SPECIAL, *torch.randn(40).tolist()], dtype=torch.float32)
    count = len(row.arguments)
    grids = [g.flatten() for g in torch.meshgrid(*[values] * min(count, 2), indexing="ij")]
    given = [g.numpy().copy() for g in grids]
    if name == "select":
        mask = grids[0] > 0
        expected = torch.where(mask, grids[0], grids[1]).numpy()
        lanes = numpy.where(mask.numpy(), numpy.uint32(0xFFFFFFFF), numpy.uint32(0)).view(numpy.float32)
        got = apply(library, name, lanes, *given)
    else:
        arguments = dict(zip(row.arguments, grids, strict=True))
        # torch's square root is not always the nearest number; numpy's is.
        expected = (
            eval(row.torch, {"torch": torch, **arguments}).numpy() if name != "sqrt" else numpy.sqrt(given[0])
        )
        got = apply(library, name, *given)
        if row.boolean:
            got = got.view(numpy.uint32) != 0
    assert numpy.array_equal(got, expected, equal_nan=not row.boolean)
