"""Ctrl-C and SIGTERM: one sentence, the status of shells, what is open put away, no traceback."""

import shutil
import signal
import subprocess
import sys

import pytest

from tests.helpers.repository import ROOT

VERBS = sorted(
    path.stem for path in (ROOT / "launch").glob("*.py") if "cli.run(main" in path.read_text()
)
SENTENCES = {signal.SIGINT: "stopped by Ctrl-C\n", signal.SIGTERM: "stopped by SIGTERM\n"}

# Told to a command that a signal comes now: it arrives within the line, or the one after it.
NOW = "os.kill(os.getpid(), {}); time.sleep(100)"

IN_A_COMMAND = {
    "at work": "{now}",
    "in a thread that nobody waits for": """
    threading.Thread(target=time.sleep, args=(100,)).start()
    {now}""",
    "in a finaliser": """
    class Closing:
        def __del__(self): {now}
    Closing()
    time.sleep(100)""",
    "in an import": """
    class Slow:
        def find_spec(self, *_): os.kill(os.getpid(), {signal})
    sys.meta_path.insert(0, Slow())
    import colorsys
    print("imported", flush=True)
    time.sleep(100)""",
    "while a file is written": """
    with files.whole_file(sys.argv[1] + "/whole.txt") as aside:
        aside.write_text("half")
        {now}""",
    "beside a generator that writes one": """
    def writing():
        with files.whole_file(sys.argv[1] + "/whole.txt") as aside:
            aside.write_text("half")
            yield
    def read(parts):
        for _ in parts: {now}
    read(writing())""",
}


def start(*arguments: object, cwd=ROOT) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", SENTENCES)
@pytest.mark.parametrize("where", IN_A_COMMAND)
def test_the_first_signal_ends_it_well(where, number, tmp_path):
    code = IN_A_COMMAND[where].format(now=NOW.format(int(number)), signal=int(number))
    command = f"""
import os, sys, threading, time
from vimogen_jax import files, stopping
stopping.end_at_once()
with stopping.ends_well():
    {code}
"""
    with start("-c", command, tmp_path) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (128 + number, SENTENCES[number])
    assert out == ("imported\n" if where == "in an import" else "")
    assert list(tmp_path.iterdir()) == []


def test_the_second_does_not_wait():
    command = """
import os, time
from vimogen_jax import stopping
with stopping.ends_well():
    try:
        os.kill(os.getpid(), 2)
        time.sleep(100)
    finally:
        print("puts away", flush=True)
        time.sleep(100)
"""
    with start("-c", command) as process:
        assert process.stdout.readline() == "puts away\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read() == "stopped by Ctrl-C\n"


@pytest.mark.parametrize("verb", VERBS)
def test_each_command_heeds_them_while_it_imports(verb):
    number = [signal.SIGINT, signal.SIGTERM][VERBS.index(verb) % 2]
    with start("-X", "importtime", "-m", f"launch.{verb}") as process:
        for line in process.stderr:
            if line.endswith("| launch\n"):  # has been imported, as the first of all
                break
        process.send_signal(number)
        rest = process.stderr.read()
    assert process.returncode == 128 + number
    assert rest.endswith(SENTENCES[number]) and "Traceback" not in rest


def test_ctrl_c_before_the_library_is_there_leaves_no_traceback(tmp_path):
    for folder in ("launch", "vimogen_jax"):
        (tmp_path / folder).mkdir()
    shutil.copy(ROOT / "launch/__init__.py", tmp_path / "launch")
    (tmp_path / "launch/it.py").touch()
    (tmp_path / "vimogen_jax/__init__.py").write_text("import os; os.kill(os.getpid(), 2)")
    with start("-m", "launch.it", cwd=tmp_path) as process:
        assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == -signal.SIGINT


@pytest.mark.parametrize("number", SENTENCES)
def test_the_command_heeds_them_from_its_beginning(number):
    code = f"""
import os
from vimogen_jax import command
command.find_verbs = lambda: os.kill(os.getpid(), {int(number)})
command.main()
"""
    with start("-c", code) as process:
        assert process.communicate(timeout=60) == ("", SENTENCES[number])
    assert process.returncode == 128 + number
