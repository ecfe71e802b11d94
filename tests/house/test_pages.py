"""Pages that are taken from the code are what the code says now."""

from __future__ import annotations

import re
import subprocess
import sys

import gatewise
from gatewise import cells
from tests.house.repository import ROOT


def test_generated_pages_are_current() -> None:
    command = [sys.executable, "tools/generate_docs.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    hint = "out of date; run: python tools/generate_docs.py"
    assert done.returncode == 0, f"{hint}\n{done.stdout}{done.stderr}"


def test_every_cell_has_a_page_and_a_row() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in cells.names():
        assert f"| [`{name}`](docs/cells/{name}.md) |" in readme
        page = (ROOT / "docs" / "cells" / f"{name}.md").read_text(encoding="utf-8")
        assert cells.describe(name).cite in page


def test_the_changelog_has_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1] == gatewise.__version__
