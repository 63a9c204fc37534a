"""Standing feet that stand: legs bent so that feet rest where they stand, and clear the floor else.

A foot stands where it is slow and low; it is held then at the mean place of those frames. Between
two such stands its corrections pass into each other, and where it moves it is lifted off the floor.
Only legs bend, by inverse kinematics of two bones: ankles keep how they are turned. Where no foot
stands, the pelvis does not surge ahead, which no leg could make it do. All motions of a batch are
cleaned at once, by a jitted, differentiable program.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from vimogen_jax.body.kinematics import forward_kinematics
from vimogen_jax.body.skeleton import FEET, JOINT_NAMES
from vimogen_jax.directing.goals import Goals
from vimogen_jax.motion.motion import Motion

SLOW = 0.8  # metres a second, below which a foot may stand
LOW = 0.15  # metres over the floor, the same
DRIFT = 0.2  # metres that a foot which stands may come off its place, else it slides on purpose
CLEAR = 0.025  # metres over the floor that a moving foot is lifted to
FLIGHT = 0.5  # seconds that a body is in the air at most, from stand to stand
STRAIGHTEST = 0.9995  # of its length that a leg is stretched to
BATCH, MULTIPLE = 16, 20  # of motions and frames, padded so that few programs compile
LEGS = np.array(
    [
        [JOINT_NAMES.index(f"{side}_{part}") for part in ("hip", "knee", "ankle", "foot")]
        for side in ("left", "right")
    ]
)


def clean_feet(
    motions: Sequence[Motion], goals: Sequence[Goals | None] | None = None
) -> list[Motion]:
    """The motions with feet that stand and clear the floor, which is at their lowest joint.

    goals: of each motion, then in their frame, with the floor at z = 0; legs stay as they are in
        frames where something of them is set.
    """
    given = [None] * len(motions) if goals is None else goals
    order = sorted(range(len(motions)), key=lambda i: motions[i].num_frames)
    cleaned: dict[int, Motion] = {}
    for start in range(0, len(order), BATCH):
        chosen = order[start : start + BATCH]
        made = _clean([motions[i] for i in chosen], [given[i] for i in chosen])
        cleaned |= dict(zip(chosen, made, strict=True))
    return [cleaned[i] for i in range(len(motions))]


def _clean(motions: list[Motion], goals: list[Goals | None]) -> list[Motion]:
    """A batch, padded by motions and frames that come to nothing."""
    longest = max(motion.num_frames for motion in motions)
    frames, count = -(-longest // MULTIPLE) * MULTIPLE, BATCH if len(motions) > 1 else 1
    rotations = np.tile(np.eye(3, dtype=np.float32), (count, frames, len(JOINT_NAMES), 1, 1))
    transl = np.zeros((count, frames, 3), np.float32)
    real = np.zeros((count, frames), bool)
    firm = np.zeros((count, frames, 2), bool)
    fps, floor = np.ones(count, np.float32), np.zeros(count, np.float32)
    free = np.zeros(count, bool)
    for i, (motion, wanted) in enumerate(zip(motions, goals, strict=True)):
        length = motion.num_frames
        rotations[i, :length], transl[i, :length] = motion.rotations, motion.transl
        real[i, :length], fps[i], free[i] = True, motion.fps, wanted is None
        if wanted is None:
            floor[i] = motion.joints()[..., 2].min()
        else:
            set_of = np.asarray(wanted.turned | wanted.placed.any(-1))
            firm[i, :length] = set_of[:, LEGS].any(-1)
    with jax.default_matmul_precision("highest"):
        bent, moved = map(np.array, _planted(rotations, transl, real, firm, free, fps, floor))
    return [
        Motion(bent[i, : motion.num_frames], moved[i, : motion.num_frames], motion.fps)
        for i, motion in enumerate(motions)
    ]


@jax.jit
@jax.vmap
def _planted(
    rotations: Float[Array, "t 22 3 3"],
    transl: Float[Array, "t 3"],
    real: Bool[Array, " t"],
    firm: Bool[Array, "t 2"],
    free: Bool[Array, ""],
    fps: Float[Array, ""],
    floor: Float[Array, ""],
) -> tuple[Float[Array, "t 22 3 3"], Float[Array, "t 3"]]:
    """The rotations and the path of a motion with its feet cleaned; its path stays unless free."""
    turned, joints = forward_kinematics(rotations, transl)
    carried = jnp.zeros(len(transl) - 1, bool)
    for side, leg in enumerate(LEGS):
        foot, fixed = joints[:, FEET[side]], firm[:, side]
        height = foot[:, 2] - floor
        stand = _stands(foot, height, real, SLOW / fps)
        place = _place(foot, stand, fixed).at[:, 2].max(floor)
        stand = jnp.where(_farthest(foot - place, stand) < DRIFT, stand, 0)
        carried |= (stand[1:] > 0) & (stand[1:] == stand[:-1])
        change = _change(foot, height, place, stand, fixed)
        rotations = _bent(rotations, turned, joints, leg, change)
    return rotations, jnp.where(free, _steadied(transl, carried, FLIGHT * fps), transl)


def _stands(foot: jax.Array, height: jax.Array, real: jax.Array, slow: jax.Array) -> jax.Array:
    """The stand that each frame of a foot [t 3] is of, numbered from 1; 0 where it is of none."""
    fast = jnp.sum(jnp.square(jnp.diff(foot, axis=0)), axis=-1) > slow**2
    stands = ~fast & (jnp.minimum(height[1:], height[:-1]) < LOW) & real[1:]
    begins = stands & ~jnp.concatenate([jnp.zeros(1, bool), stands[:-1]])
    stand = jnp.where(stands, jnp.cumsum(begins), 0)  # of each step
    nothing = jnp.zeros(1, stand.dtype)
    return jnp.maximum(jnp.append(stand, nothing), jnp.append(nothing, stand))


def _farthest(off: jax.Array, stand: jax.Array) -> jax.Array:
    """The length of the longest of vectors [t 3] of each frame's stand."""
    lengths = jnp.sqrt(jnp.square(off).sum(-1))
    return jax.ops.segment_max(lengths, stand, num_segments=len(stand) + 1)[stand]


