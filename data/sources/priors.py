"""A priors folder as the synthetic-video source of a dataset: motions read of films of sentences.

A take is the reading of a film that was good enough and that no judge found to show something else.
"""

import os
from functools import partial

from data.priors.store import NO, Entry, Store
from data.sources.captioned import read_part
from data.sources.take import ANY, Take
from vimogen_jax.errors import BadInput

SOURCE = "synthetic_video"


def read_priors(
    folder: str | os.PathLike[str], source: str = SOURCE
) -> tuple[list[Take], list[str]]:
    """The takes of a store, and a sentence on each entry that is damaged; motions are not read.

    Their quality is low, since only the pose of the body is to be trusted, and their licence that
    of the films. The name of the film stands in the motion's file, `source` in the records.

    Raises:
        BadInput: there is no store, or nothing in it can be used.
    """
    entries, faults = Store.open(folder).entries()
    takes = []
    for entry in entries:
        try:
            takes += _take(entry, os.fspath(folder), source)
        except BadInput as fault:
            faults.append(str(fault))
    if not takes:
        raise BadInput(f"{folder} holds no reference that is good enough")
    return takes, faults


def _take(entry: Entry, folder: str, source: str) -> list[Take]:
    """The take of an entry, if it is one; raises BadInput where a result is damaged."""
    verdict, _ = entry.verdict
    video, reference, quality = map(entry.result, ("video", "reference", "quality"))
    if not (reference and reference.file and quality and not quality.fault) or verdict == NO:
        return []
    if quality.facts["faults"]:
        return []
    texts = {entry.motion_text, entry.prompt.text} - {entry.prompt.text}
    take = Take(
        id=f"{source}/{entry.prompt.id}",
        caption=entry.prompt.text,
        source=source,
        licence=str(video.facts["licence"]) if video else "unknown",
        path=reference.file,
        read=partial(read_part, reference.file, 0.0, None, ANY, None),
        quality="low",
        origin=f"{folder}, prompt {entry.prompt.name}",
        wordings=tuple(texts),
    )
    return [take]
