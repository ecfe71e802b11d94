"""Reading text files: UTF-8 or an error that names the file and the line."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gatewise.errors import ArgumentError, DataError

__all__ = ["LONGEST_LINE_BYTES", "read_lines", "read_text"]

# The whole of "War and Peace" is 3 MB: a longer line is a file without line ends, or no text.
LONGEST_LINE_BYTES = 16_000_000
_BOM = b"\xef\xbb\xbf"


def read_text(path: str | Path, *, longest_line: int = LONGEST_LINE_BYTES) -> str:
    """Read a whole text file (also .gz), its line ends made to newlines.

    Args:
        path: a UTF-8 text file.
        longest_line: bytes that one line may have, at least 1.

    Returns:
        The text. A byte-order mark is left out; blank lines stay.

    Raises:
        DataError: no such file, nothing in it but blanks, not UTF-8 (with the line's number), or a line that is too
            long.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "two.txt"
        >>> _ = path.write_bytes(b"first\\r\\nsecond\\n")
        >>> read_text(path)
        'first\\nsecond\\n'
    """
    text = "".join(_decoded(Path(path), longest_line))
    if not text.strip():
        raise _empty(path)
    return text


def read_lines(path: str | Path, *, blank: str = "keep", longest_line: int = LONGEST_LINE_BYTES) -> list[str]:
    """Read a text file (also .gz) line by line; only a newline ends a line.

    Args:
        path: a UTF-8 text file.
        blank: "keep" gives a blank line as it is; "error" refuses it, with its number.
        longest_line: bytes that one line may have, at least 1.

    Returns:
        The lines, without their ends.

    Raises:
        DataError: no such file, nothing in it but blanks, not UTF-8 (with the line's number), a line that is too long,
            or a blank one where none is expected.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "two.txt"
        >>> _ = path.write_bytes(b"first\\n\\nthird\\n")
        >>> read_lines(path)
        ['first', '', 'third']
        >>> read_lines(path, blank="error")
        Traceback (most recent call last):
        ...
        gatewise.errors.DataError: '...two.txt', line 2: it is blank; take it out, or write what belongs there
    """
    if blank not in ("keep", "error"):
        raise ArgumentError(f"blank: 'keep' or 'error' is expected, came {blank!r}")
    lines = [line.removesuffix("\n") for line in _decoded(Path(path), longest_line)]
    if not any(line.strip() for line in lines):
        raise _empty(path)
    if blank == "error":
        for number, line in enumerate(lines, 1):
            if not line.strip():
                raise DataError(
                    f"{str(path)!r}, line {number}: it is blank; take it out, or write what belongs there"
                )
    return lines


def _decoded(path: Path, longest: int) -> Iterator[str]:
    """Each line as text, with a newline where it ended."""
    if not isinstance(longest, int) or longest < 1:
        raise ArgumentError(f"longest_line: a number of bytes from 1 is expected, came {longest!r}")
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "is not there"
        raise DataError(f"the text file {str(path)!r} {what}; check the path")
    try:
        with _open(path) as file:
            number = 0
            while line := file.readline(longest + 1):
                number += 1
                if len(line) > longest:
                    raise DataError(
                        f"{str(path)!r}, line {number}: it has more than {longest:,} bytes, the most that a line may "
                        "have (longest_line); break the text into lines, or check that it is a text file"
                    )
                yield _line(line.removeprefix(_BOM) if number == 1 else line, path, number)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"the text file {str(path)!r} cannot be read: {error}") from error


def _open(path: Path) -> Any:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _line(data: bytes, path: Path, number: int) -> str:
    if b"\0" in data:
        raise DataError(
            f"{str(path)!r}, line {number}: it holds a zero byte, so it is UTF-16 or no text at all; save it as UTF-8"
        )
    try:
        line = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{str(path)!r}, line {number}: it is not UTF-8 (byte {error.start + 1} of the line, "
            f"0x{data[error.start]:02x}: {error.reason}); convert it, say by `iconv -f latin1 -t utf-8`"
        ) from error
    if line.endswith("\r\n"):
        return line[:-2] + "\n"
    return line


def _empty(path: str | Path) -> DataError:
    return DataError(
        f"the text file {str(path)!r} is empty: there is nothing in it but blanks; check the path"
    )