def _change(
    foot: jax.Array, height: jax.Array, place: jax.Array, stand: jax.Array, firm: jax.Array
) -> jax.Array:
    """By how much a foot [t 3] moves in each frame."""
    known = (stand > 0) | firm
    change = jnp.where(((stand > 0) & ~firm)[:, None], place - foot, 0.0)
    change = _between(change, known)
    lift = jnp.maximum(CLEAR - height - change[:, 2], 0.0)
    return change.at[:, 2].add(jnp.where(known, 0.0, lift))


def _steadied(path: jax.Array, carried: jax.Array, longest: jax.Array) -> jax.Array:
    """The path [t 3] of a pelvis that in the air goes on as it left the ground, by and by as it
    comes to it again: nothing there can speed it up. Carried are the steps in which a foot stands.
    """
    steps = jnp.diff(path[:, :2], axis=0)
    before, after = _around(carried)
    flight = (before < after) & (after - before <= longest)
    even = jnp.where(flight[:, None], _passing(steps, before, after), steps)
    return path.at[1:, :2].add(jnp.cumsum(even - steps, axis=0))


def _place(foot: jax.Array, stand: jax.Array, firm: jax.Array) -> jax.Array:
    """Where a foot [t 3] is held in each frame: amid its stand, or where firm frames of that have
    it, so that it neither leaves them nor comes to them by a jump."""
    total = functools.partial(jax.ops.segment_sum, num_segments=len(stand) + 1)
    sums, counts = total(foot, stand), total(jnp.ones_like(foot), stand)
    before, after = _around(firm & (stand > 0))
    before = jnp.where(stand[before] == stand, before, after)
    after = jnp.where(stand[after] == stand, after, before)
    told = firm.any() & (stand[before] == stand)
    return jnp.where(told[:, None], _passing(foot, before, after), (sums / counts)[stand])


