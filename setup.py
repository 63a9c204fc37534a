"""Builds what pyproject.toml describes, and puts what commands are made of inside the library."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

FOLDERS = ("configs", "data", "eval", "launch")


class BuildWithCommands(build_py):
    """Copies `FOLDERS` to where `vimogen_jax.command` looks; not for an editable install."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        inside = Path(self.build_lib, "vimogen_jax", "_commands")
        shutil.rmtree(inside, ignore_errors=True)  # of an earlier build
        for folder in FOLDERS:
            shutil.copytree(folder, inside / folder, ignore=shutil.ignore_patterns("__pycache__"))


setup(cmdclass={"build_py": BuildWithCommands})
