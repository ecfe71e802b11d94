"""What no source file may hold, and what each must: ruff, mypy, docstrings, length."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.house.repository import ROOT, name_of, source_files, tree_of

LONGEST_FILE = 500
OPEN_WORK = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
UNPICKLERS = frozenset({"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"})
LOADERS = frozenset(
    {"torch.load", "torch.jit.load", "torch.save", "joblib.load", "pickle.load", "pickle.loads"}
)

each_source = pytest.mark.parametrize("path", [pytest.param(p, id=name_of(p)) for p in source_files()])


def forbidden(tree: ast.Module) -> Iterator[str]:
    """Yield what a source file must not do: assert on a user's input, unpickle, or swallow every error."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            yield f"line {node.lineno}: assert"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = (
                [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            )
            yield from (f"line {node.lineno}: imports {n}" for n in names if n.split(".")[0] in UNPICKLERS)
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in LOADERS:
            yield f"line {node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle" and _is_true(node.value):
            yield f"line {node.value.lineno}: allow_pickle=True"
        elif isinstance(node, ast.ExceptHandler) and _swallows(node):
            yield f"line {node.lineno}: an error caught wide and dropped"


MODES = ("no_grad", "inference_mode", "enable_grad", "set_grad_enabled")


def resting_modes(tree: ast.Module) -> Iterator[str]:
    """Yield where a generator rests inside a gradient mode: left before its end, it leaves the mode to its caller."""
    for node in ast.walk(tree):
        if isinstance(node, ast.With) and any(
            mode in ast.unparse(item) for item in node.items for mode in MODES
        ):
            inside = (part for step in node.body for part in ast.walk(step))
            if any(isinstance(part, ast.Yield | ast.YieldFrom) for part in inside):
                yield f"line {node.lineno}: {ast.unparse(node.items[0])}"


@each_source
def test_no_generator_rests_in_a_gradient_mode(path) -> None:
    assert not list(resting_modes(tree_of(path)))


def test_a_generator_that_rests_is_seen() -> None:
    text = "def f():\n    with torch.no_grad():\n        for x in y:\n            yield x\n"
    assert list(resting_modes(ast.parse(text))) == ["line 2: torch.no_grad()"]


def _is_true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _swallows(handler: ast.ExceptHandler) -> bool:
    wide = handler.type is None or ast.unparse(handler.type) in ("Exception", "BaseException")
    return wide and all(isinstance(step, ast.Pass | ast.Continue) for step in handler.body)


def undocumented(tree: ast.Module) -> Iterator[str]:
    """Yield what is public and has no docstring: the module, its functions, classes and methods."""
    if not ast.get_docstring(tree):
        yield "the module"
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name[0] == "_":
            continue
        if not _documented(node):
            yield f"line {node.lineno}: {node.name}"
        if isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and method.name[0] != "_" and not _documented(method):
                    yield f"line {method.lineno}: {node.name}.{method.name}"


def _documented(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    # One that only repeats another's contract (override, overload, setter) says so by its decorator.
    marks = {ast.unparse(mark).split(".")[-1] for mark in node.decorator_list}
    return bool(ast.get_docstring(node)) or bool(marks & {"override", "overload", "setter"})


@each_source
def test_nothing_forbidden(path) -> None:
    assert not list(forbidden(tree_of(path)))


@each_source
def test_no_work_is_left_open_in_the_code(path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert not [f"line {number}: {line}" for number, line in enumerate(lines, 1) if OPEN_WORK.search(line)]


@each_source
def test_a_file_is_about_one_thing(path) -> None:
    length = len(path.read_text(encoding="utf-8").splitlines())
    assert length <= LONGEST_FILE, f"{length} lines; split it along what it is about"


@each_source
def test_what_is_public_is_documented(path) -> None:
    assert not list(undocumented(tree_of(path)))


def run(*command: str) -> None:
    """Run a tool of the test extra in the repository and fail with what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_check() -> None:
    run("ruff", "check", "--no-cache", ".")


def test_ruff_format() -> None:
    run("ruff", "format", "--check", "--no-cache", ".")


def test_mypy() -> None:
    run("mypy")


def test_the_rules_find_what_they_look_for() -> None:
    bad = """
import pickle
from joblib import load
assert shape
torch.load(path)
numpy.load(path, allow_pickle=True)
try:
    work()
except Exception:
    pass
"""
    assert [entry.partition(": ")[2] for entry in forbidden(ast.parse(bad))] == [
        "imports pickle",
        "imports joblib",
        "assert",
        "an error caught wide and dropped",
        "torch.load",
        "allow_pickle=True",
    ]
    bare = "class Layer:\n    def forward(self): ...\n    def _inner(self): ...\n\ndef _private(): ...\n"
    assert list(undocumented(ast.parse(bare))) == ["the module", "line 1: Layer", "line 2: Layer.forward"]
    assert OPEN_WORK.search("# TODO: later")
    assert not OPEN_WORK.search("todos")
