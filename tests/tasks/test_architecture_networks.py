"""The networks against independent computations: SegRNN's equations, RevIN's, and DeepAR step by step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from gatewise import cells
from gatewise.errors import ArgumentError, ShapeError
from gatewise.tasks.forecast.encoding import Windows
from gatewise.tasks.forecast.likelihoods import Gaussian, Scale
from gatewise.tasks.forecast.network import ForecastNetwork, NetworkPlan
from gatewise.tasks.forecast.origin_source import OriginSource
from gatewise.tasks.forecast.sampling import uniforms
from tests.tasks.series import hourly, small

TIME, BATCH, KNOWN, PAST, HORIZON = 12, 4, 2, 1, 5


def plan(**fields) -> NetworkPlan:
    """A small network's plan."""
    base = {
        "program": cells.get("gru"), "inputs": 3 + PAST + KNOWN, "known": KNOWN, "horizon": HORIZON,
        "levels": (0.1, 0.5, 0.9), "hidden_size": 8, "num_layers": 1, "decoder_size": 6, "dropout": 0.0,
        "engine": "auto", "lookback": TIME, "segment_length": 4, "num_samples": 16,
        "season_length": 3,
    }  # fmt: skip
    return NetworkPlan(**base | fields)


def network(architecture: str, **fields) -> ForecastNetwork:
    """A network in eval mode, its last layer awake."""
    if architecture == "deepar":
        fields = {"loss": "likelihood", "likelihood": "gaussian"} | fields
    made = ForecastNetwork(plan(architecture=architecture, **fields)).eval()
    with torch.no_grad():
        made.body.out.linear.weight.mul_(10)
    return made


def windows(batch: int = BATCH, positions: tuple[int, ...] = (TIME - 1,), time: int = TIME) -> Windows:
    """Random windows, all values observed."""
    inputs = torch.randn(time, batch, 3 + PAST + KNOWN)
    inputs[..., 1], inputs[..., 2] = 1.0, 0.0
    ones = torch.ones(batch)
    constants = dict.fromkeys(("unit", "spread", "size"), ones) | {"centre": 0 * ones}
    return Windows(
        inputs=inputs, known=torch.randn(len(positions), batch, HORIZON, KNOWN), last=inputs[list(positions), :, 0],
        season=torch.randn(len(positions), batch, HORIZON), positions=torch.tensor(positions),
        scale=Scale(constants | {"lowest": -1e3 * ones, "highest": 1e3 * ones}, False),
    )  # fmt: skip


