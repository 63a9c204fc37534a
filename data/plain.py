"""What machines of a cluster hand to each other, as JSON and back.

Only what `KNOWN` lists comes of it, so whoever can write such a file can name nothing else to run,
as they could in a pickle.
"""

import dataclasses
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from data.augment import MirroredReader
from data.prepare import Prepared
from data.result_cache import Done
from data.sources.captioned import read_part
from data.sources.humanml3d import read_clip, read_features
from data.sources.take import Take
from data.sources.vimogen import read_channels
from vimogen_jax.errors import BadInput
from vimogen_jax.files import parse_json
from vimogen_jax.formats import World
from vimogen_jax.formats.retarget import Skeleton
from vimogen_jax.input_pipeline.dataset import Shard
from vimogen_jax.input_pipeline.records import FilmSegment

CLASSES = {
    each.__name__: each
    for each in (Done, FilmSegment, MirroredReader, Prepared, Shard, Skeleton, Take, World)
}
READERS = {each.__name__: each for each in (read_part, read_clip, read_features, read_channels)}


def dumps(value: Any) -> str:
    """Plain values, lists, tuples, dicts, paths, arrays, and what is known; TypeError of others.

    Raises:
        BadInput: a name of a file is no text.
    """
    text = json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError as fault:
        name = repr(text[fault.start - 40 : fault.end])
        raise BadInput(f"{name} is no text, so machines cannot hand it to each other") from None
    return text


def loads(text: str) -> Any:
    """What `dumps` was given; raises BadInput where the text says anything else."""
    value = parse_json(text)
    try:
        return _object(value)
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        raise BadInput(f"what a machine handed back is damaged: {fault}") from None


def _plain(value: Any) -> Any:
    """What is not plain is an object of one key, its kind."""
    known = CLASSES.get(type(value).__name__) is type(value)
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list():
            return [_plain(each) for each in value]
        case dict():
            return {"dict": [[_plain(key), _plain(each)] for key, each in value.items()]}
        case Path():
            return {"path": str(value)}
        case np.ndarray():
            return {"array": [str(value.dtype), value.tolist()]}
        case partial(func=function) if READERS.get(function.__name__) is function:
            return {"reader": [function.__name__, _plain(value.args), _plain(value.keywords)]}
        case FilmSegment():
            return {"FilmSegment": _fields(value._asdict())}
        case tuple():
            return {"tuple": [_plain(each) for each in value]}
        case _ if known:
            names = (field.name for field in dataclasses.fields(value))
            return {type(value).__name__: _fields({name: getattr(value, name) for name in names})}
    raise TypeError(f"{type(value).__name__} is nothing that machines hand to each other")


def _fields(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in values.items()}


def _object(value: Any) -> Any:
    if isinstance(value, list):
        return [_object(each) for each in value]
    if not isinstance(value, dict):
        return value
    ((kind, said),) = value.items()
    match kind:
        case "dict":
            return {_object(key): _object(each) for key, each in said}
        case "path":
            return Path(said)
        case "array":
            return np.array(said[1], said[0])
        case "tuple":
            return tuple(map(_object, said))
        case "reader":
            name, words, more = said
            return partial(READERS[name], *_object(words), **_object(more))
    return CLASSES[kind](**{name: _object(each) for name, each in said.items()})
