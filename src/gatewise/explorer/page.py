"""The page itself: one HTML file with the program, its derivative, the numbers and the scripts inside."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import asdict
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np

from gatewise.explorer.subject import Subject
from gatewise.spec.derivative import OUTPUT, differentiate, recorded
from gatewise.spec.operations import OPERATIONS
from gatewise.spec.printers import equations
from gatewise.spec.program import Program

__all__ = ["document", "operations_script", "page", "script"]

SCRIPTS = ("interpreter.js", "model.js", "drawing.js", "weights.js", "pictures.js", "page.js")
"""In this order: each reads what stands before it."""


@cache
def _source(name: str) -> str:
    return files("gatewise.explorer").joinpath(name).read_text(encoding="utf-8")


def operations_script() -> str:
    """The operation table as JavaScript functions.

    Example:
        >>> "  tanh: (a) => (Math.tanh(a))," in operations_script()
        True
    """
    rows = [
        f"  {row.name}: ({', '.join(row.arguments)}) => ({row.javascript})," for row in OPERATIONS.values()
    ]
    return "\n".join(['"use strict";', "const OPERATIONS = {", *rows, "};", ""])


def script(*names: str) -> str:
    """The operation table and the named scripts of the page, in order; all of them where none is named."""
    return operations_script() + "\n".join(_source(name) for name in names or SCRIPTS)


def document(subject: Subject) -> dict[str, Any]:
    """All that the scripts read, as JSON can hold it.

    Args:
        subject: what the page explains.

    Returns:
        The program and its derivative as :mod:`gatewise.spec.serial` writes them, the equations, sizes, and the
        numbers, packed as base64 of little-endian floats.
    """
    program = subject.program
    return {
        "title": subject.title,
        "steps": subject.steps,
        "sizes": subject.sizes,
        "shown": {width: list(places) for width, places in subject.shown.items()},
        "program": json.loads(program.to_json()),
        "derivative": json.loads(_derivative(program).to_json()),
        "equations": [asdict(equation) for equation in equations(program)],
        "tensors": {name: _packed(array) for name, array in subject.tensors.items()},
        "inputs": {name: _packed(array) for name, array in subject.inputs.items()},
        "initial": {name: _packed(array) for name, array in subject.initial.items()},
    }


def _derivative(program: Program) -> Program:
    """What carries the output's cotangent back to states, inputs and all weights."""
    streams = tuple(stream.name for stream in program.inputs)
    return differentiate(recorded(program), (OUTPUT,), streams, tuple(t.name for t in program.tensors))


def _packed(array: np.ndarray) -> dict[str, str]:
    short = array.astype("<f4")
    exact = np.array_equal(short.astype("<f8"), array)
    data = short if exact else array.astype("<f8")
    return {"type": "f4" if exact else "f8", "data": base64.b64encode(data.tobytes()).decode("ascii")}


def _embedded(value: Any) -> str:
    """JSON that no HTML parser takes for markup: every sign that could open or end an element is escaped."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def page(subject: Subject) -> str:
    """The whole page as HTML; it needs no server and no network.

    Args:
        subject: what it explains, from :func:`gatewise.explorer.of_cell` or :func:`gatewise.explorer.of_layer`.

    Example:
        >>> from gatewise import explorer
        >>> html = explorer.page(explorer.of_cell("lstm"))
        >>> html.startswith("<!doctype html>"), "http://" in html or "https://" in html
        (True, False)
    """
    program = subject.program
    values = {
        "title": escape(subject.title),
        "name": escape(program.name),
        "doc": escape(program.doc.split("\n\n")[0]),
        "cite": escape(program.cite or "not stated"),
        "origin": escape(subject.origin + _selection(subject)),
        "style": _source("page.css"),
        "script": script(),
        "data": _embedded(document(subject)),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match.group(1)], _source("page.html"))


def _selection(subject: Subject) -> str:
    """What is not shown, in a sentence."""
    parts = [
        f"{len(places)} of {subject.sizes[width]} {noun}"
        for width, noun in (("hidden", "units"), ("proj", "projected units"), ("input", "input features"))
        for places in [subject.shown.get(width, ())]
        if places and len(places) < subject.sizes[width]
    ]
    if not parts:
        return ""
    return f" Shown are {' and '.join(parts)}, those that move most; all of them are computed."
