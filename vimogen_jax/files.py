"""Whole files and folders: written under a hidden name beside their place, renamed when all is
well; and text and JSON read within bounds.

Files may lie on an object store (`gs://`, `s3://`), folders on this host's disk alone. What goes
wrong is a `BadInput` that names the place that was asked for, never the hidden one.
"""

import codecs
import contextlib
import errno
import fnmatch
import json
import math
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any

from etils import epath

from vimogen_jax.errors import BadInput

STORES = ("gs", "s3")
LARGEST_TEXT = 2**30  # bytes; the captions of a million takes have a fifth of them
DEEPEST_JSON = 64  # lists and objects inside each other
LONGEST_NAME = 255  # bytes, on all disks in use
LARGEST_INTEGER = 2**63

_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_FILLING = "\0\x1a\x04\ufffd \t\r\n"  # after a text: zeros, the end as DOS and terminals mark it


@contextlib.contextmanager
def whole_file(path: epath.PathLike) -> Iterator[epath.Path]:
    """A path to write to, of the same extension, which becomes `path` when all went well.

    Else it vanishes and what was at `path` stays.

    Raises:
        BadInput: the file cannot be written, or something other than a file is there.
    """
    path = epath.Path(path)
    aside = path.with_name(f".{secrets.token_hex(8)}{path.suffix}")
    try:
        with _telling(path, aside):
            _require_no_other(path)
            yield aside
            aside.replace(path)
    finally:
        with contextlib.suppress(OSError):  # an earlier fault is the one to be told
            aside.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(folder: str | os.PathLike[str], replaces: Sequence[str] = ()) -> Iterator[Path]:
    """A new folder to write to, which becomes `folder` when all went well, else vanishes.

    What a process that was killed left of the same folder is removed.

    Args:
        folder: there may be none yet, or an empty one.
        replaces: names of files, or patterns of them. A folder that holds the first and nothing
            else than these is replaced, and stays until then.

    Raises:
        BadInput: the folder is there, another process is writing it, or it cannot be written.
    """
    require_new(folder, replaces)
    given, folder = folder, Path(os.path.abspath(folder))
    with contextlib.ExitStack() as stack:
        aside = stack.enter_context(_reserved(folder))
        stack.enter_context(_telling(given, aside))
        yield aside
        require_new(given, replaces)  # still
        old = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}.old")
        if folder.exists():
            folder.rename(old)
        try:
            aside.rename(folder)
        except BaseException:
            if old.exists():
                old.rename(folder)
            raise
    shutil.rmtree(old, ignore_errors=True)


def require_new(folder: str | os.PathLike[str], replaces: Sequence[str] = ()) -> None:
    """Raise BadInput unless a folder is one that `whole_folder` would write."""
    _require_on_disk(folder)
    folder = Path(folder)
    if not os.path.lexists(folder) or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not folder.is_dir():
        raise BadInput(f"{folder} is there and is no folder")
    if not replaces:
        raise BadInput(f"{folder} exists already", remedy="overwrite")
    if not (folder / replaces[0]).is_file():
        raise BadInput(f"{folder} holds no {replaces[0]}, so it is not replaced")
    for name in sorted(os.listdir(folder)):
        if not any(fnmatch.fnmatchcase(name, part) for part in replaces):
            raise BadInput(f"{folder} holds {name} too, so it is not replaced")


