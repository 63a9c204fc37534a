"""Every plan, sweep and measurement in the docs is understood as it is written."""

import contextlib
import re
import shlex
from unittest import mock

import pytest

from tests.helpers.commands import run_command
from tests.helpers.repository import ROOT

# What does the work, once a command line was understood.
WORK = (
    *("planning.hardware.describe", "planning.sweep.describe", "bench.programs.bench_training"),
    *("bench.programs.bench_sampling", "bench.feeding.bench_feeding"),
    "bench.features.bench_features",
)


class Understood(Exception):
    """The work would begin."""


def written():
    for page in sorted(ROOT.glob("docs/*.md")):
        for block in re.findall(r"^```\w*\n(.*?)^```", page.read_text(), re.M | re.S):
            for line in block.replace("\\\n", " ").splitlines():
                if match := re.search(r"python -m launch\.(plan|sweep|bench) (.*)", line):
                    yield pytest.param(*match.groups(), id=f"{page.stem} {match[0][10:60]}")


@pytest.mark.parametrize(("command", "flags"), list(written()))
def test_what_the_pages_plan_and_measure_is_understood(tmp_path, command, flags):
    with contextlib.ExitStack() as stack:
        for name in WORK:
            stack.enter_context(mock.patch(f"vimogen_jax.{name}", side_effect=Understood))
        stack.enter_context(pytest.raises(Understood))
        run_command(command, *shlex.split(flags), f"--out={tmp_path}")
