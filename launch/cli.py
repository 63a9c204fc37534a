"""How every command begins and ends.

What JAX compiles is kept for the next command, in a folder among the user's caches or where
JAX_COMPILATION_CACHE_DIR says (nowhere, if that is empty). Bad input, a device without memory left
and a store whose library is not installed end a command with one sentence on stderr and exit
status 1; what may go well the next time, with that of `Interrupted`. So do Ctrl-C and SIGTERM, with
the status of shells.
"""

import difflib
import errno
import gc
import math
import os
import re
import runpy
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import app, logging
from absl.flags import FLAGS, ArgumentParser
from absl.flags import Error as FlagsError
from ml_collections.config_flags import register_flag_parser_for_type
from ml_collections.config_flags.tuple_parser import TupleParser

from vimogen_jax.caches import cache_folder
from vimogen_jax.command import HOME, INSTALLED, may_be_left_unread
from vimogen_jax.errors import BadInput, Interrupted
from vimogen_jax.files import first_line, reason, require_writable
from vimogen_jax.stopping import ends_well

# Programs that compile faster than this, in seconds, are not worth a file.
_WORTH_KEEPING = 0.1
_PAGE = re.compile(r"--?config(=|$)").match
LAUNCH = "vimogen " if HOME == INSTALLED else "python -m launch."  # how a command begins
_OURS = ("vimogen_jax", "configs", "data", "eval", "launch")


def advised(message: str, remedy: str) -> str:
    """What a `BadInput` says, with flags of this command for keys of a config and as a remedy."""
    if "config" in FLAGS:
        message = re.sub(r"(?<![\w./-])config\.(?=\w)(?!json|py)", "--config.", message)
    known = remedy.partition("=")[0] in FLAGS
    return f"{message}: give --{remedy}" if remedy and known else message


def report_folder(folder: str) -> Path:
    """The folder of a scoring, looked at before the work: what was made or scored there is used.

    The report alone is written anew, which is said.
    """
    out = Path(folder)
    require_writable(out, ["report.json", "report.md", "index.html"])
    if (out / "report.json").exists():
        print(f"{out} holds a report: it is replaced, and what was made or scored before is kept")
    return out


def compared(name: str, motions: str, others: Sequence[str]) -> dict[str, str]:
    """Folders of systems by name, the first and then others, each `NAME=folder` or a folder.

    Raises BadInput where two have the same name.
    """
    folders = {name: motions}
    for given in others:
        name, separator, folder = given.partition("=")
        folder = folder if separator else given
        name = name if separator else os.path.basename(os.path.normpath(given))
        if name in folders:
            raise BadInput(f"two systems are called {name!r}; give --compare=NAME={folder}")
        folders[name] = folder
    return folders


class _Tuples(ArgumentParser):
    """Sequences of a config. No `TupleParser` itself: of that, repeated flags would add up."""

    def parse(self, argument: Any) -> tuple[Any, ...]:
        return TupleParser().parse(argument)


def _refuse(fault: Exception) -> SystemExit:
    said = advised(str(fault), getattr(fault, "remedy", ""))
    words = " ".join(said.split()) or type(fault).__name__
    if isinstance(fault, OSError) and fault.filename is not None:
        words = f"{os.fsdecode(fault.filename)}: {reason(fault)}"
    elif isinstance(fault, FileNotFoundError):  # of `os.getcwd`, which names nothing
        words = "the folder that the command was called from is gone"
    return SystemExit(f"error: {words}")


def _parse(argv: list[str]) -> list[str]:
    # A dash in a flag's name is as good as an underscore.
    argv = [re.sub(r"^--[a-z-]+", lambda m: "--" + m[0][2:].replace("-", "_"), a) for a in argv]
    # The project's own configs are found from any folder.
    argv = [re.sub(r"^(--config=)?(configs/\w+\.py)$", _found, a) for a in argv]
    _help(argv)
    register_flag_parser_for_type(tuple, _Tuples())
    if "config" in FLAGS and len([arg for arg in argv if _PAGE(arg)]) > 1:
        raise SystemExit("error: --config is given twice")  # keys would be set in the first alone
    FLAGS.set_gnu_getopt()  # flags may stand before and after what is no flag
    try:
        rest = FLAGS(argv)
        _require_sound()
        return rest
    except FlagsError as fault:
        # Of what a config raises, ml_collections hands on the traceback, whose last line says it.
        said = re.sub(
            r"Error whilst parsing config file:.*\n(?=\S)", "", str(fault).strip(), flags=re.S
        )
        raise SystemExit(f"error: {' '.join(said.split())}; see --help") from None
    except OSError as fault:
        # Of a config that cannot be read, ml_collections says the reason last.
        raise SystemExit(f"error: {str(fault).splitlines()[-1].strip()}") from None
    except SyntaxError as fault:  # zero bytes, and what is not UTF-8, are one too
        raise SystemExit(f"error: {_page(argv)} is no config: {fault.msg}") from None
    except (AttributeError, KeyError, TypeError, ValueError) as fault:
        # So ml_collections refuses a --config.key=value whose key the config does not have.
        reason = getattr(fault.args[0], "args", fault.args)[0]
        raise SystemExit(f"error: {_unknown_key(argv, str(reason))}") from None


def _require_sound() -> None:
    """Refuse NaN, which no bounds of a flag leave out, infinity, and empty text, as a shell makes
    of a variable that is not set: it would pass for a flag that is not given."""
    for name in FLAGS:
        given = FLAGS[name].value
        for value in given if isinstance(given, list) else [given]:
            if isinstance(value, float) and not math.isfinite(value):
                raise FlagsError(f"flag --{name}={value} is not a finite number")
            # In a config, text may be empty.
            if value == "" != FLAGS[name].default and not name.startswith("config."):
                raise FlagsError(f"flag --{name} is given empty text")


