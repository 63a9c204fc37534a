"""What every command does: programs once compiled are kept, wherever the user says."""

import os
import platform
import subprocess
import sys

import pytest

from tests.helpers.commands import run_code, run_command
from tests.helpers.repository import ROOT

COMMAND = """
import jax
from launch import cli
cli.run(lambda: print(jax.jit(lambda x: 2 * x)(21)))
"""


def run(command: str = COMMAND, **environment: str) -> subprocess.CompletedProcess:
    done = subprocess.run(
        [sys.executable, "-c", command],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "42\n"), done.stderr
    return done


def test_garbage_is_looked_for_once_a_command_begins_and_not_among_its_modules():
    run("""
import gc, sys
sys.argv[0] = "-m"
import launch
assert not gc.isenabled()
from launch import cli
sys.argv[0] = "command.py"
def main():
    assert gc.isenabled() and gc.get_freeze_count() > 10_000
    print(42)
cli.run(main)
""")


def test_only_a_flag_that_the_command_has_is_advised():
    command = """
from absl import flags
from launch import cli, motion_flags
from vimogen_jax.errors import BadInput
{}
def main():
    raise BadInput("a.npz: does not say", remedy="fps")
cli.run(main)
"""
    for define, advice in (("motion_flags.define_flags()", ": give --fps"), ("", "")):
        done = run_code(command.format(define))
        assert (done.returncode, done.stderr) == (1, f"error: a.npz: does not say{advice}\n")


@pytest.mark.parametrize(
    ("given", "counts"),
    [
        (["train.steps=7", "train.steps=42"], "42"),
        (["data.buckets=(60, 80)", "data.buckets=(100,)"], "(100,)"),
        (["data.buckets=(60,)", "data.buckets=100"], "(100,)"),
        (["objective.corruption.noise_rate=[0.1, 0.2]"], "(0.1, 0.2)"),
    ],
)
def test_of_a_key_that_is_set_twice_the_last_counts(given, counts):
    key = given[-1].partition("=")[0]
    command = f"""
from ml_collections import config_flags
from launch import cli
config = config_flags.DEFINE_config_file("config")
cli.run(lambda: print(config.value.{key}))
"""
    flags = ["--config=configs/tiny.py", *(f"--config.{one}" for one in given)]
    done = subprocess.run(
        [sys.executable, "-c", command, *flags], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, f"{counts}\n"), done.stderr


def test_help_lists_the_flags_that_commands_share_too():
    said = run_command("export", "--help").stdout
    assert "--run: " in said and "--[no]overwrite: " in said and "--verbosity" not in said


def test_faults_are_put_on_runs_where_there_are_signals_and_limits(tmp_path, monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Windows")
    ended = run_command("faults", "--config=configs/tiny.py", f"--out={tmp_path}/out")
    assert ended.returncode == 1
    assert ended.stderr == (
        "error: faults are put on a run by signals and limits that Linux alone has\n"
    )


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


def test_a_command_that_measures_keeps_nothing_even_so(tmp_path):
    measuring = COMMAND.replace("(21))", "(21)), keep_compiled=False")
    run(measuring, XDG_CACHE_HOME=str(tmp_path), JAX_COMPILATION_CACHE_DIR=str(tmp_path / "jax"))
    assert not list(tmp_path.rglob("*-cache"))


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


def end(fault: str) -> tuple[int, list[str]]:
    """Exit status, and lines on stderr, of a command that raises."""
    command = f"""
import jax
from launch import cli
def main():
    {fault}
cli.run(main)
"""
    done = run_code(command)
    return done.returncode, done.stderr.splitlines()


OUT_OF_MEMORY = "RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes."


TOO_LARGE = (
    "Unable to allocate 8.00 PiB for an array with shape (1125899906842624,) and data type float64"
)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (
            "import fsspec; fsspec.filesystem('gs')",
            "error: Please install gcsfs to access Google Storage",
        ),
        (
            "import none_such.inside",
            "error: the package none_such is not installed",
        ),
        ("import numpy; numpy.empty(2**50)", f"error: there is no memory for it: {TOO_LARGE}"),
        ("raise TimeoutError()", "error: TimeoutError"),
        ("open('nowhere/at/all')", "error: nowhere/at/all: No such file or directory"),
        (
            "from vimogen_jax.errors import BadInput; raise BadInput('one\\n two')",
            "error: one two",
        ),
        ("print('\\udcff'); raise SystemExit('error: end')", "error: end"),
        (
            f"raise jax.errors.JaxRuntimeError({OUT_OF_MEMORY + chr(10) + 'more'!r})",
            "error: a device has no memory left: Out of memory allocating 9 bytes.",
        ),
    ],
)
def test_what_can_be_foreseen_is_a_sentence(fault, sentence):
    assert end(fault) == (1, [sentence])


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("import launch.none_such", ModuleNotFoundError),
        ("from os import none_such", ImportError),
        ("jax.devices('none_such')", RuntimeError),
    ],
)
def test_bugs_are_no_sentence_and_keep_their_traceback(fault, kind):
    with pytest.raises(kind, match="none_such"):
        end(fault)
