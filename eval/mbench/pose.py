"""The two dimensions of bodies: pose quality by NRDF, and how far a body runs through itself.

What takes long is kept beside the report as soon as it is known, by a hash of all that it was
computed from: an interrupted run goes on there, and one that changed nothing computes nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from tqdm import tqdm

from eval.bodies import Bodies
from eval.mbench.dimensions import Dimension, Score, Scored
from eval.mbench.inputs import Clip
from eval.mbench.prompts import Prompt
from vimogen_jax import __version__
from vimogen_jax.body.mesh import Body, builtin_body
from vimogen_jax.convert.nrdf import NEEDED
from vimogen_jax.errors import BadInput
from vimogen_jax.files import read_json, write_json
from vimogen_jax.metrics.nrdf import NRDF, pose_distance, pose_quality
from vimogen_jax.metrics.penetration import penetration
from vimogen_jax.models.parameters import fingerprint
from vimogen_jax.motion.motion import Motion

Measure = Callable[[Sequence[Motion]], Iterable[float]]


class Kept:
    """Values by what they were computed from, in a JSON file that has each as soon as it is known.

    Raises:
        BadInput: there is such a file, but it holds something else.
    """

    def __init__(self, path: Path):
        self._path = path
        self.values: dict[str, float] = {}
        if not path.is_file():
            return
        try:
            self.values = {key: float(x) for key, x in read_json(path).items()}
        except (ValueError, TypeError, AttributeError):
            raise BadInput(f"{path} holds no values; without it they are computed anew") from None

    def keep(self, key: str, value: float) -> None:
        self.values[key] = value
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.values, self._path)


def pose_dimensions(
    bodies: Bodies,
    kept: Kept,
    nrdf: NRDF | None = None,
    mesh: Body | None = None,
    as_released: bool = False,
) -> tuple[Dimension, ...]:
    """Pose quality and body penetration, both of the poses that `bodies` finds.

    Args:
        nrdf: with its published weights; without it pose quality only says what it needs.
        mesh: a licensed body; without it the built-in one takes its place.
        as_released: hand NRDF the joints that the release hands it, shifted by one.
    """
    return _pose_quality(bodies, kept, nrdf, as_released), _body_penetration(bodies, kept, mesh)


def _pose_quality(bodies: Bodies, kept: Kept, nrdf: NRDF | None, as_released: bool) -> Dimension:
    name, unit = "pose_quality", "NRDF × 10"
    if nrdf is None:
        return Dimension(name, name, None, unit, note=f"{NEEDED}; give them as --nrdf")
    weights = {str(i): leaf for i, leaf in enumerate(jax.tree.leaves(nnx.state(nrdf)))}
    how = " as released" if as_released else ""
    source = f"{name} {__version__} {fingerprint(weights)[:16]}{how}"
    measure = lambda motions: nrdf_values(nrdf, motions, as_released)
    return Dimension(name, name, by_poses(measure, source, bodies, kept), unit, note=_poses(bodies))


def _body_penetration(bodies: Bodies, kept: Kept, mesh: Body | None) -> Dimension:
    body = mesh or builtin_body()
    arrays = {"vertices": body.vertices, "faces": body.faces, "weights": body.weights}
    source = f"body_penetration {__version__} {fingerprint(arrays)[:16]}"
    of = (
        f"of the given mesh of {len(body.faces):,} triangles (the release's, SMPL, has 13,776)"
        if mesh
        else "of the built-in body: compares only with other built-in figures"
    )
    measure = lambda motions: percentages(body, motions)
    score = by_poses(measure, source, bodies, kept)
    return Dimension("body_penetration", "pose_quality", score, "%", note=f"{of}; {_poses(bodies)}")


def _poses(bodies: Bodies) -> str:
    return (
        "all poses are fitted to joints"
        if bodies.from_joints
        else "poses are fitted to joints where a file has no others"
    )


def by_poses(measure: Measure, source: str, bodies: Bodies, kept: Kept) -> Score:
    """A score from what is measured of poses.

    source: what it is measured with; it changes with whatever changes the values.
    """

    def score(clips: Sequence[Clip], prompts: Sequence[Prompt] = ()) -> Scored:
        keys = [f"{source} {bodies.fingerprint(clip)}" for clip in clips]
        new = {k: clip for k, clip in zip(keys, clips, strict=True) if k not in kept.values}
        if new:
            for key, value in zip(new, measure(bodies(list(new.values()))), strict=True):
                kept.keep(key, value)
        return Scored(np.array([kept.values[key] for key in keys]))

    return score


def nrdf_values(nrdf: NRDF, motions: Sequence[Motion], as_released: bool = False) -> list[float]:
    """The pose quality of each motion; all frames go through the network at once."""
    rotations = np.concatenate([motion.rotations for motion in motions]).astype(np.float32)
    distances = pose_distance(nrdf, jnp.asarray(rotations), as_released=as_released)
    ends = np.cumsum([motion.num_frames for motion in motions])
    return [float(pose_quality(each)) for each in jnp.split(distances, ends[:-1])]


def percentages(body: Body, motions: Sequence[Motion]) -> Iterator[float]:
    """The body penetration of each motion, the mean of its frames."""
    for motion in tqdm(motions, "body penetration", unit="motion", disable=None, leave=False):
        rotations = np.asarray(motion.rotations, np.float32)
        pelvis = np.asarray(motion.transl, np.float32)  # wherever it is
        yield float(penetration(body.pose(rotations, pelvis), body.faces).mean())
