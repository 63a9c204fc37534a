"""What every command does: programs once compiled are kept, wherever the user says."""

import os
import subprocess
import sys

import pytest

from tests.test_floors import ROOT

COMMAND = """
import jax
from launch import cli
cli.run(lambda: print(jax.jit(lambda x: 2 * x)(21)))
"""


def run(**environment: str) -> subprocess.CompletedProcess:
    environment = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"} | environment
    done = subprocess.run(
        [sys.executable, "-c", COMMAND],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "42\n"), done.stderr
    return done


def test_programs_are_kept_among_the_users_caches_and_found_again(tmp_path):
    kept = tmp_path / "vimogen_jax" / "compiled"
    run(XDG_CACHE_HOME=str(tmp_path))
    (program,) = kept.glob("jit__lambda*-cache")
    written = program.stat().st_mtime_ns
    assert run(XDG_CACHE_HOME=str(tmp_path)).stderr == ""
    assert [path.stat().st_mtime_ns for path in kept.glob("jit__lambda*-cache")] == [written]


@pytest.mark.parametrize("elsewhere", ["", "elsewhere"])
def test_jaxs_own_variable_decides(tmp_path, elsewhere):
    folder = str(tmp_path / elsewhere) if elsewhere else ""
    run(XDG_CACHE_HOME=str(tmp_path), JAX_COMPILATION_CACHE_DIR=folder)
    assert [path.name for path in tmp_path.iterdir()] == [elsewhere] * bool(elsewhere)


def test_a_cache_that_cannot_be_written_is_told_and_no_obstacle(tmp_path):
    (tmp_path / "vimogen_jax").write_text("not a folder")
    (warning,) = run(XDG_CACHE_HOME=str(tmp_path)).stderr.splitlines()
    assert warning.startswith("warning: compiled programs cannot be kept")
    assert str(tmp_path / "vimogen_jax") in warning


def test_a_damaged_program_is_no_obstacle(tmp_path):
    run(XDG_CACHE_HOME=str(tmp_path))
    for program in tmp_path.rglob("*-cache"):
        program.write_bytes(program.read_bytes()[:100])
    assert "cache" in run(XDG_CACHE_HOME=str(tmp_path)).stderr
