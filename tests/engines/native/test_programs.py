"""The C++ programs of native/tests on the installed library: recorded calls, failing allocations, fuzzed inputs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from gatewise.engines import native
from tools import record_native

ROOT = Path(__file__).resolve().parents[3]
NATIVE = ROOT / "native"
COMPILER = next((found for name in ("c++", "g++", "clang++") if (found := shutil.which(name))), None)
CASES = sorted(record_native.CASES.glob("*.cases"))

pytestmark = pytest.mark.skipif(
    COMPILER is None or not sys.platform.startswith("linux"), reason="needs Linux and a C++ compiler"
)


def build(target: Path, sources: list[str], library: Path | None, *options: str) -> Path:
    """Compiles a program of native/tests, linked with the library that Python has loaded."""
    linked = [] if library is None else [str(library), f"-Wl,-rpath,{library.parent}"]
    folders = [f"-I{NATIVE / name}" for name in ("include", "src", "tests")]
    command = [str(COMPILER), "-std=c++17", "-O1", *folders, *options]
    command += [*(str(NATIVE / source) for source in sources), *linked, "-pthread", "-ldl", "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def output(program: Path, *arguments: Path | str) -> str:
    done = subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def replay(tmp_path_factory) -> Path:
    found = native.loaded()
    if found is None:
        pytest.skip(f"the native engine is not there: {native.reason_absent()}")
    return build(tmp_path_factory.mktemp("replay") / "replay", ["tests/replay.cpp"], found.path)


@pytest.mark.slow
def test_recorded_calls_of_every_cell_replay(library, replay):
    said = output(replay, *CASES)
    assert "0 failed" in said
    assert library.kernel in said


def test_a_case_that_differs_is_seen(replay, tmp_path):
    """One bit of a recorded result changed, and one of a plan."""
    whole = (record_native.CASES / "rnn_tanh.cases").read_bytes()
    first = whole.index(b"\nbytes ")
    start = whole.index(b"\n", first + 1) + 1
    length = int(whole[first + 7 : start])
    for place, message in ((start + length - 1, "times what rounding may do"), (start, "plan is not valid")):
        changed = bytearray(whole)
        changed[place] ^= 0x40
        (tmp_path / "changed.cases").write_bytes(changed)
        done = subprocess.run([str(replay), str(tmp_path / "changed.cases")], capture_output=True, text=True)
        assert done.returncode == 1
        assert message in done.stdout


@pytest.mark.slow
def test_every_allocation_failed_once(library, tmp_path):
    """Of some cases; tools/test_native.sh takes them all."""
    sources = ["tests/allocation.cpp", "tests/failing.cpp"]
    chosen = [record_native.CASES / f"{name}.cases" for name in ("rnn_tanh", "gru_layer_norm", "large")]
    said = output(build(tmp_path / "allocation", sources, library.path, "-rdynamic"), *chosen)
    assert "0 failed" in said


@pytest.mark.skipif(shutil.which("nm") is None, reason="needs nm")
def test_no_allocation_goes_another_way(library):
    """What the library allocates with is what failing.cpp takes the place of."""
    said = subprocess.run(
        ["nm", "-D", "--undefined-only", library.path], capture_output=True, text=True
    ).stdout
    asked = {line.split()[-1].partition("@")[0] for line in said.splitlines()}
    new = {name for name in asked if name.startswith(("_Znw", "_Zna"))}
    assert "aligned_alloc" in asked
    assert new
    assert not asked & {
        "malloc",
        "calloc",
        "realloc",
        "posix_memalign",
        "memalign",
        "valloc",
        "mmap",
        "mmap64",
    }


FAILING = """
import ctypes, os
shim = ctypes.CDLL(os.environ["LD_PRELOAD"])
import torch
from gatewise import nn
from gatewise.engines import native

def tries(call):
    failed = 0
    for n in range(1, 1000):
        shim.gatewise_fail_allocation(ctypes.c_long(n))
        try:
            result = call()
        except MemoryError as error:
            failed += 1
            assert "not enough memory" in str(error) and "smaller batches or fewer steps" in str(error), error
        else:
            return result, failed
        finally:
            shim.gatewise_fail_allocation(ctypes.c_long(0))

torch.manual_seed(0)
layer, x = nn.GRU(3, 4, engine="native"), torch.randn(5, 2, 3)

def step():
    layer.zero_grad()
    layer(x)[0].sum().backward()
    return [p.grad.clone() for p in layer.parameters()]

first, plans = tries(step)
second, runs = tries(step)
assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
assert torch.isfinite(torch.cat([g.flatten() for g in first])).all()
print("failed", plans, runs)
"""


@pytest.mark.slow
def test_python_says_so_and_goes_on(library, tmp_path):
    """Each allocation of a training step fails once: a MemoryError that says what to do, and the next call works."""
    shim = build(
        tmp_path / "failing.so", ["tests/failing.cpp"], None, "-DGATEWISE_PRELOAD", "-shared", "-fPIC"
    )
    done = subprocess.run(
        [sys.executable, "-c", FAILING], capture_output=True, text=True, timeout=200,
        env={**os.environ, "LD_PRELOAD": str(shim)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    plans, runs = map(int, done.stdout.split()[-2:])
    # A call has two blocks of memory, a step two calls; its first time it makes plans too.
    assert runs >= 4
    assert plans > runs


def test_the_kept_corpus_of_the_fuzzer(library, tmp_path):
    program = build(tmp_path / "fuzz", ["fuzz/harness.cpp", "fuzz/driver.cpp"], library.path)
    with tarfile.open(NATIVE / "fuzz" / "corpus.tar.xz") as archive:
        archive.extractall(tmp_path / "corpus", filter="data")
    said = output(program, NATIVE / "fuzz" / "found", tmp_path / "corpus")
    # Where the form of plans has changed, no plan is taken any more: tools/fuzz_native.sh makes the corpus again.
    accepted, run = (int(said.split(f" {what}")[0].split()[-1]) for what in ("plans accepted", "calls run"))
    assert accepted > 300, said
    assert run > 200, said


def test_the_records_are_those_of_the_present_plans(library, tmp_path):
    """A plan that is built otherwise than when the cases were recorded is recorded again."""
    kept = [case.split(b"\nbytes ")[0] for case in _cases(record_native.CASES / "gru.cases")]
    with record_native.recording() as recorder:
        now = [case.to_bytes().split(b"\nbytes ")[0] for case in record_native.record(recorder, "gru")]
    assert now == kept, "run `python tools/record_native.py`"


def _cases(path: Path) -> list[bytes]:
    data, found = path.read_bytes(), []
    while data:
        mark = data.index(b"\nbytes ")
        start = data.index(b"\n", mark + 1) + 1
        end = start + int(data[mark + 7 : start])
        found.append(data[:end])
        data = data[end:]
    return found
