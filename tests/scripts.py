"""Scripts of recipes/, run in the tests' own process, where the libraries are loaded already."""

import runpy
import sys
from pathlib import Path

import pytest
from samples import ROOT


def run_script(name: str, *arguments, folder: Path | None = None):
    """Run `python recipes/NAME.py ARGUMENTS` in a folder; return what it exited with, None at its end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        # What a step sets in the environment must not reach other tests.
        patch.setenv("ACCELERATE_USE_CPU", "true")
        if folder is not None:
            patch.chdir(folder)
        try:
            runpy.run_path(str(ROOT / "recipes" / f"{name}.py"), run_name="__main__")
        except SystemExit as stop:
            return stop.code
    return None
