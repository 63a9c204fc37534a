"""Work on many items, spread over processes or by Beam, and results of films that are kept.

A result lies under a hash of the film and of all else that it was made from, written whole: so
work that was stopped goes on, and none is done twice.
"""

import contextlib
import dataclasses
import hashlib
import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tqdm import tqdm

from data.beam import Beam
from vimogen_jax.errors import BadInput
from vimogen_jax.files import inside, read_json, reason, write_json
from vimogen_jax.mocap.film import sha256
from vimogen_jax.stopping import unheard_by_children

Item = TypeVar("Item")
Result = TypeVar("Result")

AT_ONCE = 512  # items; or quick processes would fill the memory before a slow reader


def spread(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int | Beam,
    unit: str,
    work: str,
) -> Generator[Result]:
    """Call a function on all items; the results in their order.

    Args:
        workers: how many processes of this machine share the items, or the Beam that spreads them.
        unit: of the progress bar.
        work: what processes did, for the sentence on one that was killed.

    Raises:
        BadInput: a process was killed or the pipeline failed; or what the function raises.
    """
    bar: Callable[[Iterable], Iterable] = lambda results: tqdm(
        results, f"{unit}s", len(items), unit=unit, disable=None
    )
    if isinstance(workers, Beam) or workers == 1:
        called = workers(function, items) if isinstance(workers, Beam) else map(function, items)
        yield from bar(called)
        return
    # Spawned, not forked: libraries have started threads in this process.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _begin) as pool:
        with unheard_by_children():
            pool.submit(int)  # upon which they start
        groups = (items[first : first + AT_ONCE] for first in range(0, len(items), AT_ONCE))
        try:
            yield from bar(
                result for group in groups for result in pool.map(function, group, chunksize=8)
            )
        except BrokenProcessPool:
            raise BadInput(
                f"a process that {work} was killed, as happens where memory runs out; fewer at "
                "once need less",
                remedy="workers",
            ) from None


def _begin() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # As many processes as cores: each computes with one thread.
    os.environ.setdefault(
        "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    )


def _end_with_parent() -> None:
    # However that ends: else this process would wait for more to do for ever.
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


class Step(Protocol):
    """What is done with each film; it is sent to other processes."""

    def made_from(self, film: Path) -> Mapping[str, Any]:
        """All that the result depends on beside the film's content."""
        ...

    def __call__(self, film: Path, sha256: str, out: Path) -> tuple[dict[str, Any], list[Path]]:
        """Facts on a film, as JSON can hold them, and the files that were written of it, whole.

        They lie beside `out`, which has no extension, and their names begin with its name.

        Raises:
            BadInput: the film is at fault.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Done:
    """What a step found of a film.

    Attributes:
        sha256: of the film; "" where it cannot be read.
        facts: of the step.
        fault: a sentence where the film is at fault; else "".
        files: that the step wrote.
    """

    film: Path
    sha256: str
    facts: dict[str, Any]
    fault: str
    files: tuple[Path, ...]


@dataclasses.dataclass(frozen=True)
class Keeping:
    """A step whose results are kept in a folder: what is there already is not done again."""

    step: Step
    folder: Path

    def __call__(self, film: Path) -> Done:
        """The result of a film; raises BadInput where it cannot be written."""
        try:
            content = sha256(film)
        except OSError as fault:
            return Done(film, "", {}, f"{film} cannot be read: {reason(fault)}", ())
        made_from = dict(self.step.made_from(film)) | dict(film=content)
        key = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:32]
        kept = self.folder / f"{key}.json"
        said: Any = None
        with contextlib.suppress(BadInput):  # damaged: done again
            said = read_json(kept)
        if not self._sound(said, made_from):
            said = dict(made_from=made_from, facts={}, fault="", files=[])
            try:
                said["facts"], files = self.step(film, content, self.folder / key)
                said["files"] = [file.name for file in files]
            except BadInput as fault:
                if f"{self.folder / key}" in str(fault):  # the disk is at fault, not the film
                    raise
                said["fault"] = str(fault)
            write_json(said, kept)
        files = tuple(self.folder / name for name in said["files"])
        return Done(film, content, said["facts"], said["fault"], files)

    def _sound(self, said: Any, made_from: Mapping[str, Any]) -> bool:
        """Whether what a file says is a whole result."""
        with contextlib.suppress(BadInput, KeyError, TypeError):
            files = [inside(self.folder, name) for name in said["files"]]
            return (
                said.keys() == {"made_from", "facts", "fault", "files"}
                and said["made_from"] == json.loads(json.dumps(made_from))
                and isinstance(said["facts"], dict)
                and isinstance(said["fault"], str)
                and all(file.exists() for file in files)
            )
        return False