@contextlib.contextmanager
def locked(folder: str | os.PathLike[str], *, wait: bool = True) -> Iterator[bool]:
    """Hold a folder's lock, which the kernel lets go when a process is killed.

    Yields whether it is held: not every system and shared disk has locks. Raises BlockingIOError
    where another process holds it and we do not wait.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield False
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        held = True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise
        except OSError:
            held = False
        yield held
    finally:
        os.close(handle)


def visible(paths: Iterable[Path]) -> list[Path]:
    """Paths in order, without files that are hidden: such as are still written, were never
    finished, or hold what macOS notes beside each file of another's disk.
    """
    return sorted(path for path in paths if not path.name.startswith("."))


def write_text(text: str, path: epath.PathLike) -> None:
    """Write UTF-8 so that a crash leaves the old file or the new one."""
    with whole_file(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(value: Any, path: epath.PathLike) -> None:
    """Write JSON so that a crash leaves the old file or the new one."""
    write_text(json.dumps(value, indent=2) + "\n", path)


def read_text(path: epath.PathLike, *, lenient: bool = False) -> str:
    """Read UTF-8, with or without a byte order mark, or UTF-16 with one.

    Args:
        lenient: what is no such text becomes U+FFFD, and bytes that fill up its end are left out.

    Raises:
        BadInput: the file is missing, unreadable, larger than `LARGEST_TEXT`, or no such text.
    """
    try:
        with epath.Path(path).open("rb") as file:
            content = bytearray()  # no more memory than there is to read
            while len(content) <= LARGEST_TEXT and (more := file.read(2**22)):
                content += more
    except FileNotFoundError:
        raise BadInput(f"{path} is missing") from None
    except OSError as fault:
        raise BadInput(f"{path} cannot be read: {reason(fault)}") from None
    if len(content) > LARGEST_TEXT:
        raise BadInput(f"{path} is larger than a text may be, {LARGEST_TEXT:,} bytes")
    mark = next((mark for mark in _MARKS if content.startswith(mark)), b"")
    try:
        errors = "replace" if lenient else "strict"
        text = content[len(mark) :].decode(_MARKS.get(mark, "utf-8"), errors)
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not a text in UTF-8") from None
    if lenient:
        text = text.rstrip(_FILLING)
    if "\0" in text and not lenient:
        raise BadInput(f"{path} is not a text: it holds zero bytes")
    return text


def lines_of(path: epath.PathLike) -> list[tuple[int, str]]:
    """The lines of a text that are not blank, each with its number; BadInput as `read_text`.

    They end as on any system, and at nothing else that Unicode takes for an end: JSON may hold it.
    """
    lines = re.split(r"\r\n?|\n", read_text(path))
    return [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def read_json(path: epath.PathLike) -> Any:
    """What a JSON file says; raises BadInput, naming it, as `read_text` and `parse_json` do."""
    text = read_text(path)
    try:
        return parse_json(text)
    except BadInput as fault:
        raise BadInput(f"{path} is {fault}") from None


def parse_json(text: str) -> Any:
    """What a JSON text says: finite numbers, integers of 64 bits, text that UTF-8 can hold.

    Raises:
        BadInput: the text is none, or lists and objects lie in each other deeper than
            `DEEPEST_JSON`.
    """
    try:
        value = json.loads(
            text, parse_int=_integer, parse_float=_finite, parse_constant=_no_constant
        )
    except json.JSONDecodeError as fault:
        raise BadInput(f"not JSON: {fault}") from None
    except RecursionError:
        raise BadInput(f"not JSON that is read: nested deeper than {DEEPEST_JSON}") from None
    if text.count("[") + text.count("{") > DEEPEST_JSON and _depth(value) > DEEPEST_JSON:
        raise BadInput(f"not JSON that is read: nested deeper than {DEEPEST_JSON}")
    if re.search(r"\\u[dD][89a-fA-F]", text):  # half a pair is let pass by the parser
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise BadInput("not JSON: half of a surrogate pair stands alone") from None
    return value


def require_writable(folder: epath.PathLike, names: Iterable[str] = ()) -> None:
    """Raise BadInput if files of some names cannot be written to a folder, be it there or not."""
    _require_on_disk(folder)
    folder = there = epath.Path(folder)
    while not there.exists() and there != there.parent:
        there = there.parent
    probe = there / f".{secrets.token_hex(8)}"
    try:
        probe.write_bytes(b"\0")  # on a full disk a file can be made, but not filled
    except OSError as fault:
        raise BadInput(_cannot_be_written(folder, fault)) from None
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
    for name in names:
        _require_no_other(folder / name)


def require_no_stream(path: epath.PathLike) -> None:
    """Raise BadInput where a path is a pipe or a device, which may never begin or end."""
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise BadInput(f"{path} is a pipe or a device, where a file is expected")


def require_room(folder: epath.PathLike, size: int, what: str, remedy: str = "") -> None:
    """Raise BadInput if the disk of a folder that is there has not `size` bytes left for `what`."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise BadInput(
            f"{what} takes {size / 1e9:.3g} GB, but the disk of {folder} has {free / 1e9:.3g} GB "
            f"left{remedy and '; '}{remedy}"
        )


def first_line(fault: BaseException) -> str:
    """The first words of a library's exception, or its kind where it says nothing."""
    return next((line.strip() for line in str(fault).splitlines() if line.strip()), "") or (
        type(fault).__name__
    )


def reason(fault: OSError) -> str:
    """Why a file could not be read or written, without number and file name."""
    if fault.errno == errno.ENOSPC:
        return "the disk is full"
    return fault.strerror or first_line(fault)


