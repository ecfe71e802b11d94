"""A million malformed calls of the public layers: no crash, only typed errors, and what is accepted is right.

Every call is a good one of which none, one or two arguments were twisted (`malformed_subjects.py`); a seed and an index
give the same call anywhere. Workers make the calls; one that dies names the call that killed it, and another goes on
behind it. One accepted call in ten is made again by a float64 copy of the module on the readable reference loop.

    python benchmarks/malformed_calls.py --calls 1000000 --out docs/results/malformed-calls.json
    python benchmarks/malformed_calls.py --only 4711      # one call, with its traceback
"""

from __future__ import annotations

import argparse
import collections
import copy
import json
import mmap
import re
import resource
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from gatewise.errors import GatewiseError

try:
    from benchmarks.machine import describe
    from benchmarks.malformed_subjects import Prepared, make
except ImportError:
    from machine import describe
    from malformed_subjects import Prepared, make

CHUNK = 1000
SECONDS = 60
"""How long a worker may be at one chunk's call before it counts as hung."""
ROOM = 12 * 2**30
"""Address space of a worker: a call that asks for more fails there, and is told as what it raised."""


def tensors(value: Any) -> list[Tensor]:
    """All tensors in a result."""
    if isinstance(value, PackedSequence):
        return tensors(value.data)
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [x for part in value for x in tensors(part)]
    return []


def exact(value: Any) -> Any:
    """An argument in float64, as an ordinary tensor."""
    if isinstance(value, PackedSequence):
        return tuple.__new__(PackedSequence, (exact(value.data), *value[1:]))
    if isinstance(value, Tensor):
        value = value.detach().resolve_neg().clone().as_subclass(Tensor)
        return value.double() if value.dtype.is_floating_point else value
    if isinstance(value, list | tuple):
        return type(value)(exact(part) for part in value)
    return value


def difference(call: Prepared, result: Any) -> float | None:
    """How far the result is from the reference, in units of what rounding may do; None where it cannot be judged."""
    given = {name: exact(value) for name, value in call.arguments.items()}
    large = max((float(x.abs().nan_to_num(0, 0).max()) for x in tensors(list(given.values()))
                 if x.dtype.is_floating_point and x.numel()), default=0.0)  # fmt: skip
    if large > 1e3:
        return None
    loop = copy.deepcopy(call.module)
    if hasattr(loop, "engine"):
        loop.engine = "reference"
    # What rounding does in single precision on the loop itself: layer norms of a few units can make much of it.
    rounded = tensors(getattr(loop, call.method)(**call.arguments))
    right = tensors(getattr(loop.double(), call.method)(**given))
    got = tensors(result)
    if len(got) != len(right):
        return float("inf")
    unit = max((torch.finfo(x.dtype).eps for x in got if x.is_floating_point()), default=0.0)
    worst = 0.0
    for x, y, z in zip(got, right, rounded, strict=True):
        if x.shape != y.shape:
            return float("inf")
        x, y, z = (value.detach().double() for value in (x, y, z))
        there = y.isfinite()
        if not torch.equal(x.isfinite(), there):
            return float("inf")
        if not there.any():
            continue
        # A sum of some 20 terms a step, over 20 steps, two layers: each may round by half a unit of the last place.
        allowed = unit * max(1.0, large, float(y[there].abs().max())) * 20 * 20 * 2
        allowed = max(allowed, 4 * float((z - y)[there].abs().nan_to_num(0).max()))
        off = float((x - y)[there].abs().max())
        worst = max(worst, off / allowed if allowed else float(off > 0) * 2)
    return worst


def outcome(seed: int, index: int) -> tuple[str, str]:
    """What became of a call: accepted, checked, typed, or a fault and its text."""
    call = make(seed, index)
    random_parts = call.module is None or (call.module.training and _draws(call.module))
    try:
        if call.backward:
            result = call.function(**call.arguments)
            found = [x for x in tensors(result) if x.requires_grad]
            if found:
                sum(x.sum() for x in found).backward()
        else:
            with torch.no_grad():
                result = call.function(**call.arguments)
    except GatewiseError as error:
        return "typed", type(error).__name__
    except Exception as error:  # noqa: BLE001 - what must not come is what is looked for
        return "untyped", f"{call.name}: {type(error).__name__}: {error!s:.120}"
    if random_parts or index % 10:
        return "accepted", ""
    with torch.no_grad():
        off = difference(call, result)
    if off is None:
        return "accepted", ""
    if off > 1:
        return "wrong", f"{call.name} {call.broken}: {off:.3g} times what rounding explains"
    return "checked", ""