def _between(values: jax.Array, known: jax.Array) -> jax.Array:
    """Values [t 3] where they are known, and passing from one to the next where not."""
    return jnp.where(known.any(), _passing(values, *_around(known)), 0.0)


def _around(known: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The known frames before and after each, or twice the one that there is, -1 without any."""
    frame = jnp.arange(len(known))
    before = jax.lax.cummax(jnp.where(known, frame, -1))
    after = jax.lax.cummin(jnp.where(known, frame, len(known)), reverse=True)
    after = jnp.where(after == len(known), before, after)
    return jnp.where(before < 0, after, before), after


def _passing(values: jax.Array, before: jax.Array, after: jax.Array) -> jax.Array:
    """Values [t 3] that pass in each frame from that of one to that of another."""
    share = (jnp.arange(len(values)) - before) / jnp.maximum(after - before, 1)
    share = (share**2 * (3 - 2 * share))[:, None]
    return values[before] + share * (values[after] - values[before])


def _bent(
    rotations: jax.Array, turned: jax.Array, joints: jax.Array, leg: np.ndarray, change: jax.Array
) -> jax.Array:
    """The rotations with a leg bent so that its ankle and foot move by a change [t 3]."""
    hip, knee, ankle, _ = leg
    thigh, shin = joints[:, knee] - joints[:, hip], joints[:, ankle] - joints[:, knee]
    a, b = _length(thigh), _length(shin)
    way = joints[:, ankle] + change - joints[:, hip]
    ahead = way / _length(way)
    reach = jnp.clip(_length(way), abs(a - b) + 1e-3, STRAIGHTEST * (a + b))
    # The knee's axis; the thigh's own keeps it where the leg is all but straight.
    axis = jnp.cross(thigh, shin) / (a * b) + 0.01 * turned[:, hip, :, 0]
    axis = axis - (axis * ahead).sum(-1, keepdims=True) * ahead
    axis = axis / _length(axis)
    cosine = jnp.clip((a**2 + reach**2 - b**2) / (2 * a * reach), -1.0, 1.0 - 1e-7)
    upper = a * (cosine * ahead + jnp.sqrt(1 - cosine**2) * jnp.cross(ahead, axis))
    at_hip = _least_rotation(thigh, upper) @ turned[:, hip]
    at_knee = _least_rotation(shin, reach * ahead - upper) @ turned[:, knee]
    back = lambda matrices: jnp.swapaxes(matrices, -1, -2)
    new = (
        rotations.at[:, hip]
        .set(back(turned[:, 0]) @ at_hip)
        .at[:, knee]
        .set(back(at_hip) @ at_knee)
        .at[:, ankle]
        .set(back(at_knee) @ turned[:, ankle])
    )
    moved = jnp.square(change).sum(-1) > 1e-12
    return jnp.where(moved[:, None, None, None], new, rotations)


def _least_rotation(one: jax.Array, other: jax.Array) -> jax.Array:
    """The rotations [t 3 3] by the smallest angles from directions [t 3] to others."""
    one, other = one / _length(one), other / _length(other)
    x, y, z = jnp.moveaxis(jnp.cross(one, other), -1, 0)
    nil = jnp.zeros_like(x)
    cross = jnp.stack([nil, -z, y, z, nil, -x, -y, x, nil], axis=-1).reshape(-1, 3, 3)
    share = 1 / (1 + (one * other).sum(-1))
    return jnp.eye(3) + cross + share[:, None, None] * cross @ cross


def _length(vectors: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.square(vectors).sum(-1, keepdims=True) + 1e-12)
