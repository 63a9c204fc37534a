"""Work on many items spread over the machines of a cluster by Apache Beam.

Each result is written under the number of its item to a folder that all machines see, whole: what
Beam does twice, as after a machine is lost, is there once, and results come in the items' order.
Items and results lie there as JSON, so whoever can write there can hand over wrong ones, but no
code. What is called travels in the pipeline, as Beam sends it.
"""

import dataclasses
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from etils import epath

from data import plain
from vimogen_jax.errors import BadInput
from vimogen_jax.files import first_line, read_text, write_text

CHUNK = 2**20  # characters of a file of items, that the description of the pipeline stays small
_PATIENCE = 0.1  # seconds between looks for a result
_HANDED = re.compile("[0-9a-f]{16}")  # a folder of what the machines of a pipeline hand over


@dataclasses.dataclass(frozen=True)
class Beam:
    """Calls functions of and to what `plain` knows by Beam pipelines.

    Attributes:
        folder: that all machines see, on a disk or a store; what is written there goes again.
        options: Beam's own, such as `--runner=FlinkRunner`; without any it runs in this process.
    """

    folder: str
    options: Sequence[str] = ()

    def __call__(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        """The results of a function for all items, in their order, as soon as they are there.

        Raises:
            BadInput: the pipeline failed; or what the function raises.
        """
        folder = epath.Path(self.folder) / secrets.token_hex(8)
        folder.mkdir(parents=True)
        try:
            chunks = _write_items(items, folder)
            pipeline = _Pipeline(function, folder, chunks, self.options)
            pipeline.start()
            for number in range(len(items)):
                yield pipeline.result(number)
            pipeline.join()
        finally:
            folder.rmtree(missing_ok=True)

    def clear(self) -> None:
        """Remove what runs that were killed have left; none of the folder may be under way."""
        for left in epath.Path(self.folder).iterdir():
            if _HANDED.fullmatch(left.name):
                left.rmtree(missing_ok=True)


class _Pipeline(threading.Thread):
    """A pipeline that runs beside whoever waits for its results, and ends with the process."""

    def __init__(
        self,
        function: Callable[[Any], Any],
        folder: epath.Path,
        chunks: int,
        options: Sequence[str],
    ):
        super().__init__(daemon=True)
        self._function, self._folder = function, folder
        self._chunks, self._options = chunks, options
        self._fault: Exception | None = None

    def run(self) -> None:
        """See `threading.Thread`."""
        import apache_beam as beam  # pyright: ignore[reportMissingImports]
        from apache_beam.options import (  # pyright: ignore[reportMissingImports]
            pipeline_options,
        )

        try:
            options = pipeline_options.PipelineOptions([*self._options])
            with beam.Pipeline(options=options) as pipeline:
                _ = (
                    pipeline
                    | "chunks" >> beam.Create(range(self._chunks))
                    | "items" >> beam.FlatMap(partial(_read_items, self._folder))
                    | "spread" >> beam.Reshuffle()
                    | "work" >> beam.Map(partial(_work, self._function, self._folder))
                )
        except Exception as fault:  # each runner has exceptions of its own
            self._fault = fault

    def result(self, number: int) -> Any:
        """The result of an item, waited for; raises BadInput where it or the pipeline failed."""
        path = self._folder / f"{number}"
        while not path.exists():
            if not self.is_alive() and not path.exists():
                said = first_line(self._fault) if self._fault else "it ended without all results"
                raise BadInput(f"the Beam pipeline failed: {said}") from self._fault
            time.sleep(_PATIENCE)
        found = plain.loads(read_text(path))
        path.unlink()
        if "fault" in found:
            raise BadInput(found["fault"], found["remedy"])
        return found["result"]


def _write_items(items: Sequence[Any], folder: epath.Path) -> int:
    """Write the items with their numbers, a line each, to files; how many of these there are."""
    chunks, lines, size = 0, list[str](), 0
    for number, item in enumerate(items):
        lines.append(f"{number} {plain.dumps(item)}")
        size += len(lines[-1])
        if size >= CHUNK or number == len(items) - 1:
            write_text("\n".join(lines), folder / f"items-{chunks}")
            chunks, lines, size = chunks + 1, [], 0
    return chunks


def _read_items(folder: epath.Path, chunk: int) -> list[str]:
    return read_text(folder / f"items-{chunk}").split("\n")


def _work(function: Callable[[Any], Any], folder: epath.Path, line: str) -> None:
    number, _, item = line.partition(" ")
    try:
        found = dict(result=function(plain.loads(item)))
    except BadInput as fault:  # Beam would try again, and then tell it in its own words
        found = dict(fault=str(fault), remedy=fault.remedy)
    write_text(plain.dumps(found), folder / number)
