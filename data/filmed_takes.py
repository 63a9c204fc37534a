"""Takes of a dataset on film, and what motion capture reads of these."""

from collections.abc import Sequence
from pathlib import Path

from data.adapters.mocap.model import VideoToMotion
from data.beam import Beam
from data.curate import Capture
from data.result_cache import Cached
from data.workers import spread
from vimogen_jax import formats
from vimogen_jax.errors import BadInput
from vimogen_jax.motion.motion import Motion

READINGS = "readings"  # a folder beside the films


def film_name(id: str) -> str:
    """What the film of a take is called: its id, in which sources write slashes."""
    return f"{id.replace('/', '-')}.mp4"


def read_films(
    ids: Sequence[str], folder: Path, reader: VideoToMotion, workers: int | Beam
) -> tuple[dict[str, Motion], list[str]]:
    """What is read of the films of takes in a folder, by their ids, and why of others nothing is.

    What is read is kept beside the films, and not read again.

    Raises:
        BadInput: no take has a film there, or none shows a motion.
    """
    films = {folder / film_name(id): id for id in ids}
    films = {film: id for film, id in films.items() if film.is_file()}
    if not films:
        raise BadInput(f"{folder} holds no film of a take, such as {film_name(ids[0])}")
    kept = folder / READINGS
    kept.mkdir(exist_ok=True)
    motions, faults = dict[str, Motion](), list[str]()
    for done in spread(Cached(Capture(reader), kept), [*films], workers, "film", "read films"):
        if done.fault:
            faults.append(done.fault)
        else:
            motions[films[done.film]] = formats.read(done.files[0])
    if not motions:
        raise BadInput(f"no film of {folder} shows a motion: {faults[0]}")
    return motions, faults