def _require_no_other(path: epath.PathLike) -> None:
    """Raise BadInput where a folder, a device or the like is in the place of a file."""
    if not on_store(path) and os.path.exists(path) and not os.path.isfile(path):
        raise BadInput(f"{path} cannot be written: something else than a file is there")


def _cannot_be_written(path: epath.PathLike, fault: OSError) -> str:
    parent = os.path.dirname(os.path.abspath(path))
    if fault.errno == errno.ENOENT and not on_store(path) and not os.path.isdir(parent):
        return f"{path} cannot be written: there is no folder {os.path.dirname(path)}"
    return f"{path} cannot be written: {reason(fault)}"


@contextlib.contextmanager
def _telling(path: epath.PathLike, aside: epath.PathLike) -> Iterator[None]:
    """Turn what goes wrong with `aside` into a sentence on `path`."""
    hidden = os.fspath(aside)
    try:
        yield
    except BadInput as fault:
        fault.args = (str(fault).replace(hidden, os.fspath(path)),)
        raise
    except RuntimeError as fault:  # of libraries in C++
        if os.strerror(errno.ENOSPC) not in str(fault):
            raise
        raise BadInput(_cannot_be_written(path, OSError(errno.ENOSPC, ""))) from None
    except OSError as fault:
        # Writing to an open file names none.
        if fault.filename is not None and not os.fsdecode(fault.filename).startswith(hidden):
            raise
        raise BadInput(_cannot_be_written(path, fault)) from None


@contextlib.contextmanager
def _reserved(folder: Path) -> Iterator[Path]:
    """A hidden folder beside one, locked while it is written."""
    name = f".{folder.name}.{secrets.token_hex(8)}.partial"
    with contextlib.ExitStack() as stack:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with locked(folder.parent):  # so that of two that begin at once one is second
                _sweep(folder)
                aside = folder.with_name(name)
                aside.mkdir()
                stack.callback(shutil.rmtree, aside, ignore_errors=True)
                stack.enter_context(locked(aside))
        except OSError as fault:
            raise BadInput(_cannot_be_written(folder, fault)) from None
        yield aside


def _sweep(folder: Path) -> None:
    """Remove what killed processes left of a folder; raises BadInput where one writes it now."""
    left = re.compile(rf"\.{re.escape(folder.name)}\.[0-9a-f]{{16}}\.partial")
    for path in [path for path in folder.parent.iterdir() if left.fullmatch(path.name)]:
        try:
            with locked(path, wait=False) as abandoned:
                if abandoned:
                    shutil.rmtree(path)
        except BlockingIOError:
            raise BadInput(f"{folder} is being written by another process") from None


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level := [x for x in level if isinstance(x, dict | list)]:
        depth += 1
        level = [y for x in level for y in (x.values() if isinstance(x, dict) else x)]
    return depth


def _integer(digits: str) -> int:
    if len(digits) > 20 or not -LARGEST_INTEGER <= int(digits) < LARGEST_INTEGER:
        raise BadInput(f"not JSON that is read: an integer of {len(digits)} digits")
    return int(digits)


def _finite(number: str) -> float:
    if not math.isfinite(value := float(number)):
        raise BadInput(f"not JSON that is read: {number[:20]} is beyond all floats")
    return value


def _no_constant(name: str) -> None:
    raise BadInput(f"not JSON: {name} is no number")


def on_store(path: epath.PathLike) -> bool:
    """Whether a file or folder is named by a store's URL; BadInput where that is of no store."""
    scheme, mark, _ = os.fspath(path).partition("://")
    if mark and scheme not in STORES:
        raise BadInput(f"{path} is on no store that is known: {', '.join(STORES)}")
    return bool(mark)


def _require_on_disk(folder: epath.PathLike) -> None:
    """Raise BadInput for a URL, also where a path was made of it, with one slash less."""
    if re.match(r"\w{2,}:/", os.fspath(folder)):
        raise BadInput(f"{folder} is not a folder on this host's disk, where it is to be")


def inside(folder: Path, path: str) -> Path:
    """`folder / path`; raises BadInput where the path, as written, leads out of the folder."""
    if "\0" in path:
        raise BadInput("a path holds a zero byte")
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in PurePath(path).parts):
        raise BadInput(f"{path[:50]}... is longer than a file's name can be")
    if PurePath(path).is_absolute() or ".." in PurePath(path).parts:
        raise BadInput(f"{path} leads outside the dataset's folder {folder}")
    return folder / path


def absolute(path: epath.PathLike) -> str:
    """A path that means the same in every folder, as the URL of a store does already."""
    return os.fspath(path) if on_store(path) else os.path.abspath(path)
