"""The command line: parses, calls, prints. Imported by nobody."""

from gatewise.cli.app import main

__all__ = ["main"]
