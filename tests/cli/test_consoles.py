"""What is printed can be printed on every console; what cannot be written ends a command with one line."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from gatewise.cli.console import any_console, say
from tests.cli.calling import call

TEXT = "∂loss → naïve Straße “日” – ½"


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8", TEXT),
        ("ascii", 'dloss -> naive Strasse "?" - 1?2'),
        ("latin-1", 'dloss -> naïve Straße "?" - ½'),
    ],
)
def test_a_sign_that_a_console_lacks_is_spelt_plainly(monkeypatch, encoding: str, expected: str) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, encoding=encoding))
    any_console()
    say(TEXT)
    sys.stderr.flush()
    assert raw.getvalue().decode(encoding).strip() == expected


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("command", [("cells",), ("cells", "list"), ("cells", "show", "gru"), ("--help",)])
def test_commands_print_on_any_console(monkeypatch, encoding: str, command: tuple[str, ...]) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    monkeypatch.setenv("COLUMNS", "40")
    assert call(monkeypatch, *command) == 0
    sys.stdout.flush()
    assert raw.getvalue().decode(encoding).strip()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_full_device_is_told_in_one_line() -> None:
    code = "from gatewise.cli.app import main; main()"
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code, "cells", "show", "gru"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr.strip()) == (2, "error: No space left on device")


def test_a_reader_that_is_gone_ends_a_command_in_silence() -> None:
    code = "from gatewise.cli.app import main; main()"
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", code, "cells", "show", "gru"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert done.returncode in (1, 141)
    assert done.stderr == ""


def test_cells_list_is_cells(monkeypatch, capsys) -> None:
    assert call(monkeypatch, "cells") == 0
    bare = capsys.readouterr().out
    assert call(monkeypatch, "cells", "list") == 0
    assert capsys.readouterr().out == bare
    assert "lstm" in bare


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (("--hidden-size", "0"), "--hidden-size: at least 1 is expected, came 0"),
        (("--num-layers", "-1"), "--num-layers: at least 1 is expected, came -1"),
        (("--cell", "lstn"), "did you mean 'lstm'"),
        (("--out", __file__), "is a file; name a folder"),
    ],
)
@pytest.mark.parametrize(
    "kind", ["forecast", "classify", "anomaly", "tag", "classify-text", "lm", "translate"]
)
def test_a_wrong_option_is_named_before_the_data_are_read(monkeypatch, capsys, kind, wrong, words) -> None:
    assert call(monkeypatch, "fit", kind, "nowhere.csv", "--out", "never", *wrong) == 2
    assert words in capsys.readouterr().err.replace("\n", " ")
