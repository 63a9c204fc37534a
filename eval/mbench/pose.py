"""The two dimensions of bodies: pose quality by NRDF, and how far a body runs through itself."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from tqdm import tqdm

from eval.bodies import Bodies
from eval.mbench.dimensions import Dimension, Score, Scored
from eval.mbench.prompts import MBenchPrompt
from eval.score_cache import ScoreCache
from eval.systems import Clip
from vimogen_jax import __version__
from vimogen_jax.body.mesh import Body, builtin_body
from vimogen_jax.convert.nrdf import NEEDED
from vimogen_jax.metrics.nrdf import NRDF, pose_distance, pose_quality
from vimogen_jax.metrics.penetration import penetration
from vimogen_jax.models.parameters import fingerprint
from vimogen_jax.motion.motion import Motion

Measure = Callable[[Sequence[Motion]], Iterable[float]]


def pose_dimensions(
    bodies: Bodies,
    cache: ScoreCache,
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
    return _pose_quality(bodies, cache, nrdf, as_released), _body_penetration(bodies, cache, mesh)


def _pose_quality(
    bodies: Bodies, cache: ScoreCache, nrdf: NRDF | None, as_released: bool
) -> Dimension:
    name, unit = "pose_quality", "NRDF × 10"
    if nrdf is None:
        return Dimension(name=name, unit=unit, category=name, score=None, note=NEEDED)
    weights = {str(i): leaf for i, leaf in enumerate(jax.tree.leaves(nnx.state(nrdf)))}
    how = " as released" if as_released else ""
    source = f"{name} {__version__} {fingerprint(weights)[:16]}{how}"
    measure = lambda motions: nrdf_values(nrdf, motions, as_released)
    score = by_poses(measure, source, bodies, cache)
    return Dimension(name=name, unit=unit, category=name, score=score, note=_poses(bodies))


def _body_penetration(bodies: Bodies, cache: ScoreCache, mesh: Body | None) -> Dimension:
    body = mesh or builtin_body()
    arrays = {"vertices": body.vertices, "faces": body.faces, "weights": body.weights}
    name = "body_penetration"
    source = f"{name} {__version__} {fingerprint(arrays)[:16]}"
    of = (
        f"of the given mesh of {len(body.faces):,} triangles (the release's, SMPL, has 13,776)"
        if mesh
        else "of the built-in body: compares only with other built-in figures"
    )
    measure = lambda motions: percentages(body, motions)
    score = by_poses(measure, source, bodies, cache)
    note = f"{of}; {_poses(bodies)}"
    return Dimension(name=name, unit="%", category="pose_quality", score=score, note=note)


def _poses(bodies: Bodies) -> str:
    return (
        "all poses are fitted to joints"
        if bodies.from_joints
        else "poses are fitted to joints where a file has no others"
    )


def by_poses(measure: Measure, source: str, bodies: Bodies, cache: ScoreCache) -> Score:
    """A score from what is measured of poses.

    source: what it is measured with; it changes with whatever changes the values.
    """

    def score(clips: Sequence[Clip], prompts: Sequence[MBenchPrompt] = ()) -> Scored:
        keys = [f"{source} {bodies.fingerprint(clip)}" for clip in clips]
        new = {k: clip for k, clip in zip(keys, clips, strict=True) if k not in cache.values}
        if new:
            for key, value in zip(new, measure(bodies(list(new.values()))), strict=True):
                cache.add(key, value)
        return Scored(np.array([cache.values[key] for key in keys]))

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
