"""Writes native/src/operations.inc from the operation table: `python tools/generate_operations.py`."""

from __future__ import annotations

from pathlib import Path

from gatewise.spec.operations import OPERATIONS

TARGET = Path(__file__).resolve().parent.parent / "native" / "src" / "operations.inc"


def text() -> str:
    """One line for each row of the table, in its order, which numbers the operations."""
    lines = [
        "// Generated from src/gatewise/spec/operations.py by tools/generate_operations.py; do not edit."
    ]
    lines += [
        f"GATEWISE_OPERATION({row.name}, {len(row.arguments)}, ({row.cpp}))" for row in OPERATIONS.values()
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
