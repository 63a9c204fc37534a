"""The command `vimogen`: a verb for each command of `launch`, from a checkout or installed.

What the verbs are made of (launch, configs, data, eval) lies in an installation inside the library,
where no other package can own their names, and in a checkout beside it. Only this command puts
that folder on the path, before all others.
"""

import ast
import contextlib
import difflib
import errno
import os
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

from vimogen_jax import __version__, stopping

_LIBRARY = Path(__file__).parent
INSTALLED = _LIBRARY / "_commands"  # where setup.py puts them
HOME = INSTALLED if INSTALLED.is_dir() else _LIBRARY.parent


def main() -> None:
    """Run the verb that the command line begins with, or list the verbs."""
    stopping.end_at_once()
    with may_be_left_unread():
        _main()


def _main() -> None:
    verbs = find_verbs()
    match sys.argv[1:]:
        case [] | ["-h" | "--help", *_]:
            print("usage: vimogen VERB [options]; vimogen VERB --help lists a verb's options\n")
            width = max(map(len, verbs))
            for verb, purpose in verbs.items():
                print(f"  {verb:{width}}  {purpose}")
        case ["--version", *_]:
            print(f"vimogen {__version__}")
        case [verb, *options]:
            name = verb.replace("-", "_")
            if name not in verbs:
                near = [] if verb.startswith("-") else difflib.get_close_matches(name, verbs, 1)
                advice = f"; did you mean {near[0]}?" if near else "; vimogen lists them"
                raise SystemExit(f"error: there is no verb {verb!r}{advice}")
            sys.path.insert(0, str(HOME))
            sys.argv[1:] = options
            runpy.run_module(f"launch.{name}", run_name="__main__", alter_sys=True)


@contextlib.contextmanager
def may_be_left_unread() -> Iterator[None]:
    """End quietly where nobody reads on what is printed, as with `| head`, and print into the void
    where nobody ever does, as with `>&-`."""
    for number, (name, mode) in enumerate(dict(stdin="r", stdout="w", stderr="w").items()):
        if getattr(sys, name) is None:  # or the next file that is opened would be in its place
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, os.fdopen(number, mode))
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as fault:
        if fault.filename is not None or fault.errno not in (errno.EPIPE, errno.ENOSPC):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's own flush
        full = "error: what is printed cannot be written: the disk is full"
        raise SystemExit(1 if fault.errno == errno.EPIPE else full) from None


def find_verbs() -> dict[str, str]:
    """What each verb is for, by name: the first line of a module that can be run, unimported."""
    verbs = {}
    for path in sorted((HOME / "launch").glob("*.py")):
        module = ast.parse(path.read_text("utf-8"))
        if any(
            isinstance(each, ast.If) and "__main__" in ast.unparse(each) for each in module.body
        ):
            verbs[path.stem] = (ast.get_docstring(module) or "").partition("\n")[0]
    return verbs
