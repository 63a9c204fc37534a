"""A command starts again with huge pages once, and leaves alone what its user has set."""

import os
import platform
import subprocess
import sys

import pytest

from tests.helpers.repository import ROOT

COMMAND = """
import os
from launch import huge_pages
print("begun", flush=True)
huge_pages.take()
print(os.environ["GLIBC_TUNABLES"])
"""


def lines(**environment: str) -> list[str]:
    others = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    command = [sys.executable, "-c", COMMAND]
    environment |= others
    return subprocess.check_output(command, cwd=ROOT, env=environment, text=True).splitlines()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="there is no glibc")
def test_a_command_starts_again_once():
    assert lines() == ["begun", "begun", "glibc.malloc.hugetlb=1"]


def test_what_the_user_has_set_stays():
    assert lines(GLIBC_TUNABLES="glibc.malloc.hugetlb=0") == ["begun", "glibc.malloc.hugetlb=0"]
