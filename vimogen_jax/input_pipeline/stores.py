"""A dataset on an object store (`gs://`, `s3://`), copied once to a disk of this host.

Training reads single records at random, thousands of them a minute, which a disk serves and a
store does not: where the disk is too small, `remote` reads them. The copy lies among the user's
caches, under the hash of the dataset's manifest.
"""

import contextlib
import hashlib
from collections.abc import Iterable, Iterator
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
    folder = cache_folder("datasets") / hashlib.sha256(content).hexdigest()[:16]
    with _disk_faults(folder, url):
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            _copy_files(source, folder, file_names(manifest) if with_shards else manifest["crc32"])
            with whole_file(folder / MANIFEST) as aside:
                aside.write_bytes(content)
    return folder


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
def _disk_faults(folder: Path, url: str) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise BadInput(f"{folder} cannot hold the copy of {url}: {reason(fault)}") from None
