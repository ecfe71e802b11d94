"""Tensors go into a module all of them or not at all, and what does not fit is named."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from gatewise.errors import StoreError
from gatewise.store import apply_tensors


def module():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.LSTM(4, 5))


def test_loads_parameters_and_buffers():
    source, target = module(), module()
    source[1].running_mean += 1
    apply_tensors(target, source.state_dict())
    for name, value in source.state_dict().items():
        assert torch.equal(value, target.state_dict()[name]), name


def test_names_everything_that_does_not_fit_and_changes_nothing():
    target = module()
    before = copy.deepcopy(target.state_dict())
    tensors = dict(module().state_dict())
    del tensors["0.bias"]
    tensors["2.bias"] = torch.ones(1)
    tensors["2.weight_ih_l0"] = torch.ones(20, 5)
    tensors["1.weight"] = torch.ones(4, dtype=torch.float64)
    with pytest.raises(StoreError) as raised:
        apply_tensors(target, tensors, source="model/model.safetensors")
    text = str(raised.value)
    for words in (
        "model/model.safetensors does not fit the module Sequential",
        "missing: 0.bias",
        "unexpected: 2.bias",
        "wrong shape: 2.weight_ih_l0 (expected (20, 4), came (20, 5))",
        "wrong dtype: 1.weight (expected torch.float32, came torch.float64)",
    ):
        assert words in text
    assert all(torch.equal(value, target.state_dict()[name]) for name, value in before.items())


def test_many_names_are_cut_short():
    with pytest.raises(StoreError, match="and 92 more"):
        apply_tensors(
            nn.Linear(1, 1), {**nn.Linear(1, 1).state_dict(), **{f"x{i}": torch.ones(1) for i in range(100)}}
        )


def test_the_module_keeps_its_own_tensors():
    target, tensors = nn.Linear(2, 2), {"weight": torch.ones(2, 2), "bias": torch.ones(2)}
    weight = target.weight
    apply_tensors(target, tensors)
    tensors["weight"].zero_()
    assert target.weight is weight
    assert weight.tolist() == [[1, 1], [1, 1]]


def test_tied_weights():
    tied = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    tied[1].weight = tied[0].weight
    apply_tensors(tied, {"0.weight": torch.eye(2), "1.weight": torch.eye(2)})
    assert tied[0].weight is tied[1].weight
    assert torch.equal(tied[0].weight, torch.eye(2))
