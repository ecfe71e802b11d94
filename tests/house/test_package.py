"""The package as others meet it: quick to import, whole at its front, its pins in step."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import gatewise
from tests.house.repository import ROOT, SOURCE

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pins() -> dict[str, Version]:
    """The versions of constraints.txt, by canonical name."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in pairs}


def requirements() -> list[str]:
    """What the project and its extras ask for, itself left out."""
    extras = [entry for group in PROJECT["optional-dependencies"].values() for entry in group]
    return [text for text in (*PROJECT["dependencies"], *extras) if not text.startswith("gatewise")]


@pytest.mark.parametrize("text", requirements())
def test_every_requirement_is_pinned_within_its_bounds(text: str) -> None:
    requirement = Requirement(text)
    assert pins()[canonicalize_name(requirement.name)] in requirement.specifier


def test_the_pinned_torch_has_no_local_label() -> None:
    assert str(pins()["torch"]) == "2.13.0"


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, gatewise; print(sorted({'torch', 'numpy', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_name_of_the_front_is_there() -> None:
    for name in gatewise.__all__:
        assert getattr(gatewise, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Forecastre'"):
        _ = gatewise.Forecastre


def test_version_is_one_number() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", gatewise.__version__)
    assert PROJECT["dynamic"] == ["version"]


def test_the_package_says_that_it_is_typed() -> None:
    assert (SOURCE / "py.typed").is_file()
