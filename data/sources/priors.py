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


def read_priors(folder: str | os.PathLike[str], source: str = SOURCE) -> list[Take]:
    """List the takes of a store; motions are not read. The source is called so in the records.

    Their quality is low, since only the pose of the body is to be trusted, and their licence that
    of the films. The name of the film stands in the motion's file.

    Raises:
        BadInput: there is no store, or nothing in it can be used.
    """
    entries, _ = Store.open(folder).entries()
    takes = [take for entry in entries if (take := _take(entry, os.fspath(folder), source))]
    if not takes:
        raise BadInput(f"{folder} holds no reference that is good enough")
    return takes


def _take(entry: Entry, folder: str, source: str) -> Take | None:
    verdict, _ = entry.verdict
    try:
        results = [entry.result(stage) for stage in ("reference", "quality")]
        video = entry.result("video")
    except BadInput:
        return None
    reference, quality = results
    if not (reference and reference.file and quality and not quality.fault) or verdict == NO:
        return None
    if quality.facts["faults"]:
        return None
    texts = {entry.motion_text, entry.prompt.text} - {entry.prompt.text}
    return Take(
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
