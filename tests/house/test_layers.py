"""Arrows run downward only: import-linter's layers, and the rules that a layer order cannot say."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.house.repository import ROOT, SOURCE, imports, module_of, name_of, source_files, tree_of

# The engines by name: nn may ask for "auto" and pass on what its caller named, and never choose one itself.
ENGINES = frozenset({"reference", "torch", "native", "cuda"})


def within(name: str, *packages: str) -> bool:
    """Whether a dotted name lies in one of the packages."""
    return any(name == package or name.startswith(package + ".") for package in packages)


def imports_outside(tree: ast.Module, module: str, *allowed: str, package: bool = False) -> list[str]:
    """Return what a module imports from gatewise or a third party that lies in none of `allowed`."""
    standard = sys.stdlib_module_names
    return [
        f"line {line}: {name}"
        for line, name in imports(tree, module, package=package)
        if name.split(".")[0] not in standard and not within(name, *allowed)
    ]


def engines_named(tree: ast.Module) -> list[str]:
    """Return the places where a module picks an engine: passes its name, or asks which one it was given."""
    return [f"line {node.lineno}: {text}" for node, text in _engine_choices(tree)]


def _engine_choices(tree: ast.Module) -> Iterator[tuple[ast.expr, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "engine" and _names_one(node.value):
            yield node.value, ast.unparse(node)
        elif isinstance(node, ast.Compare) and "engine" in ast.unparse(node).lower():
            if any(_names_one(side) for part in (node.left, *node.comparators) for side in ast.walk(part)):
                yield node, ast.unparse(node)
        elif isinstance(node, ast.arguments):
            last_first = [*node.posonlyargs, *node.args][::-1]
            defaults = [*zip(last_first, node.defaults[::-1], strict=False)]
            defaults += zip(node.kwonlyargs, node.kw_defaults, strict=True)
            for argument, default in defaults:
                if argument.arg == "engine" and _names_one(default):
                    yield default, f"engine={ast.unparse(default)}"


def _names_one(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and node.value in ENGINES


def files_of(package: str) -> list[object]:
    """Parameters for a test over the files of one package."""
    return [
        pytest.param(p, id=name_of(p)) for p in source_files() if within(module_of(p), f"gatewise.{package}")
    ]


def test_import_linter() -> None:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE.parent)}
    code = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    done = subprocess.run(
        [sys.executable, "-c", code, "--no-cache"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 kept, 0 broken" in done.stdout


@pytest.mark.parametrize("path", files_of("cells"))
def test_cells_import_spec_alone(path) -> None:
    package = path.name == "__init__.py"
    allowed = ("gatewise.spec", "gatewise.cells", "gatewise.errors")
    assert not imports_outside(tree_of(path), module_of(path), *allowed, package=package)


@pytest.mark.parametrize("path", files_of("spec"))
def test_spec_knows_no_torch_module_device_or_file(path) -> None:
    found = imports(tree_of(path), module_of(path), package=path.name == "__init__.py")
    barred = ("torch", "os", "io", "pathlib", "shutil", "tempfile")
    assert not [f"line {line}: {name}" for line, name in found if within(name, *barred)]


@pytest.mark.parametrize("path", files_of("nn"))
def test_nn_never_names_an_engine(path) -> None:
    tree = tree_of(path)
    assert not engines_named(tree)
    front = {"gatewise.engines", "gatewise.engines.geometry"}
    inner = {f"gatewise.engines.{p.stem}" for p in (SOURCE / "engines").glob("*.py")} - front
    named = [name for _, name in imports(tree, module_of(path), package=path.name == "__init__.py")]
    assert not [name for name in named if within(name, *inner)]


def test_nobody_imports_the_command_line() -> None:
    for path in source_files():
        module = module_of(path)
        named = [name for _, name in imports(tree_of(path), module, package=path.name == "__init__.py")]
        if not within(module, "gatewise.cli"):
            assert not [name for name in named if within(name, "gatewise.cli")], name_of(path)


def test_the_rules_find_what_they_look_for() -> None:
    bad = ast.parse('import torch\nfrom ..engines import reference\nx = run(call, engine="native")\n')
    assert imports_outside(bad, "gatewise.cells.lstm", "gatewise.spec") == [
        "line 1: torch",
        "line 2: gatewise.engines.reference",
    ]
    assert engines_named(bad) == ["line 3: engine='native'"]
    assert engines_named(ast.parse('if self.engine == "cuda": pass')) == ["line 1: self.engine == 'cuda'"]
    assert engines_named(ast.parse('def f(a, engine="torch"): pass')) == ["line 1: engine='torch'"]
    assert (
        engines_named(ast.parse('def f(*, engine="auto", init="torch"): g(engine=engine, init="torch")'))
        == []
    )
