"""Further tables: peers with threads of their own, streams of single steps, whole training loops."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gatewise import nn
from gatewise.bench.rows import GATES, Row, Shape, agree, row
from gatewise.bench.timing import in_turns, product_rate

__all__ = ["end_to_end", "onnxruntime", "streams"]

# torch's gates in the order in which the ONNX operators want them.
_ORDER = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2), "RNN": (0,)}


def in_blocks(
    first: Callable[[], object], second: Callable[[], object], seconds: float
) -> tuple[float, float]:
    """Median seconds of two jobs in blocks of calls with a pause between.

    A peer with a pool of its own leaves threads that spin for a while after each call; they would take the cores from
    whoever comes next.

    Example:
        >>> one, two = in_blocks(lambda: None, lambda: None, 0.01)
        >>> one < 0.01 and two < 0.01
        True
    """
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(3):
        for listed, job in zip(times, (first, second), strict=True):
            time.sleep(min(0.2, seconds))
            job()
            end = time.perf_counter() + seconds / 6
            while time.perf_counter() < end or not listed:
                start = time.perf_counter()
                job()
                listed.append(time.perf_counter() - start)
    return statistics.median(times[0]), statistics.median(times[1])


def onnxruntime(shapes: Sequence[Shape], seconds: float) -> Iterator[Row]:
    """Inference beside onnxruntime's recurrent operators; nothing where it is not installed."""
    if find_spec("onnxruntime") is None or find_spec("onnx") is None:
        return
    for kind in GATES:
        for batch, steps, width, hidden in shapes:
            module = getattr(nn, kind)(width, hidden, engine="native").eval()
            session = _session(kind, module)
            x = torch.randn(steps, batch, width)
            given = {"X": x.numpy()}

            def ours(module: Any = module, x: Tensor = x) -> Tensor:
                with torch.no_grad():
                    output: Tensor = module(x)[0]
                return output

            def theirs(session: Any = session, given: Any = given) -> Any:
                return session.run(["Y"], given)[0]

            agree(ours(), torch.from_numpy(theirs()[:, 0]), f"{kind} {batch, steps, width, hidden}")
            times = in_blocks(theirs, ours, seconds)
            work = 2 * batch * steps * GATES[kind] * hidden * (width + hidden)
            shape = (batch, steps, width, hidden)
            yield row(
                "onnxruntime", kind, shape, "infer", "onnxruntime", times, work / times[1] / product_rate()
            )


def _session(kind: str, module: Any) -> Any:
    """An onnxruntime session of one operator with a layer's weights, on as many threads as torch has."""
    import onnx
    import onnxruntime as runtime

    order, hidden = _ORDER[kind], module.hidden_size

    def gates(tensor: Tensor) -> Any:
        parts = tensor.detach().unflatten(0, (len(order), hidden))
        return parts[list(order)].flatten(0, 1).numpy()

    biases = np.concatenate([gates(module.bias_ih_l0), gates(module.bias_hh_l0)])[None]
    weights = {"W": gates(module.weight_ih_l0)[None], "R": gates(module.weight_hh_l0)[None], "B": biases}
    options = {"linear_before_reset": 1} if kind == "GRU" else {}
    node = onnx.helper.make_node(kind, ["X", *weights], ["Y"], hidden_size=hidden, **options)
    kinds = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [node], "layer", [onnx.helper.make_tensor_value_info("X", kinds, ["t", "b", module.input_size])],
        [onnx.helper.make_tensor_value_info("Y", kinds, None)],
        [onnx.numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in weights.items()],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)], ir_version=8)
    settings = runtime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    return runtime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])


def streams(seconds: float) -> Iterator[Row]:
    """Single steps of a stream of one row: plain, and with prepared weights, beside torch's cell.

    The last column is the time that reading W and R takes in the product of the same matrices with one vector by torch,
    by the whole step's: 100 % would be a step that costs no more than that product.
    """
    for kind in ("LSTM", "GRU"):
        for hidden in (128, 256, 1024):
            yield from _stream(kind, hidden, seconds)


