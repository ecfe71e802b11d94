"""Packed copies: the same numbers in float32, near ones in int8, and never saved by mistake."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gatewise.engines.native.library import reason_absent
from gatewise.errors import ArgumentError
from gatewise.tasks import LanguageModel
from tests.tasks.language.corpus import FAST, fitted, text

pytestmark = pytest.mark.skipif(reason_absent() is not None, reason="the native library is not installed")


@pytest.mark.parametrize("weights", ["float32", "bfloat16", "int8"])
def test_a_copy_writes_and_tells_as_the_model_does(weights) -> None:
    model, held = fitted(), text(10, seed=3)
    before = model.generate("the king", max_tokens=20)
    packed = model.prepare(weights)
    # Of 8 significant bits, or of 127 steps, about a percent is lost in each of a few sums.
    most = {"float32": 1e-4, "bfloat16": 0.1, "int8": 0.2}[weights]
    assert np.abs(packed.log_probabilities(held) - model.log_probabilities(held)).max() < most
    if weights == "float32":
        assert packed.generate("the king", max_tokens=20) == before
    pieces = "".join(packed.stream("the king", max_tokens=20))
    assert pieces == packed.generate("the king", max_tokens=20)
    assert model.generate("the king", max_tokens=20) == before


def test_the_output_layer_is_rounded_too() -> None:
    model = fitted()
    states = torch.randn(3, model.fitted_.network.head.weight.shape[1])
    exact = model.fitted_.network.head.logits(states)
    with torch.no_grad():
        for weights, least in (("float32", 0.0), ("int8", 1e-5)):
            difference = (model.prepare(weights).fitted_.network.head.logits(states) - exact).abs().max()
            assert least <= float(difference) < 0.1


def test_an_adaptive_softmax_stays_as_it_is() -> None:
    model = LanguageModel(output="adaptive", **{**FAST, "max_epochs": 1}).fit(text(60))
    held = text(5)
    np.testing.assert_allclose(
        model.prepare().log_probabilities(held), model.log_probabilities(held), atol=1e-4
    )


def test_a_copy_is_not_saved(tmp_path) -> None:
    with pytest.raises(ArgumentError, match="save the original"):
        fitted().prepare("int8").save(tmp_path)
    with pytest.raises(ArgumentError, match="weights"):
        fitted().prepare("int3")
