"""The command `vimogen`: its verbs, and what it says to others."""

import os
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


@pytest.mark.parametrize(
    ("status", "arguments"),
    [
        (1, ["-c", "from vimogen_jax.command import main; main()"]),
        (1, ["-c", "from launch import cli; cli.run(lambda: print('said'))"]),
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