@torch.no_grad()
def _stream(kind: str, hidden: int, seconds: float) -> list[Row]:
    """The rows of one kind and size."""
    found = []
    cell, layer = (
        getattr(torch.nn, f"{kind}Cell")(hidden, hidden),
        getattr(nn, kind)(hidden, hidden).eval(),
    )
    for name, value in cell.state_dict().items():
        layer.state_dict()[f"{name}_l0"].copy_(value)
    x = torch.randn(1, hidden)
    joined = torch.cat([layer.weight_ih_l0, layer.weight_hh_l0], 1).detach()
    vector = torch.randn(2 * hidden)
    zero = torch.zeros(1, hidden)
    state = (zero, zero) if kind == "LSTM" else zero
    steps = {"plain": layer} | {w: nn.prepare(layer, w) for w in ("float32", "bfloat16", "int8")}
    for name, module in steps.items():
        expected = cell(x, state)
        expected = expected[0] if kind == "LSTM" else expected
        output, own = module.step(x)
        if name in ("plain", "float32"):
            agree(output, expected, f"{kind}.step")
        read = in_turns(lambda: torch.mv(joined, vector), lambda: None, seconds / 8)[0]
        times = in_turns(
            lambda: cell(x, state),
            lambda m=module, s=own: m.step(x, s),  # type: ignore[misc]
            seconds / 2,
        )
        shape = (1, 1, hidden, hidden)
        found.append(
            row("streams", f"{kind}.step, {name}", shape, "infer", "torch cell", times, read / times[1])
        )
    return found


def end_to_end(seconds: float) -> Iterator[Row]:
    """Training loops of a tagger's and a recommender's size beside the same on torch.nn, optimiser included."""
    jobs: dict[str, tuple[Callable[[Any], Any], Shape]] = {
        "tagger": (_tagger, (32, 37, 128, 128)),
        "recommender": (_recommender, (128, 20, 64, 100)),
    }
    for name, (make, shape) in jobs.items():
        steps = []
        for library, options in ((torch.nn, {}), (nn, {"engine": "auto"})):
            torch.manual_seed(0)
            steps.append(make((library, options)))
        # The same weights, data and optimiser: the losses of the first steps are the same.
        losses = [[float(step()) for _ in range(3)] for step in steps]
        agree(torch.tensor(losses[1]), torch.tensor(losses[0]), f"{name}: losses")
        yield row("end to end", name, shape, "train", "torch.nn", in_turns(steps[0], steps[1], seconds))


def _trainer(parameters: Any, loss: Callable[[], Tensor]) -> Callable[[], Tensor]:
    optimiser = torch.optim.Adam(list(parameters), lr=1e-3)

    def step() -> Tensor:
        optimiser.zero_grad(set_to_none=True)
        value = loss()
        value.backward()
        optimiser.step()
        return value.detach()

    return step


def _tagger(given: Any) -> Callable[[], Tensor]:
    """Embeddings, two bidirectional layers over sentences of a mean length of 20, a tag for each word."""
    library, options = given
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(3, 38, (32,), generator=generator)
    steps = int(lengths.max())
    words = torch.randint(5000, (steps, 32), generator=generator)
    tags = torch.randint(9, (steps, 32), generator=generator)
    tags[torch.arange(steps)[:, None] >= lengths] = -100
    embedding = torch.nn.Embedding(5000, 128)
    encoder = library.LSTM(128, 128, 2, bidirectional=True, **options)
    head = torch.nn.Linear(256, 9)

    def loss() -> Tensor:
        x = embedding(words)
        if library is nn:
            output = encoder(x, lengths=lengths)[0]
        else:
            rows = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
            output, _ = torch.nn.utils.rnn.pad_packed_sequence(encoder(rows)[0])
        return torch.nn.functional.cross_entropy(head(output).flatten(0, 1), tags.flatten())

    return _trainer([*embedding.parameters(), *encoder.parameters(), *head.parameters()], loss)


def _recommender(given: Any) -> Callable[[], Tensor]:
    """A GRU over sessions of 20 clicks and a score for each of 3,000 items (GRU4Rec's shape, Hidasi et al. 2016)."""
    library, options = given
    clicks = torch.randint(3000, (21, 128), generator=torch.Generator().manual_seed(2))
    embedding = torch.nn.Embedding(3000, 64)
    encoder = library.GRU(64, 100, **options)
    head = torch.nn.Linear(100, 3000)

    def loss() -> Tensor:
        output = encoder(embedding(clicks[:-1]))[0]
        return torch.nn.functional.cross_entropy(head(output).flatten(0, 1), clicks[1:].flatten())

    return _trainer([*embedding.parameters(), *encoder.parameters(), *head.parameters()], loss)
