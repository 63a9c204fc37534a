"""The command `vimogen`: its verbs, and what it says to others."""

import os
import shlex
import subprocess
import sys

import pytest

from tests.helpers.repository import ROOT
from vimogen_jax import __version__, command


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["vimogen", *arguments])
    command.main()


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"]])
def test_alone_it_lists_the_verbs(arguments, monkeypatch, capsys):
    run(monkeypatch, *arguments)
    said = capsys.readouterr().out
    modules = [
        path.stem for path in (ROOT / "launch").glob("*.py") if "cli.run(main" in path.read_text()
    ]
    listed = [line.split()[0] for line in said.splitlines()[2:]]
    assert listed == sorted(modules)
    assert "  Train a model, or go on with a run that was stopped.\n" in said


def test_its_version(monkeypatch, capsys):
    run(monkeypatch, "--version")
    assert capsys.readouterr().out == f"vimogen {__version__}\n"


@pytest.mark.parametrize(
    ("verb", "advice"),
    [("smaple", "did you mean sample?"), ("cli", "vimogen lists them"), ("--prompt", "lists")],
)
def test_what_is_no_verb(verb, advice, monkeypatch):
    with pytest.raises(SystemExit, match=f"^error: there is no verb '{verb}'.*{advice}"):
        run(monkeypatch, verb)


SAYS = "from launch import cli; cli.run(lambda: print('said'))"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no disk here that is always full")
@pytest.mark.parametrize(
    "code", ["from vimogen_jax.command import main; main()", SAYS], ids=["the verbs", "a verb"]
)
def test_what_is_printed_may_not_fit_or_be_for_nobody(code):
    start = (
        f"cd {shlex.quote(str(ROOT))}; exec {shlex.quote(sys.executable)} -c {shlex.quote(code)}"
    )
    full, closed = (
        subprocess.run(["sh", "-c", f"{start} {to}"], stderr=subprocess.PIPE, text=True)
        for to in ("> /dev/full", ">&-")
    )
    assert full.stderr == "error: what is printed cannot be written: the disk is full\n"
    assert (full.returncode, closed.returncode, closed.stderr) == (1, 0, "")


@pytest.mark.parametrize(
    ("status", "arguments"),
    [
        (1, ["-c", "from vimogen_jax.command import main; main()"]),
        (1, ["-c", SAYS]),
        (0, ["-m", "launch.export", "--help"]),
        (0, ["-m", "launch.export", "--helpfull"]),
    ],
)
def test_nobody_need_read_on(status, arguments):
    """As with `| head`."""
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (status, "")
