"""Runs the command line within the test's process."""

from __future__ import annotations

import sys

from gatewise.cli.app import main


def call(monkeypatch, *arguments: object) -> int:
    """Run a command in this process; the exit code."""
    monkeypatch.setattr(sys, "argv", ["gatewise", *map(str, arguments)])
    try:
        main()
    except SystemExit as leaving:
        return int(leaving.code or 0)
    return 0
