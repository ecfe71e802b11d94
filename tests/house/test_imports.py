"""What is heavy loads when it is used: not with the package, the help, or a wrong option."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import gatewise

HEAVY = {
    "torch",
    "numpy",
    "sklearn",
    "scipy",
    "pandas",
    "polars",
    "pyarrow",
    "narwhals",
    "matplotlib",
    "optuna",
}


def loaded(code: str) -> set[str]:
    """The heavy packages that a fresh process has loaded after running code."""
    told = f"{code}\nimport sys\nprint('LOADED', *({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=False)
    assert "LOADED" in done.stdout, done.stderr
    return set(done.stdout.rpartition("LOADED")[2].split())


def command(*arguments: str) -> str:
    """Code that runs the command line and goes on behind it."""
    return (
        f"import sys\nsys.argv = ['gatewise', *{arguments!r}]\nfrom gatewise.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass"
    )


@pytest.mark.parametrize(
    "code",
    [
        "import gatewise; dir(gatewise)",
        command("--help"),
        command("--version"),
        command("fit", "forecast", "--help"),
        command("fit", "forecast", "x.csv", "--horizn", "3"),
        command("fit", "forecast", "x.csv", "--horizon", "three", "--out", "never"),
        command("fit", "classify", "x.csv", "--out", "never", "--test-share", "2"),
        *(
            command("fit", kind, "x.csv", "--out", "never", *wrong)
            for kind in ("forecast", "tag")
            for wrong in (("--hidden-size", "0"), ("--cell", "lstn"), ("--out", __file__))
        ),
        command("predct", "x"),
    ],
)
def test_nothing_heavy_is_loaded_for_the_package_its_help_or_a_wrong_option(code: str) -> None:
    assert loaded(code) == set()


def test_an_estimator_loads_neither_pictures_nor_what_only_some_fits_need() -> None:
    found = loaded("import gatewise; gatewise.Forecaster")
    assert not found & {"matplotlib", "accelerate", "optuna", "polars", "sklearn.covariance"}


def test_every_public_subpackage_is_an_attribute() -> None:
    root = Path(gatewise.__file__).parent
    found = {one.parent.name for one in root.glob("*/__init__.py")} | {one.stem for one in root.glob("*.py")}
    public = found - {"cli", "checks", "__init__"}
    assert public <= set(dir(gatewise))
    names = ", ".join(f"gatewise.{name}" for name in sorted(public))
    loaded(f"import gatewise; {names}")
