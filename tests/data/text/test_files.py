"""Text files: what is read, and what is refused with its line."""

from __future__ import annotations

import gzip

import pytest

from gatewise.data.text import read_lines, read_text
from gatewise.data.text.files import LONGEST_LINE_BYTES
from gatewise.errors import ArgumentError, DataError


def test_line_ends_and_marks(tmp_path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes("\ufeffschön\r\n\r\nein\u2028e Zeile\nende".encode())
    assert read_lines(path) == ["schön", "", "ein\u2028e Zeile", "ende"]
    assert read_text(path) == "schön\n\nein\u2028e Zeile\nende"


def test_compressed(tmp_path) -> None:
    path = tmp_path / "text.txt.gz"
    path.write_bytes(gzip.compress(b"one\ntwo\n"))
    assert read_lines(path) == ["one", "two"]
    path.write_bytes(gzip.compress(b"one\ntwo\n" * 1000)[:-12])
    with pytest.raises(DataError, match="cannot be read"):
        read_lines(path)
    path.write_bytes(b"no gzip")
    with pytest.raises(DataError, match="cannot be read"):
        read_text(path)


@pytest.mark.parametrize("read", [read_text, read_lines])
@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"\n  \n\r\n", "is empty"),
        (b"fine\ncaf\xe9 here\n", "line 2: it is not UTF-8 .byte 4 of the line, 0xe9"),
        ("zwei\n".encode("utf-16"), "line 1"),
        ("zwei\n".encode("utf-16-le"), "zero byte"),
        (b"fine\ntorn \xe2\x82", "line 2: it is not UTF-8"),
    ],
)
def test_what_is_no_text_is_refused(read, content, what, tmp_path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=what) as caught:
        read(path)
    assert "text.txt" in str(caught.value)


def test_a_line_of_100_mb_is_refused_with_the_limit(tmp_path) -> None:
    path = tmp_path / "text.txt"
    with path.open("wb") as file:
        file.write(b"short\n")
        for _ in range(100):
            file.write(b"x" * 1_000_000)
    with pytest.raises(DataError, match=f"line 2: it has more than {LONGEST_LINE_BYTES:,} bytes"):
        read_text(path)
    assert len(read_lines(path, longest_line=200_000_000)[1]) == 100_000_000


def test_files_that_are_not_there(tmp_path) -> None:
    with pytest.raises(DataError, match="is not there"):
        read_text(tmp_path / "none.txt")
    with pytest.raises(DataError, match="is a folder"):
        read_lines(tmp_path)


def test_blank_lines_and_options(tmp_path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("a\n \nb\n")
    with pytest.raises(DataError, match="line 2: it is blank"):
        read_lines(path, blank="error")
    with pytest.raises(ArgumentError, match="blank"):
        read_lines(path, blank="drop")
    with pytest.raises(ArgumentError, match="longest_line"):
        read_lines(path, longest_line=0)
