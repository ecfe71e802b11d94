"""DeepAR: one recurrent network that reads its own last value, a likelihood, and paths by sampling.

Salinas, Flunkert, Gasthaus & Januschowski 2020, "DeepAR: probabilistic forecasting with autoregressive recurrent
networks", international journal of forecasting 36.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gatewise.errors import ArgumentError, EngineError
from gatewise.nn import Recurrent, prepare
from gatewise.nn.state import RecurrentState
from gatewise.tasks.forecast import likelihoods
from gatewise.tasks.forecast.architectures.parts import Readout, probe, recurrent_layers
from gatewise.tasks.forecast.encoding import Windows
from gatewise.tasks.forecast.likelihoods import Scale
from gatewise.tasks.forecast.normalisation import Normal
from gatewise.tasks.forecast.plan import NetworkPlan

__all__ = ["DeepAR", "StreamState"]

# Inputs of a step before those that tell of more than the value: value, observed, age.
_VALUE = 3
# Rows (paths) that run through the horizon at once: enough to keep the cores busy, few enough for their caches.
_ROWS = 1 << 11


@dataclass(frozen=True)
class StreamState:
    """All that a forecast needs of the past: what `DeepAR.advance` carries from row to row.

    Args:
        recurrent: the recurrent layers' state.
        output: (batch, width), the last layer's last output.
        last: (batch,), the last observed value, scaled.
    """

    recurrent: RecurrentState
    output: Tensor
    last: Tensor


class DeepAR(nn.Module):
    """The distribution of the next value given all values before it (Salinas et al. 2020, eq. 1).

    At step t the recurrent layers read the value (or the last one observed, its age and that it is missing) and what is
    known; h_t, what is known for step t + 1, the last value and that of a season before give the parameters of a
    likelihood for step t + 1 (eq. 2). Training maximises the likelihood of what came, given what came before
    (eq. 5); a forecast feeds samples back, step after step.

    Beyond the paper: columns that are not known for the future are read in the past and marked absent in the
    future, which training shows too, by hiding them from a random step on.

    Args:
        plan: its sizes.
    """

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        if plan.channels > 1:
            raise ArgumentError(
                'channels: "independent" is expected with architecture="deepar", which samples one series at a time, '
                'came "joint"; choose "direct", "seq2seq" or "segrnn" to forecast series together'
            )
        self._plan = plan
        self.shares_encoder = not plan.revin
        self._past = plan.inputs - _VALUE - plan.known
        size = plan.decoder_size
        self.recurrent = recurrent_layers(plan, plan.inputs + (self._past > 0))
        width, _ = probe(self.recurrent)
        self.dropout = nn.Dropout(plan.dropout)
        self.context = nn.Linear(width, size)
        self.mix_known = nn.Linear(plan.known + 2, size, bias=False)
        self.inner = nn.Linear(size, size)
        self.out = Readout(size, plan, seasonal=True)
        self.likelihood = likelihoods.get(plan.likelihood)

    # --- training

    def log_prob(
        self,
        windows: Windows,
        target: Float[Tensor, "positions batch horizon"],
        counts: Bool[Tensor, "positions batch horizon"],
        normal: Normal | None,
    ) -> Float[Tensor, "positions batch steps"]:
        """Log-likelihood of what came, each step given the true values before it.

        Without `normal`, windows may have many positions, and each gives the likelihood of the one step after
        it: the steps before it are the positions before. With it, the window's own scale is part of the inputs, so
        that the steps of the whole horizon are run through after the window.
        """
        if normal is None:
            output, _ = self.recurrent(self._hide(windows.inputs))
            output, known, season = output[windows.positions], windows.known[:, :, 0], windows.season[..., 0]
            found = self._distribution(output, known, windows.last, season, None, _scale(windows))
            return self.likelihood.log_prob(found, target[..., 0], _scale(windows))[..., None]
        target_normal = normal.apply(target)
        rows, last = self._future_rows(windows, target_normal[0], counts[0])
        season = self._future_season(windows.season, target_normal, counts)
        output, _ = self.recurrent(torch.cat([self._present(windows.inputs), rows]))
        output = output[len(windows.inputs) - 1 :].transpose(0, 1)[None]
        found = self._distribution(output, windows.known, last, season, normal, _scale(windows))
        return self.likelihood.log_prob(found, target, _scale(windows))

    def _hide(self, inputs: Tensor) -> Tensor:
        """In training, columns of the past alone are absent from a random step on, as they are in a forecast."""
        if not self._past or not self.training:
            return self._present(inputs)
        time, batch, _ = inputs.shape
        span = min(2 * self._plan.horizon, time)
        cut = time - torch.randint(span + 1, (batch,), device=inputs.device)
        there = (torch.arange(time, device=inputs.device)[:, None] < cut)[..., None].to(inputs.dtype)
        past = inputs[..., _VALUE : _VALUE + self._past] * there
        known = inputs[..., _VALUE + self._past :]
        return torch.cat([inputs[..., :_VALUE], past, known, there], dim=-1)

    def _present(self, inputs: Tensor) -> Tensor:
        return torch.cat([inputs, torch.ones_like(inputs[..., :1])], dim=-1) if self._past else inputs

    def _future_rows(self, windows: Windows, target: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """The horizon's rows but the last as inputs, with true values; and the last value before each step."""
        horizon, length = self._plan.horizon, torch.log1p(torch.tensor(float(self._plan.lookback)))
        steps = torch.arange(horizon, device=target.device)
        seen = torch.where(counts, steps, -1).cummax(-1).values
        carried = torch.where(seen >= 0, target.gather(-1, seen.clamp(min=0)), windows.last[0][:, None])
        before = torch.expm1(windows.inputs[-1, :, 2:3] * length)
        age = torch.where(seen >= 0, steps - seen, before + 1 + steps).clamp(max=self._plan.lookback)
        value = torch.stack([carried, counts.to(carried.dtype), torch.log1p(age) / length], dim=-1)
        rows = torch.cat(
            [value, self._absent(value), windows.known[0], self._absent(value, flag=True)], dim=-1
        )
        last = torch.cat([windows.last[0][:, None], carried[:, :-1]], dim=-1)
        return rows[:, :-1].transpose(0, 1), last[None]

    def _future_season(self, season: Tensor, target: Tensor, counts: Tensor) -> Tensor:
        """The value one season before each step: from the second season on, what came (a path's own, in a forecast)."""
        length = self._plan.season_length
        if length >= self._plan.horizon:
            return season
        came = torch.where(counts[..., :-length], target[..., :-length], season[..., length:])
        return torch.cat([season[..., :length], came], dim=-1)

    def _absent(self, like: Tensor, *, flag: bool = False) -> Tensor:
        """Zeros in place of the columns of the past alone, or of the mark that they are there."""
        width = int(self._past > 0) if flag else self._past
        return like.new_zeros(*like.shape[:-1], width)

    def _distribution(
        self, output: Tensor, known: Tensor, last: Tensor, season: Tensor, normal: Normal | None, scale: Scale
    ) -> likelihoods.Parameters:
        """Parameters of the likelihood of the step after `output`; shapes are (lead, batch, *rest[, features])."""
        known = torch.cat([known, torch.stack([last, season], dim=-1)], dim=-1)
        hidden = self.context(self.dropout(output)) + self.mix_known(known)
        raw = self.out(F.silu(self.inner(F.silu(hidden))))[..., 0, :].float()
        loc = torch.lerp(last, season, torch.sigmoid(raw[..., -1])) + raw[..., 0]
        stretch: Tensor | float = 1.0
        if normal is not None:
            loc, stretch = normal.undo(loc), normal.stretch.view(1, -1, *(1,) * (loc.dim() - 2))
        return self.likelihood.parameters(loc, raw[..., 1:-1], stretch, scale)

    # --- forecasts

    def advance(self, state: StreamState | None, rows: Float[Tensor, "time batch features"]) -> StreamState:
        """Read further rows of each series.

        Args:
            state: what the last call returned; None at the start of the series.
            rows: as `Windows.inputs`, at least one.

        Returns:
            The state after the last row; the same whether the rows come at once or one at a time.

        Raises:
            ArgumentError: the network normalises each window, which a stream has none of.
        """
        if self._plan.revin:
            raise ArgumentError(
                "revin: False is expected for a stream, came True: a window's own mean changes with every row; read "
                "whole windows, or fit without revin"
            )
        return self._advance(state, rows)

    def _advance(self, state: StreamState | None, rows: Tensor) -> StreamState:
        output, recurrent = self.recurrent(self._present(rows), None if state is None else state.recurrent)
        return StreamState(recurrent, output[-1], rows[-1, :, 0])

    def forecast_from(
        self,
        state: StreamState,
        known: Float[Tensor, "batch horizon known"],
        season: Float[Tensor, "batch horizon"],
        scale: Scale,
        uniforms: Float[Tensor, "noise samples horizon 2"],
        normal: Normal | None = None,
        layers: Recurrent | None = None,
    ) -> Float[Tensor, "batch samples horizon"]:
        """Sample paths of the steps after a state.

        Args:
            state: of `advance`.
            known: what is known for each step.
            season: the value one season before each step, scaled (of the first season's steps; after those, a path's
                own values stand there).
            scale: of each series.
            uniforms: in 0 to 1, which make the paths; one row for each series, or one for all.
            normal: the windows' own scale, where they are normalised.
            layers: what does the steps; None: `recurrent`.

        Returns:
            Scaled values.
        """
        batch, samples, layers = len(known), uniforms.shape[1], layers or self.recurrent
        rows = torch.arange(batch, device=known.device).repeat_interleave(samples)
        recurrent, output = state.recurrent.select(rows), state.output[rows]
        last = state.last[None, :, None].expand(1, batch, samples)
        lowest, highest = scale.bounds(last)
        paths: list[Tensor] = []
        values: list[Tensor] = []
        for step in range(known.shape[1]):
            ahead = known[None, :, None, step].expand(1, batch, samples, -1)
            before = season[None, :, None, step].expand(1, batch, samples)
            if step >= self._plan.season_length:
                before = values[step - self._plan.season_length]
            found = self._distribution(output.view(1, batch, samples, -1), ahead, last, before, normal, scale)
            value = self.likelihood.sample(found, uniforms[None, :, :, step], scale).to(known.dtype)
            value = torch.minimum(torch.maximum(value, lowest), highest)
            paths.append(value[0])
            last = value if normal is None else normal.apply(value)
            values.append(last)
            if step + 1 < known.shape[1]:
                seen = torch.stack([last, torch.ones_like(last), torch.zeros_like(last)], dim=-1)
                row = torch.cat([seen, self._absent(seen), ahead, self._absent(seen, flag=True)], dim=-1)
                output, recurrent = layers.step(row.view(batch * samples, -1), recurrent)
        return torch.stack(paths, dim=-1)

    def paths(
        self, windows: Windows, normal: Normal | None, uniforms: Float[Tensor, "noise samples horizon 2"]
    ) -> Float[Tensor, "positions batch samples horizon"]:
        """Sample paths from each position of the windows."""
        found, state, begin, layers = [], None, 0, self._packed()
        for place, position in enumerate(windows.positions.tolist()):
            state = self._advance(state, windows.inputs[begin : position + 1])
            begin = position + 1
            found.append(self._in_parts(state, windows, place, normal, uniforms, layers))
        return torch.stack(found)

    def _packed(self) -> Recurrent:
        """The recurrent layers as the many steps of sampling run them best: with weights that are packed once."""
        weights = next(self.recurrent.parameters())
        plain = weights.is_cpu and weights.dtype is torch.float32 and self.recurrent.engine == "auto"
        if self.training or torch.is_grad_enabled() or not plain:
            return self.recurrent
        try:
            return prepare(self.recurrent)  # type: ignore[return-value]
        except EngineError:  # no native library: the layers as they are
            return self.recurrent

    def _in_parts(
        self,
        state: StreamState,
        windows: Windows,
        place: int,
        normal: Normal | None,
        uniforms: Tensor,
        layers: Recurrent,
    ) -> Tensor:
        """`forecast_from` for some series at a time: paths are many times the series."""
        known, season, scale = windows.known[place], windows.season[place], _scale(windows)
        each = max(1, _ROWS // uniforms.shape[1])
        parts = []
        for begin in range(0, len(known), each):
            part = slice(begin, begin + each)
            chosen = torch.arange(len(known), device=known.device)[part]
            own = StreamState(state.recurrent.select(chosen), state.output[part], state.last[part])
            noise = uniforms if len(uniforms) == 1 else uniforms[part]
            window = None if normal is None else Normal(normal.centre[part], normal.stretch[part])
            found = self.forecast_from(
                own, known[part], season[part], scale.part(part), noise, window, layers
            )
            parts.append(found)
        return torch.cat(parts)


def _scale(windows: Windows) -> Scale:
    if windows.scale is None:
        raise ArgumentError("windows: a scale is expected by a likelihood, came None; give Windows.scale")
    return windows.scale