def test_segrnn_is_its_equations() -> None:
    """Written out with torch's own GRU, a segment and a window at a time (Lin et al. 2023, sec. 4)."""
    made = network("segrnn", levels=(0.5,))
    body, given = made.body, windows()
    gru = torch.nn.GRU(8, 8)
    gru.load_state_dict(body.recurrent.state_dict())
    for row in range(BATCH):
        x = given.inputs[:, row]
        last = x[-1, 0]
        state = None
        for segment in range(3):
            own = x[4 * segment : 4 * segment + 4]
            embedded = torch.relu(
                body.segment.weight @ (own[:, 0] - last)
                + body.segment.bias
                + body.further.weight @ own[:, 1:].mean(0)
            )
            _, state = gru(embedded.view(1, 1, 8), state)
        known = torch.cat([given.known[0, row], torch.zeros(3, KNOWN)]).view(2, 4 * KNOWN)
        found = []
        for segment in range(2):
            query = body.place[segment] + body.origin.weight @ x[-1, 1:] + body.future.weight @ known[segment]
            decoded, _ = gru(query.view(1, 1, 8), state)
            found.append(last + body.out.linear.weight @ decoded.view(8) + body.out.linear.bias)
        expected = torch.cat(found)[:HORIZON]
        torch.testing.assert_close(made(given)[0, row, :, 0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", ["direct", "seq2seq", "segrnn", "deepar"])
def test_revin_follows_level_and_scale_of_the_window(architecture) -> None:
    made, given = network(architecture, revin=True), windows()
    moved = given.inputs.clone()
    moved[..., 0] = 3 * moved[..., 0] + 7
    other = replace(given, inputs=moved, last=3 * given.last + 7, season=3 * given.season + 7)
    # The epsilon under the root, 1e-4 beside a variance near one, is what keeps this from being exact.
    torch.testing.assert_close(made(other), 3 * made(given) + 7, rtol=2e-3, atol=2e-2)
    unlike = network(architecture)
    assert not torch.allclose(unlike(other), 3 * unlike(given) + 7, rtol=2e-2, atol=2e-1)


def test_revin_reads_observed_values_alone() -> None:
    made, given = network("direct", revin=True), windows()
    given.inputs[3, :, 1] = 0.0
    _, normal = made.norm(given)
    seen = np.delete(given.inputs[..., 0].numpy(), 3, axis=0)
    np.testing.assert_allclose(normal.centre.detach(), seen.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(normal.stretch.detach(), np.sqrt(seen.var(0) + 1e-4), rtol=1e-5)


def test_a_decoder_s_step_reads_what_is_known_up_to_it() -> None:
    made, given = network("seq2seq"), windows()
    known = given.known.clone()
    known[:, :, 3] += 1.0
    change = (made(replace(given, known=known)) - made(given)).abs().amax(dim=(0, 1, 3))
    assert (change[:3] == 0).all()
    assert (change[3:] > 0).all()


@pytest.mark.parametrize("architecture", ["direct", "seq2seq"])
def test_a_position_s_forecast_is_that_of_its_own_window(architecture) -> None:
    made, given = network(architecture), windows(positions=(6, 11))
    whole = made(given)
    for place, position in enumerate((6, 11)):
        own = replace(
            given, inputs=given.inputs[: position + 1], known=given.known[[place]], last=given.last[[place]],
            season=given.season[[place]], positions=torch.tensor([position]),
        )  # fmt: skip
        torch.testing.assert_close(made(own)[0], whole[place], rtol=1e-5, atol=1e-6)


# --- deepar


def test_a_stream_is_the_whole_history() -> None:
    made, given = network("deepar", num_layers=2), windows()
    noise = uniforms(0, None, 7, HORIZON)
    with torch.no_grad():
        whole = made.paths(given, noise)[0]
        for cuts in ([TIME], [5, 7], [1] * TIME):
            state = None
            for rows in given.inputs.split(cuts):
                state = made.body.advance(state, rows)
            found = made.body.forecast_from(state, given.known[0], given.season[0], given.scale, noise)
            # Steps at once and one by one differ in the last bits of float32 sums over a dozen units.
            torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-5)


def test_a_stream_goes_on_after_a_forecast() -> None:
    made, given = network("deepar"), windows()
    noise = uniforms(0, None, 7, HORIZON)
    with torch.no_grad():
        state = made.body.advance(None, given.inputs[:8])
        first = made.body.forecast_from(state, given.known[0], given.season[0], given.scale, noise)
        again = made.body.forecast_from(state, given.known[0], given.season[0], given.scale, noise)
        torch.testing.assert_close(first, again, rtol=0, atol=0)
        state = made.body.advance(state, given.inputs[8:])
        last = made.body.forecast_from(state, given.known[0], given.season[0], given.scale, noise)
        torch.testing.assert_close(last, made.paths(given, noise)[0], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(first, last)


def test_windows_of_their_own_scale_are_no_stream() -> None:
    with pytest.raises(ArgumentError, match="revin"):
        network("deepar", revin=True).body.advance(None, windows().inputs)


class Residuals(Gaussian):
    """Gives the standardised residual in place of the likelihood."""

    def log_prob(self, parameters, scaled, scale) -> Tensor:
        return (scaled - parameters[0]) / parameters[1]


@pytest.mark.parametrize("revin", [True, False])
def test_training_and_sampling_are_one_model(revin) -> None:
    """Of a path that was sampled, training's residuals are the normal numbers that it was made of."""
    made, given = network("deepar", revin=revin), windows()
    noise = uniforms(0, None, 1, HORIZON)
    with torch.no_grad():
        path = made.paths(given, noise)[0, :, 0]
        made.body.likelihood = Residuals()
        counts = torch.ones(1, BATCH, HORIZON, dtype=torch.bool)
        if revin:
            found = made.log_prob(given, path[None], counts)[0]
        else:
            found = torch.cat([step_by_step(made, given, path, step) for step in range(HORIZON)], dim=-1)
    expected = torch.special.ndtri(noise[0, 0, :, 0]).expand(BATCH, -1)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def step_by_step(made: ForecastNetwork, given: Windows, path: Tensor, step: int) -> Tensor:
    """The residual of one step, from the window with the path's earlier values as its last rows."""
    rows = torch.zeros(step, BATCH, 3 + PAST + KNOWN)
    rows[..., 0], rows[..., 1] = path[:, :step].T, 1.0
    rows[..., 3 + PAST :] = given.known[0, :, :step].transpose(0, 1)
    # Rows of the future have no columns of the past, and say so.
    mark = torch.cat([torch.ones(TIME, BATCH, 1), torch.zeros(step, BATCH, 1)])
    made.body._hide = lambda inputs: torch.cat([inputs, mark], dim=-1)
    # A season of three steps: from the fourth on, the path's own values are those of a season before.
    season = torch.cat([given.season[..., :3], path[None, :, : HORIZON - 3]], dim=-1)
    longer = replace(
        given, inputs=torch.cat([given.inputs, rows]), known=given.known[:, :, step:], season=season[..., step:],
        last=path[:, step - 1][None] if step else given.last, positions=torch.tensor([TIME - 1 + step]),
    )  # fmt: skip
    ones = torch.ones(1, BATCH, HORIZON, dtype=torch.bool)
    return made.body.log_prob(longer, path[None, :, step:], ones[..., step:], None)[0]


def test_missing_values_are_carried_on_in_training() -> None:
    """A value that was not observed has no part in what comes after it."""
    made, given = network("deepar", revin=True), windows()
    target = torch.randn(1, BATCH, HORIZON)
    counts = torch.ones(1, BATCH, HORIZON, dtype=torch.bool)
    counts[..., 2] = False
    changed = target.clone()
    changed[..., 2] = 99.0
    one, other = made.log_prob(given, target, counts), made.log_prob(given, changed, counts)
    torch.testing.assert_close(one[counts], other[counts], rtol=0, atol=0)
    counts[..., 2] = True
    third = made.log_prob(given, changed, counts)
    torch.testing.assert_close(one[..., :2], third[..., :2], rtol=0, atol=0)
    assert (one[..., 3:] != third[..., 3:]).all()


def test_past_columns_are_hidden_in_training_and_in_the_future() -> None:
    made, given = network("deepar"), windows()
    hidden = made.body.train()._hide(given.inputs)
    there = hidden[..., -1]
    assert set(there.unique().tolist()) <= {0.0, 1.0}
    assert (there.diff(dim=0) <= 0).all()
    assert (hidden[..., 3][there == 0] == 0).all()
    torch.testing.assert_close(hidden[..., 4:-1], given.inputs[..., 4:], rtol=0, atol=0)
    assert (made.body.eval()._hide(given.inputs)[..., -1] == 1).all()


# --- batches


def test_channels_of_a_torn_batch_are_refused() -> None:
    made = network("direct", channels=3)
    with pytest.raises(ShapeError, match="multiple of 3"):
        made(windows(batch=4))


def test_a_pass_reads_every_origin_once() -> None:
    frame = hourly(3000, ("a",))
    model = small(lookback=24, horizon=6).fit(frame)
    from gatewise.data import panel_from_frame

    encoded, _ = model.fitted_.encode(panel_from_frame(frame, "error"), np.array([3000]))
    source = OriginSource(encoded, np.array([2900]), 17, seed=1)
    epochs = [[source.batch(e, s) for s in range(source.steps_per_epoch())] for e in range(8)]
    seen = np.concatenate([batch["last"][0].numpy() for epoch in epochs for batch in epoch])
    # Rows 23 to 2898 are origins; 8 epochs of whole batches leave at most 8 * 17 of them for the next pass.
    wanted = set(encoded.carried[23:2899].astype(np.float32).tolist())
    assert set(seen.tolist()) <= wanted
    assert len(set(seen.tolist())) >= len(wanted) - 8 * 17
    assert len(seen) == len(set(seen.tolist()))
    again = OriginSource(encoded, np.array([2900]), 17, seed=1).batch(3, 2)
    assert all(torch.equal(again[name], value) for name, value in epochs[3][2].items())
    held = encoded.scaled[2900:].astype(np.float32)
    for batch in epochs[0]:
        assert not np.isin(batch["target"][batch["counts"]].numpy(), held).any()
