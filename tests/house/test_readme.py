"""What the pages tell a newcomer to type: the same as CI's, and every Python snippet runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house.repository import ROOT, name_of

FIT = "gatewise fit forecast beijing-air --horizon 24 --out runs/first"
FIRST = f"python -m pip install -c constraints.txt . && {FIT}"
SECOND = "python -m pip install -c constraints.txt '.[test]' && python -m pytest"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(path: Path, language: str) -> list[str]:
    """Return the fenced blocks of a page that are in the given language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def snippets() -> list[object]:
    """Parameters: every Python block of every page."""
    return [
        pytest.param(code, id=f"{name_of(path)}-{number}")
        for path in PAGES
        for number, code in enumerate(blocks(path, "python"), 1)
    ]


def test_the_readme_has_the_two_commands() -> None:
    commands = [line for block in blocks(ROOT / "README.md", "sh") for line in block.splitlines()]
    assert FIRST in commands
    assert SECOND in commands


def test_ci_runs_the_readme_s_test_command() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert script[-1] == SECOND
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


@pytest.mark.parametrize("code", snippets())
def test_a_snippet_runs(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "snippet", "exec"), {"__name__": "snippet"})


@pytest.mark.parametrize("path", [pytest.param(path, id=name_of(path)) for path in PAGES])
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    missing = [target for target in targets if not _exists(path, target)]
    assert not missing


def _exists(page: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    file = page.parent / name if name else page
    if not file.exists():
        return False
    headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE) if anchor else []
    return not anchor or anchor in [
        re.sub(r"[^\w\- ]", "", h).strip().lower().replace(" ", "-") for h in headings
    ]