def _page(argv: list[str]) -> str:
    """The config file that the command line names."""
    return next(arg.partition("=")[2] or argv[i + 1] for i, arg in enumerate(argv) if _PAGE(arg))


def _unknown_key(argv: list[str], reason: str) -> str:
    """A sentence about the first --config.KEY of the command line that its config does not have."""
    config = runpy.run_path(_page(argv))
    if "get_config" not in config:
        return f"{_page(argv)} is no config: it defines no get_config"
    known = [*_keys(config["get_config"]().to_dict())]
    for key in (match[1] for arg in argv if (match := re.match(r"--?config\.([\w.]+)", arg))):
        if any(f"{one}.".startswith(f"{key}.") for one in known):
            continue
        last = key.rpartition(".")[2]  # it may only stand in another section
        alike = [one for one in known if one.endswith(f".{last}")]
        alike = alike or difflib.get_close_matches(key, known, 1, 0.0)
        return f"--config.{key} is unknown; did you mean --config.{alike[0]}?"
    return f"unknown config key: {' '.join(reason.split())}"


def _keys(config: Mapping[str, Any]) -> Iterator[str]:
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from (f"{key}.{inner}" for inner in _keys(value))
        else:
            yield key


def _found(config: re.Match[str]) -> str:
    flag, path = config.groups(default="")
    own = HOME / path
    return f"{flag}{own}" if own.is_file() and not os.path.exists(path) else config[0]


def _help(argv: list[str]) -> None:
    """Tell the flags where that is asked for: absl would exit with 1."""
    if HOME == INSTALLED:
        module = sys.modules["__main__"]
        module.__doc__ = (module.__doc__ or "").replace("python -m launch.", LAUNCH)
    for module, shared in FLAGS.flags_by_module_dict().items():
        if module.startswith("launch."):  # which --help leaves out else, --overwrite too
            for flag in shared:
                FLAGS.register_key_flag_for_module(argv[0], flag)
    if {"-h", "--help"} & {*argv[1:]}:
        app.usage(shorthelp=True, writeto_stdout=True, exitcode=0)
    if "--helpfull" in argv[1:]:
        app.usage(writeto_stdout=True, exitcode=0)


def _keep_compiled() -> None:
    import jax  # here, so that --help need not wait for it

    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", _WORTH_KEEPING)
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        if not os.environ["JAX_COMPILATION_CACHE_DIR"]:
            jax.config.update("jax_compilation_cache_dir", None)
        return
    folder = cache_folder("compiled")
    try:
        require_writable(folder)
        folder.mkdir(parents=True, exist_ok=True)
    except BadInput as fault:
        print(f"warning: compiled programs cannot be kept: {fault}", file=sys.stderr)
    else:
        jax.config.update("jax_compilation_cache_dir", str(folder))


def keep_compiled_in(folder: str) -> None:
    """Keep what JAX compiles in a folder that all processes of a run see, if none is set.

    The first process alone writes there; all find it.
    """
    import jax

    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        jax.config.update("jax_compilation_cache_dir", folder)


def share_compiled() -> None:
    """Let processes that this one starts keep and find what JAX compiles where it does."""
    import jax

    for name in ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs"):
        if (value := getattr(jax.config, name)) is not None:
            os.environ.setdefault(name.upper(), str(value))


def _keep_nothing() -> None:
    import jax

    jax.config.update("jax_enable_compilation_cache", False)  # whatever the environment says


def run(main: Callable[..., Any], *, keep_compiled: bool = True, takes_words: bool = False) -> None:
    """Parse flags, call `main()`, and turn what its user can mend into one sentence.

    A command that measures or compares compilation keeps nothing of it. One that takes words
    beside its flags gets them: `main(words)`.
    """

    def guarded(argv: list[str]) -> None:
        if not gc.isenabled():  # since `launch` was imported
            gc.freeze()
            gc.enable()
        if len(argv) > 1 and not takes_words:
            raise SystemExit(f"error: unexpected argument {argv[1]!r}; options start with --")
        # JAX and Orbax tell of every device and file, and Orbax of every error that it raises.
        logging.set_verbosity(logging.FATAL)
        if keep_compiled:
            _keep_compiled()
        else:
            _keep_nothing()
        try:
            with ends_well():
                main(*([argv[1:]] if takes_words else []))
        except BrokenPipeError:
            raise
        except Interrupted as fault:
            print(_refuse(fault), file=sys.stderr)
            raise SystemExit(fault.STATUS) from None
        except (BadInput, FlagsError, OSError) as fault:
            if isinstance(fault, OSError) and fault.errno == errno.ENOSPC and not fault.filename:
                raise  # of what is printed: files are named
            raise _refuse(fault) from None
        except ImportError as fault:
            if fault.name is not None and fault.name.split(".")[0] in _OURS:
                raise
            if isinstance(fault, ModuleNotFoundError):
                package = str(fault.name).split(".")[0]
                raise SystemExit(f"error: the package {package} is not installed") from None
            if fault.name is not None:  # an import failed; else a library asks for another
                raise
            raise _refuse(fault) from None
        except MemoryError as fault:
            raise SystemExit(f"error: there is no memory for it: {first_line(fault)}") from None
        except RuntimeError as fault:  # JAX's own is one
            if not str(fault).startswith("RESOURCE_EXHAUSTED"):
                raise
            reason = str(fault).splitlines()[0].partition(": ")[2]
            raise SystemExit(f"error: a device has no memory left: {reason}") from None

    with may_be_left_unread():
        # Names of files need not be text.
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
        app.run(guarded, flags_parser=_parse)
