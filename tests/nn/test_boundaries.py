"""Resets beside masked steps: padding changes nothing, and a boundary at a masked step is not lost."""

from __future__ import annotations

import pytest
import torch

from gatewise import cells, nn
from tests.nn.helpers import assert_equal, layer, streams_for

TIME, BATCH = 7, 6


def by_rows(module, x, streams, state, keep, resets):
    """Each row alone, masked steps taken out and each reset moved on to the next counted step, if there is one."""
    outputs, finals = (
        torch.zeros(TIME, BATCH, module(x, state, streams=streams)[0].shape[-1], dtype=x.dtype),
        [],
    )
    for row in range(BATCH):
        counted = keep[:, row].nonzero()[:, 0].tolist()
        hx = tuple(s[:, row : row + 1] for s in state)
        if not counted:
            finals.append(hx)
            continue
        flags, previous = [], -1
        for step in counted:
            flags.append(bool(resets[previous + 1 : step + 1, row].any()))
            previous = step
        own = {name: s[counted, row : row + 1] for name, s in (streams or {}).items()} or None
        y, last = module(x[counted, row : row + 1], hx, streams=own, resets=torch.tensor(flags)[:, None])
        outputs[counted, row] = y[:, 0]
        finals.append(tuple(last))
    return outputs, [torch.cat(parts, 1) for parts in zip(*finals, strict=True)]


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("cell", cells.names())
def test_resets_among_masked_steps_equal_single_rows(cell, direction) -> None:
    extras = {"forward": {}, "reverse": {"reverse": True}, "bidirectional": {"bidirectional": True}}[
        direction
    ]
    module = layer(cell, 4, 6, 1, **extras)
    x, streams = torch.randn(TIME, BATCH, 4, dtype=torch.float64), streams_for(module, (TIME, BATCH))
    rows = 2 if direction == "bidirectional" else 1
    state = tuple(torch.rand(rows, BATCH, w, dtype=torch.float64) + 0.1 for w in module._state_widths)
    lengths = torch.tensor([7, 0, 3, 1, 4, 5])
    mask, resets = torch.rand(2, TIME, BATCH) > 0.4
    resets[3:, 2] = True  # padded done flags
    within = torch.arange(TIME)[:, None] < lengths
    if isinstance(streams, (list, tuple)):
        streams = {spec.name: s for spec, s in zip(module.program.inputs[1:], streams, strict=True)}
    for keep, ragged in (
        (within, {"lengths": lengths}),
        (mask, {"mask": mask}),
        (within & mask, {"lengths": lengths, "mask": mask}),
    ):
        expected, finals = by_rows(module, x, streams, state, keep, resets)
        for engine in ("reference", "auto"):
            module.engine = engine
            output, final, trace = module(
                x, state, streams=streams, resets=resets, return_gates=True, **ragged
            )
            assert_equal(output, expected)
            for one, other in zip(final, finals, strict=True):
                assert_equal(one, other)
            last = trace[0][module.state_names[0]][0 if direction == "reverse" else -1]
            assert_equal(last, final[0][0])
        module.engine = "auto"


def test_a_row_without_steps_keeps_its_state() -> None:
    gru, x = nn.GRU(3, 4), torch.randn(5, 2, 3)
    h, resets = torch.ones(1, 2, 4), torch.ones(5, 2, dtype=torch.bool)
    assert torch.equal(gru(x, h, lengths=[0, 5], resets=resets)[1][:, 0], h[:, 0])