def _draws(module: Any) -> bool:
    rates = (getattr(module, name, 0) for name in ("dropout", "recurrent_dropout", "weight_drop"))
    return any(rates) or any(getattr(module, "zoneout", ()))


def work(path: str) -> None:
    """A worker: reads ranges, writes what became of them, and says in shared memory which call it is at."""
    resource.setrlimit(resource.RLIMIT_AS, (ROOM, ROOM))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    with open(path, "r+b") as file:
        place = mmap.mmap(file.fileno(), 8)
    for line in sys.stdin:
        seed, first, last = map(int, line.split())
        counts: collections.Counter[str] = collections.Counter()
        kinds: dict[str, list[Any]] = {}
        for index in range(first, last):
            place[:8] = struct.pack("q", index)
            kind, text = outcome(seed, index)
            counts[kind] += 1
            if kind in ("untyped", "wrong"):
                kinds.setdefault(f"{kind}: {re.sub(r'[0-9.e+-]*[0-9]', '#', text)}", []).append(index)
            elif text:
                counts[f"typed {text}"] += 1
        print(json.dumps([counts, kinds]), flush=True)


class Workers:
    """Ranges of calls, shared out among workers; those of a worker that dies are divided at the call it died at."""

    def __init__(self, seed: int, calls: int, number: int) -> None:
        self.seed, self.number = seed, number
        self.todo = [(a, min(a + CHUNK, calls)) for a in range(0, calls, CHUNK)][::-1]
        self.counts: collections.Counter[str] = collections.Counter()
        self.faults: dict[str, list[Any]] = {}
        self.lock = threading.Lock()

    def run(self) -> None:
        """All of them."""
        threads = [threading.Thread(target=self._serve) for _ in range(self.number)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _serve(self) -> None:
        with tempfile.NamedTemporaryFile() as file:
            file.write(bytes(8))
            file.flush()
            worker: subprocess.Popen[str] | None = None
            while True:
                with self.lock:
                    if not self.todo:
                        break
                    first, last = self.todo.pop()
                if worker is None:
                    worker = subprocess.Popen(
                        [sys.executable, __file__, "--worker", file.name], text=True,
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    )  # fmt: skip
                if not self._told(worker, first, last):
                    at = struct.unpack("q", Path(file.name).read_bytes()[:8])[0]
                    code = worker.wait()
                    worker = None
                    with self.lock:
                        name = "hung" if code == -9 else "crashed"
                        self.counts[name] += 1
                        self.faults.setdefault(f"{name}: exit code {code}", []).append(at)
                        self.todo += [(a, b) for a, b in ((first, at), (at + 1, last)) if a < b]
            if worker is not None:
                worker.communicate()

    def _told(self, worker: subprocess.Popen[str], first: int, last: int) -> bool:
        """Whether a worker answered."""
        timer = threading.Timer(SECONDS + (last - first) * 0.1, worker.kill)
        timer.start()
        try:
            worker.stdin.write(f"{self.seed} {first} {last}\n")
            worker.stdin.flush()
            line = worker.stdout.readline()
        except BrokenPipeError:
            line = ""
        timer.cancel()
        if not line:
            return False
        counts, faults = json.loads(line)
        with self.lock:
            self.counts.update(counts)
            for kind, rows in faults.items():
                self.faults.setdefault(kind, []).extend(rows)
            done = sum(self.counts[kind] for kind in ("accepted", "checked", "typed", "untyped", "wrong"))
            if done // 50_000 != (done - (last - first)) // 50_000:
                print(f"{done:,} calls: {dict(self.counts)}", flush=True)
        return True


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", type=int, help="make one call here")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker)
        return
    if options.only is not None:
        call = make(options.seed, options.only)
        print(call)
        try:
            print(call.function(**call.arguments))
        except Exception:  # noqa: BLE001 - shown, whatever it is
            traceback.print_exc()
        print(outcome(options.seed, options.only))
        return
    began = time.perf_counter()
    workers = Workers(options.seed, options.calls, options.workers)
    workers.run()
    result = {
        "calls": options.calls, "seed": options.seed, "seconds": round(time.perf_counter() - began),
        "counts": dict(sorted(workers.counts.items())),
        "faults": {kind: [len(rows), min(rows)] for kind, rows in sorted(workers.faults.items())},
        "environment": describe(),
    }  # fmt: skip
    print(json.dumps(result, indent=1))
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")
    sys.exit(any(workers.counts[kind] for kind in ("untyped", "wrong", "crashed", "hung")))


if __name__ == "__main__":
    main()
