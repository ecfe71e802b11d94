"""10,000 malformed calls: no crash, and every one a typed error that names the argument, what was expected, what came.

Each call starts good and has one thing broken that surely cannot be (torch's own layers crash the process on some
of these: pytorch #175978, #193823, #173946, #106769, #195547).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from gatewise import nn
from gatewise.errors import GatewiseError

TIME, BATCH, INPUT, HIDDEN = 4, 3, 5, 6
MESSAGE = re.compile(r"^(?P<name>[a-z_]\w*)[^:]*: expected (?P<expected>.+), got (?P<got>.+); .+", re.DOTALL)


def runs(count: int) -> Any:
    """That many examples, the same at every run."""
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def assert_refused(call: Callable[[], Any], *names: str) -> None:
    """The call raises a Gatewise error whose first words name one of the arguments."""
    error: GatewiseError | None = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = call()
        except GatewiseError as raised:
            error = raised
    assert error is not None, f"accepted: {result!r:.200}"
    assert MESSAGE.match(str(error)), f"{type(error).__name__} without its parts: {error}"
    listed = [name.strip() for name in str(error).split(":")[0].split(",")]
    bare = {re.split(r"[\[.(]", name)[0].strip() for name in listed}
    assert bare & set(names), f"names {bare}, expected one of {names}: {error}"


NOT_TENSORS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.lists(st.floats(), max_size=3),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    st.builds(lambda: numpy.zeros((TIME, BATCH, INPUT), numpy.float32)),
    st.builds(object),
    st.just(torch.float32),
    st.just(torch.nn.Linear),
)
SIZES = st.integers(0, 9)
WRONG_DTYPES = st.sampled_from(
    [
        torch.float64,
        torch.float16,
        torch.bfloat16,
        torch.int64,
        torch.int32,
        torch.uint8,
        torch.bool,
        torch.complex64,
    ]
)


def zeros(shape, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.zeros(tuple(shape), dtype=dtype)


ODD: list[Callable[[torch.Tensor], torch.Tensor]] = [
    lambda x: x.to_sparse(),
    lambda x: x.to("meta"),
    lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8),
    lambda x: torch.nested.nested_tensor([x, x]) if x.dim() else x.to("meta"),
    lambda x: torch.nested.nested_tensor([x], layout=torch.jagged) if x.dim() else x.to("meta"),
]


def odd_layout(x: torch.Tensor) -> st.SearchStrategy[torch.Tensor]:
    """The same numbers in a layout that engines do not take, or on another device."""
    return st.sampled_from(ODD).map(lambda make: make(x))


def other_shape(shape: tuple[int, ...], *, dims_too: bool = True) -> st.SearchStrategy[tuple[int, ...]]:
    """Any other shape: an axis changed, dropped or added."""
    changed = st.tuples(st.integers(0, len(shape) - 1), SIZES).map(
        lambda pick: (*shape[: pick[0]], pick[1], *shape[pick[0] + 1 :])
    )
    anything = st.lists(SIZES, max_size=5).map(tuple)
    return (st.one_of(changed, anything) if dims_too else changed).filter(lambda s: s != shape)


# --- constructors

WRONG = {
    "count": st.one_of(
        st.integers(-9, 0),
        st.floats(),
        st.text(max_size=3),
        st.none(),
        st.booleans(),
        st.just((3,)),
        st.just(torch.tensor(3)),
        st.just(numpy.int64(0)),
        st.integers(1 << 41, 1 << 80),
    ),
    "flag": st.one_of(st.integers(), st.floats(), st.text(max_size=3), st.none(), st.just([])),
    "rate": st.one_of(
        st.floats().filter(lambda p: not 0 <= p <= 1),
        st.booleans(),
        st.text(max_size=3),
        st.none(),
        st.integers(2, 9),
        st.integers(-9, -1),
        st.just([0.1]),
    ),
    "zoneout": st.one_of(
        st.just((0.1, 0.1, 0.1, 0.1, 0.1)), st.just(()), st.just((2.0, 0.1)), st.just("a"), st.just(-1)
    ),
    "init": st.one_of(st.text(max_size=5), st.integers(), st.none(), st.just("chrono")),
    "steps": st.one_of(st.integers(-9, 0), st.floats(), st.text(max_size=3), st.booleans()),
    "engine": st.one_of(st.integers(), st.none(), st.booleans()),
    "device": st.one_of(
        st.just("cpv"), st.just(""), st.floats(), st.just([]), st.just("cuda:x"), st.just(-3), st.booleans()
    ),
    "dtype": st.one_of(
        st.just(torch.int64),
        st.just(torch.bool),
        st.just(torch.complex64),
        st.just("float32"),
        st.integers(),
        st.just(numpy.float32),
        st.just(torch.float8_e4m3fn),
    ),
    "proj": st.one_of(
        st.integers(-9, -1), st.integers(HIDDEN, 99), st.floats(), st.text(max_size=3), st.none()
    ),
    "nonlinearity": st.one_of(
        st.text(max_size=4).filter(lambda t: t not in ("tanh", "relu")), st.none(), st.integers(), st.just([])
    ),
    "cell": st.one_of(
        st.text(max_size=4),
        st.none(),
        st.integers(),
        st.just([]),
        st.just(nn.LSTM),
        st.just("lstm_projected"),
    ),
}
ARGUMENTS = {
    "input_size": "count",
    "hidden_size": "count",
    "num_layers": "count",
    "bias": "flag",
    "batch_first": "flag",
    "dropout": "rate",
    "bidirectional": "flag",
    "device": "device",
    "dtype": "dtype",
    "recurrent_dropout": "rate",
    "zoneout": "zoneout",
    "weight_drop": "rate",
    "layer_norm": "flag",
    "residual": "flag",
    "learn_initial_state": "flag",
    "init": "init",
    "chrono_steps": "steps",
    "checkpoint_every": "steps",
    "engine": "engine",
    "reverse": "flag",
}
OWN = {
    nn.RNN: {"nonlinearity": "nonlinearity"},
    nn.LSTM: {"proj_size": "proj"},
    nn.GRU: {},
    nn.Recurrent: {"cell": "cell"},
}
CELL_ARGUMENTS = {k: ARGUMENTS[k] for k in ("input_size", "hidden_size", "device", "dtype", "engine")}


@runs(2500)
@given(st.data())
def test_layers_made_wrongly(data) -> None:
    made = data.draw(st.sampled_from(list(OWN)))
    table = ARGUMENTS | OWN[made]
    name = data.draw(st.sampled_from(sorted(table)))
    good: dict[str, Any] = {"input_size": INPUT, "hidden_size": HIDDEN}
    if made is nn.Recurrent:
        good["cell"] = data.draw(st.sampled_from(["lstm", "gru", "slstm", "rnn_tanh"]))
    value = data.draw(WRONG[table[name]])
    related = {"init": ("init", "chrono_steps"), "cell": ("cell", "proj_size")}.get(name, (name,))
    assert_refused(lambda: made(**good | {name: value}), *related)


@runs(500)
@given(st.data())
def test_cells_and_wrappers_made_wrongly(data) -> None:
    made = data.draw(st.sampled_from([nn.RNNCell, nn.LSTMCell, nn.GRUCell, nn.Bidirectional]))
    good: dict[str, Any] = {"input_size": INPUT, "hidden_size": HIDDEN}
    if made is nn.Bidirectional:
        good["forward_layer"] = "gru"
        choices = {
            "merge": st.one_of(st.text(max_size=3), st.none(), st.integers()),
            "backward_layer": NOT_TENSORS.filter(lambda v: v is not None),
            "forward_layer": NOT_TENSORS,
        }
        name = data.draw(st.sampled_from(sorted(choices)))
        value = data.draw(choices[name])
    else:
        table = CELL_ARGUMENTS | ({"nonlinearity": "nonlinearity"} if made is nn.RNNCell else {})
        name = data.draw(st.sampled_from(sorted(table)))
        value = data.draw(WRONG[table[name]])
    assert_refused(lambda: made(**good | {name: value}), name, *(["cell"] if name == "forward_layer" else []))


# --- calls


@lru_cache(maxsize=1)
def modules() -> list[nn.Recurrent]:
    made = [nn.Recurrent("gru_d", INPUT, HIDDEN), nn.Recurrent("sru", INPUT, HIDDEN, 2, bidirectional=True)]
    for batch_first in (False, True):
        made += [
            nn.LSTM(INPUT, HIDDEN, 2, batch_first=batch_first, bidirectional=batch_first),
            nn.LSTM(INPUT, HIDDEN, proj_size=2, batch_first=batch_first, learn_initial_state=True),
            nn.GRU(INPUT, HIDDEN, 2, batch_first=batch_first, zoneout=0.1),
            nn.RNN(INPUT, HIDDEN, batch_first=batch_first, engine="reference"),
            nn.Recurrent("slstm", INPUT, HIDDEN, heads=2, batch_first=batch_first),
        ]
    return made


@lru_cache(maxsize=1)
def cell_modules() -> list[torch.nn.Module]:
    return [kind(INPUT, HIDDEN) for kind in (nn.RNNCell, nn.LSTMCell, nn.GRUCell)]


def good_call(module: nn.Recurrent, batched: bool) -> dict[str, Any]:
    lead = ((BATCH, TIME) if module.batch_first else (TIME, BATCH)) if batched else (TIME,)
    rows = module.num_layers * (2 if module.bidirectional else 1)
    states = [zeros((rows, BATCH, w) if batched else (rows, w)) for w in module._state_widths]
    call: dict[str, Any] = {"input": zeros((*lead, INPUT)), "hx": tuple(states)}
    if len(module.program.inputs) > 1:
        call["streams"] = {s.name: zeros((*lead, INPUT)) for s in module.program.inputs[1:]}
    return call


def wrong_input(data, module, call) -> tuple[Any, tuple[str, ...]]:
    x = call["input"]
    kind = data.draw(st.sampled_from(["type", "shape", "dtype", "layout"]))
    if kind == "type":
        return data.draw(NOT_TENSORS), ("input",)
    if kind == "dtype":
        return x.to(data.draw(WRONG_DTYPES)), ("input",)
    if kind == "layout":
        return data.draw(odd_layout(x)), ("input",)
    return zeros(data.draw(other_shape(tuple(x.shape)).filter(lambda s: not fits(s, module, x)))), (
        "input",
        "hx",
        "streams",
    )


def fits(shape: tuple[int, ...], module, x: torch.Tensor) -> bool:
    """Whether the states of ``x`` suit an input of this shape: only the time differs."""
    time = 1 if module.batch_first and x.dim() == 3 else 0
    return len(shape) == x.dim() and all(n > 0 if i == time else n == x.shape[i] for i, n in enumerate(shape))


def wrong_hx(data, module, call) -> tuple[Any, tuple[str, ...]]:
    states = list(call["hx"])
    kind = data.draw(st.sampled_from(["type", "count", "member", "shape", "dtype", "layout"]))
    if kind == "type":
        found = data.draw(NOT_TENSORS.filter(lambda v: v is not None))
        return found, ("hx",)
    if kind == "count":
        return tuple(states[:-1]) if data.draw(st.booleans()) else (*states, states[0]), ("hx",)
    index = data.draw(st.integers(0, len(states) - 1))
    if kind == "member":
        states[index] = data.draw(NOT_TENSORS)
    elif kind == "dtype":
        states[index] = states[index].to(data.draw(WRONG_DTYPES))
    elif kind == "layout":
        states[index] = data.draw(odd_layout(states[index]))
    else:
        states[index] = zeros(data.draw(other_shape(tuple(states[index].shape))))
    return tuple(states), ("hx",)


def wrong_lengths(data, module, call) -> tuple[Any, tuple[str, ...]]:
    values = st.one_of(
        NOT_TENSORS.filter(lambda v: v is not None),
        st.just([1, 2, 99]),
        st.just([-1, 1, 1]),
        st.just([1, 2]),
        st.just([1.0, 2.0, 3.0]),
        st.just([True, True, True]),
        st.just(torch.tensor([1.0, 2, 3])),
        st.just(torch.tensor([True, True, True])),
        st.just(torch.tensor([5, 1, 1])),
        st.just(torch.tensor([1, -1, 1])),
        st.just(torch.tensor([[1, 1, 1]])),
        st.just(torch.tensor(3)),
        st.just(torch.tensor([1, 2])),
        st.just("123"),
        st.just(torch.zeros(3, dtype=torch.complex64)),
        st.just([10**30, 1, 1]),
    )
    return data.draw(values), ("lengths",)


def wrong_flags(name: str) -> Callable[..., tuple[Any, tuple[str, ...]]]:
    def draw(data, module, call) -> tuple[Any, tuple[str, ...]]:
        shape = tuple(call["input"].shape[:-1])
        kind = data.draw(st.sampled_from(["type", "shape", "dtype", "layout"]))
        if kind == "type":
            return data.draw(NOT_TENSORS.filter(lambda v: v is not None)), (name,)
        if kind == "dtype":
            return zeros(shape, data.draw(WRONG_DTYPES.filter(lambda d: d != torch.bool))), (name,)
        if kind == "layout":
            return zeros(shape, torch.bool).to("meta"), (name,)
        return zeros(data.draw(other_shape(shape)), torch.bool), (name,)

    return draw


def wrong_streams(data, module, call) -> tuple[Any, tuple[str, ...]]:
    names = [s.name for s in module.program.inputs[1:]]
    if not names:
        return data.draw(st.sampled_from([{"m": call["input"]}, (call["input"],), "m", 3, [1, 2]])), (
            "streams",
        )
    good = dict(call["streams"])
    kind = data.draw(st.sampled_from(["missing", "unknown", "type", "member", "shape", "dtype"]))
    name = data.draw(st.sampled_from(names))
    if kind == "missing":
        good.pop(name)
    elif kind == "unknown":
        good["other"] = good[name]
    elif kind == "type":
        return data.draw(NOT_TENSORS), ("streams",)
    elif kind == "member":
        good[name] = data.draw(NOT_TENSORS)
    elif kind == "dtype":
        good[name] = good[name].to(data.draw(WRONG_DTYPES))
    else:
        good[name] = zeros(data.draw(other_shape(tuple(good[name].shape))))
    return good, ("streams",)


BREAK = {
    "input": wrong_input,
    "hx": wrong_hx,
    "lengths": wrong_lengths,
    "mask": wrong_flags("mask"),
    "resets": wrong_flags("resets"),
    "streams": wrong_streams,
    "return_gates": lambda data, *_: (
        data.draw(st.one_of(st.integers(), st.none(), st.text(max_size=2))),
        ("return_gates",),
    ),
}


@runs(4500)
@given(st.data())
def test_layers_called_wrongly(data) -> None:
    module = data.draw(st.sampled_from(modules()))
    call = good_call(module, data.draw(st.booleans()) or data.draw(st.booleans()))
    broken = data.draw(st.sampled_from(list(BREAK)))
    value, names = BREAK[broken](data, module, call)
    assert_refused(lambda: module(**call | {broken: value}), *names)


@runs(1000)
@given(st.data())
def test_packed_sequences_made_wrongly(data) -> None:
    module = data.draw(st.sampled_from([m for m in modules() if len(m.program.inputs) == 1]))
    good = pack_padded_sequence(zeros((TIME, BATCH, INPUT)), [4, 2, 2], enforce_sorted=False)
    kind = data.draw(st.sampled_from(["data", "batch_sizes", "indices", "beside", "hx"]))
    fields = dict(zip(PackedSequence._fields, good, strict=True))
    extras: dict[str, Any] = {}
    names = ("input",)
    if kind == "data":
        fields["data"] = data.draw(
            st.one_of(
                WRONG_DTYPES.map(good.data.to),
                st.lists(SIZES, max_size=4).filter(lambda s: s != [8, INPUT]).map(zeros),
                odd_layout(good.data),
            )
        )
    elif kind == "batch_sizes":
        fields["batch_sizes"] = data.draw(
            st.one_of(
                st.lists(st.integers(-2, 5), max_size=6)
                .filter(lambda s: sum(s) != 8 or s != sorted(s, reverse=True) or min(s) < 1)
                .map(lambda s: torch.tensor(s, dtype=torch.int64)),
                st.just(good.batch_sizes.float()),
                st.just(good.batch_sizes[None]),
                st.just(torch.tensor(8)),
            )
        )
    elif kind == "indices":
        which = data.draw(st.sampled_from(["sorted_indices", "unsorted_indices"]))
        fields[which] = data.draw(
            st.sampled_from(
                [
                    torch.tensor([0, 1, 9]),
                    torch.tensor([0, 0, 1]),
                    torch.tensor([0, 1]),
                    torch.tensor([0.0, 1, 2]),
                    torch.tensor([-1, 0, 1]),
                    torch.tensor([[0, 1, 2]]),
                ]
            )
        )
    elif kind == "beside":
        name = data.draw(st.sampled_from(["lengths", "mask", "resets", "return_gates"]))
        value = {"lengths": [1, 2, 3], "return_gates": True}.get(name, zeros((TIME, BATCH), torch.bool))
        extras, names = {name: value}, (name,)
    else:
        extras, names = (
            {"hx": tuple(zeros(data.draw(other_shape((1, BATCH, HIDDEN)))) for _ in module._state_widths)},
            ("hx",),
        )
        rows = module.num_layers * (2 if module.bidirectional else 1)
        if [tuple(s.shape) for s in extras["hx"]] == [(rows, BATCH, w) for w in module._state_widths]:
            extras["hx"] = extras["hx"] * 2
    packed = PackedSequence.__new__(
        PackedSequence, good.data, good.batch_sizes, good.sorted_indices, good.unsorted_indices
    )
    packed = tuple.__new__(PackedSequence, tuple(fields[name] for name in packed._fields))
    assert_refused(lambda: module(packed, **extras), *names)


@runs(1000)
@given(st.data())
def test_steps_called_wrongly(data) -> None:
    module = data.draw(st.sampled_from([m for m in modules() if not m.bidirectional]))
    batched = data.draw(st.booleans())
    x = zeros((BATCH, INPUT) if batched else (INPUT,))
    call: dict[str, Any] = {"x_t": x}
    if len(module.program.inputs) > 1:
        call["streams"] = {s.name: x for s in module.program.inputs[1:]}
    if data.draw(st.booleans()):
        kind = data.draw(st.sampled_from(["type", "shape", "dtype", "layout"]))
        if kind == "type":
            call["x_t"] = data.draw(NOT_TENSORS)
        elif kind == "dtype":
            call["x_t"] = x.to(data.draw(WRONG_DTYPES))
        elif kind == "layout":
            call["x_t"] = data.draw(odd_layout(x))
        else:
            shapes = other_shape(tuple(x.shape)).filter(lambda s: len(s) not in (1, 2) or s[-1] != INPUT)
            call["x_t"] = zeros(data.draw(shapes))
        assert_refused(lambda: module.step(**call), "x_t")
        return
    good = {
        "hx": tuple(
            zeros((module.num_layers, BATCH, w) if batched else (module.num_layers, w))
            for w in module._state_widths
        )
    }
    state, _ = wrong_hx(data, module, good)
    assert_refused(lambda: module.step(**call, state=state), "state", "hx")


@runs(500)
@given(st.data())
def test_cells_called_wrongly(data) -> None:
    module = data.draw(st.sampled_from(cell_modules()))
    batched = data.draw(st.booleans())
    x = zeros((BATCH, INPUT) if batched else (INPUT,))
    count = 2 if isinstance(module, nn.LSTMCell) else 1
    good = {"hx": (zeros((BATCH, HIDDEN) if batched else (HIDDEN,)),) * count}
    if data.draw(st.booleans()):
        hx, names = wrong_hx(data, module, good)
        assert_refused(lambda: module(x, hx), *names)
        return
    broken = data.draw(
        st.one_of(
            NOT_TENSORS,
            WRONG_DTYPES.map(x.to),
            odd_layout(x),
            other_shape(tuple(x.shape)).filter(lambda s: len(s) not in (1, 2) or s[-1] != INPUT).map(zeros),
        )
    )
    assert_refused(lambda: module(broken, good["hx"] if data.draw(st.booleans()) else None), "input", "hx")


def test_engines_that_are_unknown_or_cannot_run() -> None:
    for module in (
        nn.GRU(INPUT, HIDDEN, engine="fastest"),
        nn.Recurrent("sru", INPUT, HIDDEN, engine="torch"),
    ):
        for call in (
            lambda m=module: m(zeros((TIME, BATCH, INPUT))),
            lambda m=module: m.step(zeros((BATCH, INPUT))),
        ):
            with pytest.raises(GatewiseError, match=r"^engine: .+; .+"):
                call()
