"""A dataset on an object store (`gs://`, `s3://`), copied once to a disk of this host; and one that
is written there.

Training reads single records at random, thousands of them a minute, which a disk serves and a
store does not: where the disk is too small, `remote` reads them. The copy lies among the user's
caches, under the hash of the dataset's manifest.
"""

import contextlib
import fnmatch
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from etils import epath
from tqdm import tqdm

from vimogen_jax.caches import cache_folder
from vimogen_jax.errors import BadInput
from vimogen_jax.files import locked, reason, require_room, whole_file
from vimogen_jax.input_pipeline.manifest import MANIFEST, file_names, parse_manifest

_STREAMS = 8  # one alone does not fill a network
_PIECE = 2**24  # bytes


def local_copy(url: str, *, with_shards: bool = True) -> Path:
    """The folder on this host that a dataset was copied to, now or before, perhaps but for shards.

    Of several processes one copies and the others wait. A file appears under its name once it is
    whole, so a copy that was cut off goes on with the files that are missing.

    Raises:
        BadInput: the store cannot be read, has no sound manifest, or the disk does not hold it all.
    """
    source = epath.Path(url)
    with _read_faults(url):
        content = (source / MANIFEST).read_bytes()
    manifest = parse_manifest(content.decode("utf-8-sig", "replace"), source / MANIFEST)
    folder = cache_folder("datasets") / _name_of(content)
    with _disk_faults(folder, url):
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            _copy_files(source, folder, file_names(manifest) if with_shards else manifest["crc32"])
            with whole_file(folder / MANIFEST) as aside:
                aside.write_bytes(content)
    return folder


def require_new_on_store(url: str, replaces: Sequence[str] = ()) -> None:
    """Raise BadInput where a dataset is on a store already and is not to be replaced."""
    with _read_faults(url):
        there = (epath.Path(url) / MANIFEST).exists()
    if there and not replaces:
        raise BadInput(f"{url} exists already", remedy="overwrite")


@contextlib.contextmanager
def whole_on_store(url: str, replaces: Sequence[str] = ()) -> Iterator[Path]:
    """A new folder on this host's disk to write a dataset to, which comes to a store when all went
    well.

    The manifest comes last: what was cut off before is no dataset. The folder then is what
    `local_copy` finds, so that opening the dataset here copies nothing.

    Args:
        replaces: patterns of the files that a dataset there may have, which it replaces then.

    Raises:
        BadInput: a dataset is there that is not to be replaced, or the store cannot be written.
    """
    require_new_on_store(url, replaces)
    caches = cache_folder("datasets")
    with _disk_faults(caches, url):
        caches.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=caches, ignore_cleanup_errors=True) as aside:
        folder = Path(aside)
        yield folder
        require_new_on_store(url, replaces)  # still
        _upload(folder, epath.Path(url), replaces)
        copy = caches / _name_of((folder / MANIFEST).read_bytes())
        if not copy.exists():
            folder.rename(copy)


def _upload(folder: Path, target: epath.Path, replaces: Sequence[str]) -> None:
    names = sorted(os.listdir(folder))
    with (
        _write_faults(target),
        tqdm(total=len(names), desc=f"writing {target}", unit="file", disable=None) as bar,
        ThreadPoolExecutor(_STREAMS) as pool,
    ):
        target.mkdir(parents=True, exist_ok=True)
        (target / MANIFEST).unlink(missing_ok=True)
        for path in [*target.iterdir()]:
            known = any(fnmatch.fnmatchcase(path.name, part) for part in replaces)
            if known and path.name not in names:
                path.unlink()

        def put(name: str) -> None:
            epath.Path(folder / name).copy(target / name, overwrite=True)
            bar.update()

        list(pool.map(put, [name for name in names if name != MANIFEST]))
        put(MANIFEST)


def _name_of(manifest: bytes) -> str:
    return hashlib.sha256(manifest).hexdigest()[:16]


def _copy_files(source: epath.Path, folder: Path, names: Iterable[str]) -> None:
    missing = [name for name in names if not (folder / name).exists()]
    with _read_faults(source):
        sizes = {name: (source / name).stat().length for name in missing}
    rest = f"the rest of the copy of {source}"
    require_room(folder, sum(sizes.values()), rest, "XDG_CACHE_HOME names another place")
    with (
        tqdm(
            total=sum(sizes.values()),
            desc=f"copying {source}",
            unit="B",
            unit_scale=True,
            disable=None if missing else True,
        ) as bar,
        ThreadPoolExecutor(_STREAMS) as pool,
    ):
        for _ in pool.map(lambda name: _copy(source / name, folder / name, bar), missing):
            pass


def _copy(source: epath.Path, path: Path, bar: tqdm) -> None:
    with contextlib.ExitStack() as stack:
        with _read_faults(source):
            read = stack.enter_context(source.open("rb"))
        aside = stack.enter_context(whole_file(path))
        written = stack.enter_context(aside.open("wb"))
        while True:
            with _read_faults(source):
                piece = read.read(_PIECE)
            if not piece:
                break
            written.write(piece)
            bar.update(len(piece))


@contextlib.contextmanager
def _read_faults(url: str | epath.Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as fault:
        raise BadInput(f"{fault.filename or fault} is missing on the store") from None
    except Exception as fault:  # each store's library has exceptions of its own
        reason = " ".join(str(fault).split()) or type(fault).__name__
        raise BadInput(f"{url} cannot be read: {reason}") from None


@contextlib.contextmanager
def _write_faults(url: epath.Path) -> Iterator[None]:
    try:
        yield
    except Exception as fault:  # each store's library has exceptions of its own
        reason = " ".join(str(fault).split()) or type(fault).__name__
        raise BadInput(f"{url} cannot be written: {reason}") from None


@contextlib.contextmanager
def _disk_faults(folder: Path, url: str) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise BadInput(f"{folder} cannot hold the copy of {url}: {reason(fault)}") from None
