"""The library's own name: what it has can be seen, and is loaded when it is asked for."""

import subprocess
import sys

import pytest

import vimogen_jax
from tests.helpers.repository import ROOT


def test_what_there_is_can_be_seen():
    assert {"Generator", "Request", "formats", "motion", "generate", "read"} <= {*dir(vimogen_jax)}
    assert vimogen_jax.Generator is vimogen_jax.generator.Generator
    assert vimogen_jax.Request is vimogen_jax.generator.Request
    assert vimogen_jax.generate is vimogen_jax.generator.generate
    with pytest.raises(AttributeError, match="no attribute 'nowhere'"):
        vimogen_jax.nowhere  # noqa: B018


def test_sampling_is_imported_without_what_has_no_wheels_somewhere():
    code = (
        "import sys; sys.modules |= dict.fromkeys(('array_record', 'numba')); import launch.sample"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_sampling_does_not_wait_for_what_it_does_not_need():
    code = """
import sys, launch.sample
heavy = {"av", "grain", "orbax", "scipy.interpolate", "sklearn", "tensorboardX", "tensorstore"}
assert not heavy & {*sys.modules}, heavy & {*sys.modules}
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_nothing_is_loaded_before_it_is_asked_for():
    code = (
        "import sys, vimogen_jax; dir(vimogen_jax); vimogen_jax.errors.BadInput;"
        "assert not {'jax', 'numpy'} & {*sys.modules}; vimogen_jax.motion"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
