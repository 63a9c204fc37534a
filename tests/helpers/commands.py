"""Commands of `launch`, run in this process as `python -m` would run them.

So JAX is imported, and what is alike compiled, once for all of them. Where a process is what is
tested (signals, kills, its environment, its devices, what it imports), start one instead.
"""

import contextlib
import io
import logging
import runpy
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from unittest import mock

import array_record.python.array_record_data_source  # noqa: F401, its flags belong to no command
import grain  # noqa: F401, nor do its
import jax
from absl import app
from absl import logging as absl_logging
from absl.flags import FLAGS

from tests.helpers.repository import ROOT

# What `launch.cli` sets of JAX.
SETTINGS = (
    "jax_compilation_cache_dir",
    "jax_enable_compilation_cache",
    "jax_persistent_cache_min_compile_time_secs",
)

HEEDED = (signal.SIGINT, signal.SIGTERM)


def run_command(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `python -m launch.NAME`: its exit status, stdout and stderr. Bugs raise as they are."""
    module = f"launch.{name}"
    begin = lambda: runpy.run_module(module, run_name="__main__")
    return _ended([module, *map(str, arguments)], begin)


def begun(*command: object) -> subprocess.Popen[str]:
    """A process of a group of its own, begun at the root of the repository, with its output."""
    return subprocess.Popen(
        list(map(str, command)),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run_code(code: str) -> subprocess.CompletedProcess[str]:
    """The same of the text of a command."""
    return _ended(["command.py"], lambda: exec(code, {}))


def _ended(argv: list[str], begin: Callable[[], object]) -> subprocess.CompletedProcess[str]:
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
    status = None
    with (
        _modules_of_its_own(),
        _flags_of_its_own(),
        _settings_put_back(),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        contextlib.chdir(ROOT),
    ):
        sys.argv = argv
        try:
            begin()
        except SystemExit as end:
            status = end.code
            if isinstance(status, str):  # as Python ends on it
                print(status, file=err)
                status = 1
    for stream in (out, err):
        stream.seek(0)
    return subprocess.CompletedProcess(argv, status or 0, out.read(), err.read())


@contextlib.contextmanager
def _modules_of_its_own() -> Iterator[None]:
    """Import anew what commands share, since it defines flags too, and pages of configs.

    ml_collections gives all of these one name; loaded again, one would keep what another defined.
    """
    kept = {name: sys.modules.pop(name) for name in _of_commands()}
    try:
        yield
    finally:
        for name in _of_commands():
            del sys.modules[name]
        sys.modules.update(kept)


def _of_commands() -> list[str]:
    return [name for name in sys.modules if name.split(".")[0] in ("launch", "config_config")]


@contextlib.contextmanager
def _flags_of_its_own() -> Iterator[None]:
    """Take away the flags of commands that a test imported, and later those of this one."""
    app.define_help_flags()
    imported = [
        (module, flag)
        for module, flags in FLAGS.flags_by_module_dict().items()
        if module.startswith("launch.")
        for flag in flags
    ]
    for _, flag in imported:
        delattr(FLAGS, flag.name)
    others = set(FLAGS)
    try:
        yield
    finally:
        for name in set(FLAGS) - others:
            delattr(FLAGS, name)
        FLAGS.unparse_flags()
        for module, flag in imported:
            FLAGS[flag.name] = flag
            FLAGS.register_flag_by_module(module, flag)  # or the next call would not find it


@contextlib.contextmanager
def _settings_put_back() -> Iterator[None]:
    """Leave no trace of what a command sets in Python, its environment, absl and JAX."""
    argv, heeding = sys.argv, {number: signal.getsignal(number) for number in HEEDED}
    handlers, level = logging.root.handlers[:], logging.root.level
    verbosity = absl_logging.get_verbosity()
    settings = {name: getattr(jax.config, name) for name in SETTINGS}
    absl_logging.use_absl_handler()  # as absl does for the first command of a process
    try:
        with warnings.catch_warnings():
            # So ml_collections reads a config.
            warnings.filterwarnings("ignore", message="the load_module", module="importlib")
            # JAX has started, too late to meet other processes.
            met = mock.patch("vimogen_jax.train.distributed._meet")
            with met, mock.patch.dict("os.environ"):
                yield
    finally:
        sys.argv = argv
        for number, handler in heeding.items():
            signal.signal(number, handler)
        absl_logging.set_verbosity(verbosity)
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
        for name, value in settings.items():
            jax.config.update(name, value)
