"""Readers with faults, each called by what is to be told of it."""

import time

from tests.fuzz.kind import Kind
from vimogen_jax.errors import BadInput


def _write(folder):
    (folder / "file").write_text("1 2 3")


def _damaged(folder):
    return (folder / "file").read_bytes() != b"1 2 3"


def _raise(folder):
    int("no number" if _damaged(folder) else "1")


def _hang(folder):
    time.sleep(600 if _damaged(folder) else 0)


def _swell(folder):
    bytearray(3 * 2**30 if _damaged(folder) else 0)


def _say_nothing(folder):
    raise BadInput("" if _damaged(folder) else "no")


KINDS = {
    "invalid literal": Kind("file", _write, _raise),
    "not done after 2 s": Kind("file", _write, _hang),
    "MemoryError": Kind("file", _write, _swell),
    "refused without a word": Kind("file", _write, _say_nothing),
}
