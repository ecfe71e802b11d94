"""Write what the documentation takes from the code: pages of cells, the README's table, the guide's numbers.

    python tools/generate_docs.py          # write
    python tools/generate_docs.py --check  # say what is out of date, and exit with 1

tests/house/test_pages.py checks the same.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gatewise import cells
from gatewise.spec.printers import page

try:
    from tools import understanding
except ImportError:
    import understanding

ROOT = Path(__file__).resolve().parents[1]
BEGIN = "<!-- cells: written by tools/generate_docs.py -->"
END = "<!-- /cells -->"


def cell_table(prefix: str) -> str:
    """Return a table of the registered cells.

    Args:
        prefix: Where the cells' pages are, seen from the page that holds the table.
    """
    rows = ["| name | cell | source |", "| --- | --- | --- |"]
    for name in cells.names():
        info = cells.describe(name)
        rows.append(f"| [`{name}`]({prefix}{name}.md) | {info.title} | {info.cite} |")
    return "\n".join(rows)


def cell_pages() -> dict[Path, str]:
    """Return the text of docs/cells/, by path."""
    folder = ROOT / "docs" / "cells"
    index = [
        "# Cells",
        "Each page is printed from the cell's program: what is written here is what runs.",
        cell_table(""),
    ]
    pages = {folder / f"{name}.md": page(cells.get(name)).rstrip("\n") + "\n" for name in cells.names()}
    return {folder / "README.md": "\n\n".join(index) + "\n", **pages}


def readme_with_table(text: str) -> str:
    """Return the README with its table of cells brought up to date.

    Raises:
        SystemExit: The README has lost the marks between which the table stands.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"README.md: expected the marks {BEGIN} and {END} around the table of cells")
    return f"{before}{begin}\n{cell_table('docs/cells/')}\n{end}{after}"


def generated() -> dict[Path, str]:
    """Return every generated text, by path."""
    readme = ROOT / "README.md"
    return {
        **cell_pages(),
        readme: readme_with_table(readme.read_text(encoding="utf-8")),
        **understanding.pages(),
    }


def outdated() -> list[Path]:
    """Return the files that are not what the code says, and the pages of cells that are gone."""
    wanted = generated()
    stale = [path for path, text in wanted.items() if not _holds(path, text)]
    return stale + sorted(path for path in (ROOT / "docs" / "cells").glob("*.md") if path not in wanted)


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def main() -> int:
    """Write the pages, or with --check say which are out of date."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if out of date")
    check = parser.parse_args().check
    stale = outdated()
    wanted = generated()
    for path in stale:
        print(path.relative_to(ROOT))
        if not check and path in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8")
        elif not check:
            path.unlink()
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
