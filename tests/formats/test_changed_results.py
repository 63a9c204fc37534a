"""What other programs leave of a person, changed in one place: read, or refused in one sentence."""

import copy
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.film_results import WRITERS
from tests.helpers.made_up import made_up_motion
from vimogen_jax import formats
from vimogen_jax.errors import BadInput
from vimogen_jax.formats import World, pickles
from vimogen_jax.formats.look import _KEYS, _find, _wanted

GONE = object()
# What an array, or a dictionary of them, may be instead.
ANYTHING = [GONE, None, 0, float("nan"), "text", [], {}, [None], np.zeros(0), np.zeros((3, 3))]
ARRAYS = [
    *(lambda a: a[:0], lambda a: a[:1], lambda a: a[:-1], lambda a: a[..., :-1], np.ravel),
    *(np.transpose, lambda a: a[None], lambda a: a[..., None], lambda a: a[::-1]),
    *(lambda a: a * np.nan, lambda a: a * 1e300, lambda a: a * 0.0, lambda a: a + 2.0**62),
    *(partial(np.ndarray.astype, dtype=kind) for kind in (str, object, complex, bool, np.int8)),
]


def content_of(path: Path) -> Any:
    match path.suffix:
        case ".pt":
            return pickles.read_pt(path)
        case ".pkl":
            return pickles.read_pickle(path)
        case ".npy":
            return pickles.read_npy(path).item()
    return pickles.read_pickled_npz(path, _KEYS)


def changed(content: Any) -> Iterator[Any]:
    """The content with one value after the other, at every depth, replaced."""
    places = [(content, key) for key in content] if isinstance(content, dict) else []
    for holder, key in places:
        value = holder[key]
        makers = ARRAYS if isinstance(value, np.ndarray) and value.ndim else []
        for other in [*ANYTHING, *(make(value) for make in makers)]:
            holder[key] = other
            if other is GONE:
                del holder[key]
            yield copy.deepcopy(content)
            holder[key] = value
        for inner in changed(value):
            yield copy.deepcopy(content) | {key: inner}


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value", "ignore:divide by zero")
@pytest.mark.parametrize("program", WRITERS)
def test_every_change_is_read_or_refused(program, tmp_path):
    path = WRITERS[program](tmp_path, made_up_motion("turn", np.random.default_rng(0), 6))
    path = min(path.iterdir()) if path.is_dir() else path
    told = set()
    for content in changed(content_of(path)):
        for view in ("world", "camera"):
            world = World(fps=20.0, view=view)
            try:
                (found,) = _wanted(str(path), _find(str(path), content), world)
                motion = formats.to_motion(found, world)
            except BadInput as fault:
                told.add(str(fault))
            else:
                assert np.isfinite(motion.transl).all() and np.isfinite(motion.rotations).all()
    assert len(told) > 5 and all(each.startswith(str(path.parent)) for each in told)
