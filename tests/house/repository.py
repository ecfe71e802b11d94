"""Where the repository's files are, for the tests of the house."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "gatewise"


def source_files() -> list[Path]:
    """Every Python file of the package, in the repository and not in site-packages."""
    return sorted(path for path in SOURCE.rglob("*.py"))


def name_of(path: Path) -> str:
    """A file's path as the tests print it: relative to the repository, with forward slashes."""
    return path.relative_to(ROOT).as_posix()


def module_of(path: Path) -> str:
    """The dotted name of a source file: `gatewise.spec.cell`."""
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree_of(path: Path) -> ast.Module:
    """The parsed file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports(tree: ast.Module, module: str, *, package: bool) -> Iterator[tuple[int, str]]:
    """Yield the line and the full dotted name of everything that a module imports, `from` names included.

    Args:
        tree: The parsed module.
        module: Its dotted name, which relative imports are resolved against.
        package: Whether it is a package's `__init__`.
    """
    base = module.split(".")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            up = node.level - 1 if package else node.level
            prefix = base[: len(base) - up] if node.level else []
            source = ".".join([*prefix, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{source}.{alias.name}"
