"""torch.compile and torch.export: one graph, any batch and time, forward and training, for every cell."""

from __future__ import annotations

import pytest
import torch

from gatewise import cells, nn

pytestmark = pytest.mark.usefixtures("without_run_time_types")

ALL = [name for name in cells.names() if name != "gru_d"]
EXTRA = {"lstm_projected": {"proj_size": 3}, "slstm": {"heads": 2}}


def layer(name: str, **options):
    torch.manual_seed(0)
    return nn.Recurrent(name, 4, 6, dtype=torch.float64, **EXTRA.get(name, {}), **options)


def outcome(module, x, **extras):
    output, state = module(x, **extras)
    total = output.square().sum() + sum(s.sum() for s in state)
    leaves = [x, *module.parameters()]
    return [output.detach(), *torch.autograd.grad(total, leaves, allow_unused=True)]


def assert_same(ours, theirs):
    for one, two in zip(ours, theirs, strict=True):
        if two is None:
            assert one is None or not one.any()
        else:
            torch.testing.assert_close(one, two, rtol=1e-11, atol=1e-11)


def sequence(steps, rows):
    return torch.randn(steps, rows, 4, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("name", ALL)
def test_compiled_equals_eager(name):
    module = layer(name)
    torch._dynamo.reset()
    compiled = torch.compile(module, fullgraph=True, dynamic=True, backend="aot_eager")
    for shape in ((5, 3), (9, 2)):
        x = sequence(*shape)
        assert_same(outcome(compiled, x), outcome(module, x))


def test_compiled_equals_eager_with_several_streams():
    module = nn.Recurrent("gru_d", 4, 6, dtype=torch.float64)
    torch._dynamo.reset()
    compiled = torch.compile(module, fullgraph=True, dynamic=True, backend="aot_eager")
    x = sequence(5, 3)
    streams = {"m": (torch.rand(5, 3, 4) < 0.5).double(), "d": torch.rand(5, 3, 4, dtype=torch.float64)}
    assert_same(outcome(compiled, x, streams=streams), outcome(module, x, streams=streams))


@pytest.mark.parametrize("name", ["lstm", "min_gru"])
def test_inductor(name):
    module = layer(name, num_layers=2, bidirectional=True)
    torch._dynamo.reset()
    compiled = torch.compile(module, fullgraph=True)
    x = sequence(5, 3)
    assert_same(outcome(compiled, x), outcome(module, x))


@pytest.mark.parametrize("extras", ["lengths", "mask", "resets"])
def test_compiled_with_ragged_input(extras):
    module = layer("gru", bidirectional=True)
    torch._dynamo.reset()
    compiled = torch.compile(module, fullgraph=True, dynamic=True, backend="aot_eager")
    given = {
        "lengths": torch.tensor([5, 0, 2]),
        "mask": torch.rand(5, 3) < 0.5,
        "resets": torch.rand(5, 3) < 0.3,
    }[extras]
    x = sequence(5, 3)
    assert_same(outcome(compiled, x, **{extras: given}), outcome(module, x, **{extras: given}))


def test_the_seed_does_not_freeze():
    """Two runs of one compiled graph draw two masks, and the same ones again under the same seed."""
    module = layer("lstm", zoneout=0.5, recurrent_dropout=0.5)
    torch._dynamo.reset()
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    x = sequence(5, 3)
    torch.manual_seed(1)
    first, second = compiled(x)[0], compiled(x)[0]
    assert not torch.equal(first, second)
    torch.manual_seed(1)
    assert torch.equal(compiled(x)[0], first)
    torch.manual_seed(1)
    torch.testing.assert_close(module(x)[0], first, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["lstm", "gru_layer_norm", "min_lstm"])
def test_the_graph_does_not_grow_with_the_steps(name):
    counts = []
    for steps in (3, 60):
        nodes: list[int] = []

        def count(graph, example, nodes=nodes):
            nodes.append(len(graph.graph.nodes))
            calls = [node for node in graph.graph.nodes if "gatewise.recurrence" in str(node.target)]
            assert len(calls) == 1, "each graph runs the whole sequence by one call of the operator"
            return graph

        from torch._dynamo.backends.common import aot_autograd

        torch._dynamo.reset()
        module = layer(name)
        compiled = torch.compile(
            module, fullgraph=True, dynamic=False, backend=aot_autograd(fw_compiler=count, bw_compiler=count)
        )
        compiled(sequence(steps, 2))[0].sum().backward()
        counts.append(nodes)
    assert len(counts[0]) == 2
    assert counts[0] == counts[1]


@pytest.mark.parametrize("name", ALL)
def test_export_with_dynamic_batch_and_time(name):
    module = layer(name, num_layers=2).eval()
    sizes = {0: torch.export.Dim("time"), 1: torch.export.Dim("batch")}
    exported = torch.export.export(module, (sequence(5, 3).detach(),), dynamic_shapes={"input": sizes})
    for shape in ((11, 7), (2, 1)):
        x = sequence(*shape).detach()
        output, _ = exported.module()(x)
        torch.testing.assert_close(output, module(x)[0], rtol=1e-12, atol=1e-12)
