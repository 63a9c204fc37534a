"""Datasets that many machines write: each the records of some takes, a part, which then are joined.

A part lies in a folder that all machines see, under a hash of all that it was made from: its shards
and then, as JSON, what is to be known of it. So a part that is whole is not made again, and one
that two machines made is there once.
"""

import dataclasses
import hashlib
import itertools
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from etils import epath

from data import plain
from data.beam import Beam
from data.deal import deal, split_of
from data.prepare import Prepared, groups, prepare, with_texts
from data.sources.take import Take
from data.workers import spread
from vimogen_jax import __version__
from vimogen_jax.errors import BadInput
from vimogen_jax.files import read_text, whole_file, write_text
from vimogen_jax.input_pipeline.dataset import Shard, write_shard
from vimogen_jax.input_pipeline.records import Record
from vimogen_jax.motion.layouts import LAYOUTS
from vimogen_jax.text.encoder import load_text_encoder
from vimogen_jax.text.spec import EncoderSpec

if TYPE_CHECKING:
    from data.filmed import Filming  # with JAX, which machines that only read do without

TAKES = 1024  # of a part, all in the memory of the machine that writes it


# What became of each of some takes, without its channels; and by split a file in the folder of the
# parts, with what is to be known of it.
Part = tuple[list[Prepared], dict[str, tuple[str, Shard]]]
Asked = tuple[Sequence[Take], Mapping[str, Sequence[str]]]  # takes, and splits of some by their ids


@dataclasses.dataclass(frozen=True)
class PartWriter:
    """Writes parts to a folder, on whichever machine. The text encoder is loaded there."""

    folder: str
    encoder: EncoderSpec
    fps: float
    holdout: float
    keep_test: bool
    layout: str
    filming: "Filming | None" = None

    def __call__(self, asked: Asked) -> Part:
        """Write a part, where it is not there; raises BadInput where it cannot be written."""
        takes, given = asked
        folder = epath.Path(self.folder)
        key = hashlib.sha256(self._made_from(takes, given).encode()).hexdigest()[:32]
        try:
            outcomes, shards = plain.loads(read_text(folder / f"{key}.json"))
            if all((folder / file).exists() for file, _ in shards.values()):
                return outcomes, shards
        except (BadInput, ValueError, TypeError, AttributeError):  # not there, or damaged
            pass
        outcomes, records = self._records(takes, given)
        shards = {}
        with tempfile.TemporaryDirectory() as scratch:
            for split, some in records.items():
                file = f"{key}-{split}.array_record"
                shards[split] = file, write_shard(Path(scratch, file), some)
                with whole_file(folder / file) as aside:
                    epath.Path(scratch, file).copy(aside, overwrite=True)
        write_text(plain.dumps((outcomes, shards)), folder / f"{key}.json")
        return outcomes, shards

    def _made_from(self, takes: Sequence[Take], given: Mapping[str, Sequence[str]]) -> str:
        by = [*map(str, vars(self).values()), __version__]
        return plain.dumps([by, takes, dict(given), [_stamp(take.path) for take in takes]])

    def _records(
        self, takes: Sequence[Take], given: Mapping[str, Sequence[str]]
    ) -> tuple[list[Prepared], dict[str, list[Record]]]:
        layout = LAYOUTS[self.layout]
        prepared = [prepare(take, self.fps, self.keep_test, layout, self.filming) for take in takes]
        dealt = (
            (split, take, each)
            for take, each in zip(takes, prepared, strict=True)
            if each.channels is not None
            for split in given.get(take.id, [split_of(take, self.holdout)])
        )
        records = defaultdict[str, list[Record]](list)
        for split, record in with_texts(dealt, load_text_encoder(self.encoder)):
            records[split].append(record)
        written = [dataclasses.replace(each, channels=None, reading=None) for each in prepared]
        return written, records


def write_parts(takes: Sequence[Take], writer: PartWriter, beam: Beam) -> list[Part]:
    """Have all takes written, in parts of their order.

    Which takes are held out where the share alone would leave a split empty is known once all were
    read: the part with such a take is written again.
    """
    epath.Path(writer.folder).mkdir(parents=True, exist_ok=True)
    parts = list(groups(takes, TAKES))
    done = list(spread(writer, [(part, {}) for part in parts], beam, "part", "wrote parts"))
    outcomes = itertools.chain.from_iterable(outcomes for outcomes, _ in done)
    used = [take for take, each in zip(takes, outcomes, strict=True) if not each.dropped]
    given = _given(used, writer.holdout)
    due = [i for i, part in enumerate(parts) if any(take.id in given for take in part)]
    asked = [
        (parts[i], {take.id: given[take.id] for take in parts[i] if take.id in given}) for i in due
    ]
    for i, again in zip(due, spread(writer, asked, beam, "part", "wrote parts"), strict=True):
        done[i] = again
    return done


def _given(takes: Sequence[Take], share: float) -> dict[str, list[str]]:
    """The splits of the takes that are elsewhere than they would be if there were no others."""
    splits = defaultdict(list)
    for split, take, _ in deal(((take, None) for take in takes), share):
        splits[take.id].append(split)
    return {
        take.id: splits[take.id] for take in takes if splits[take.id] != [split_of(take, share)]
    }


def _stamp(path: Path) -> list[int]:
    try:
        found = path.stat()
    except OSError:
        return []
    return [found.st_size, found.st_mtime_ns]
