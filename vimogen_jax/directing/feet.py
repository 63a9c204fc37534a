"""Standing feet that stand: legs bent so that feet rest where they stand, and clear the floor else.

A foot stands where it is slow and low for some frames; it is held then at their mean place. Between
two such stands its corrections pass into each other, and where it moves it is lifted off the floor.
Only legs bend, by inverse kinematics of two bones: the pelvis keeps its path, ankles how they are
turned. All motions of a batch are bent at once, by a jitted, differentiable program.
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

SLOW = 0.6  # metres a second, below which a foot may stand
LOW = 0.1  # metres over the floor, the same
STEPS = 2  # from frame to frame, that a stand has at least
DRIFT = 0.12  # metres that a foot which stands may come off its place, else it slides on purpose
CLEAR = 0.025  # metres over the floor that a moving foot is lifted to
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
    slow, floor = np.ones(count, np.float32), np.zeros(count, np.float32)
    for i, (motion, wanted) in enumerate(zip(motions, goals, strict=True)):
        length = motion.num_frames
        rotations[i, :length], transl[i, :length] = motion.rotations, motion.transl
        real[i, :length], slow[i] = True, SLOW / motion.fps
        if wanted is None:
            floor[i] = motion.joints()[..., 2].min()
        else:
            set_of = np.asarray(wanted.turned | wanted.placed.any(-1))
            firm[i, :length] = set_of[:, LEGS].any(-1)
    with jax.default_matmul_precision("highest"):
        turned = np.array(_planted(rotations, transl, real, firm, slow, floor))
    return [
        Motion(turned[i, : motion.num_frames], np.asarray(motion.transl), motion.fps)
        for i, motion in enumerate(motions)
    ]


@jax.jit
@jax.vmap
def _planted(
    rotations: Float[Array, "t 22 3 3"],
    transl: Float[Array, "t 3"],
    real: Bool[Array, " t"],
    firm: Bool[Array, "t 2"],
    slow: Float[Array, ""],
    floor: Float[Array, ""],
) -> Float[Array, "t 22 3 3"]:
    """The rotations of a motion with its feet cleaned; slow in metres a frame."""
    turned, joints = forward_kinematics(rotations, transl)
    for side, leg in enumerate(LEGS):
        foot, fixed = joints[:, FEET[side]], firm[:, side]
        change = _change(foot, foot[:, 2] - floor, real, fixed, slow)
        rotations = _bent(rotations, turned, joints, leg, change)
    return rotations


def _change(
    foot: jax.Array, height: jax.Array, real: jax.Array, firm: jax.Array, slow: jax.Array
) -> jax.Array:
    """By how much a foot [t 3] moves in each frame."""
    frames = len(foot)
    fast = jnp.sum(jnp.square(jnp.diff(foot, axis=0)), axis=-1) > slow**2
    stands = ~fast & (jnp.minimum(height[1:], height[:-1]) < LOW) & real[1:]
    begins = stands & ~jnp.concatenate([jnp.zeros(1, bool), stands[:-1]])
    stand = jnp.where(stands, jnp.cumsum(begins), 0)  # of each step, numbered from 1
    total = functools.partial(jax.ops.segment_sum, num_segments=frames + 1)
    stand = jnp.where(total(stands.astype(int), stand)[stand] >= STEPS, stand, 0)
    nothing = jnp.zeros(1, stand.dtype)
    stand = jnp.maximum(jnp.append(stand, nothing), jnp.append(nothing, stand))  # of each frame
    place = _place(foot, stand, firm)
    place = place.at[:, 2].max(foot[:, 2] - height)  # the floor
    off = jnp.sqrt(jnp.square(foot - place).sum(-1))
    farthest = jax.ops.segment_max(off, stand, num_segments=frames + 1)[stand]
    stand = jnp.where(farthest < DRIFT, stand, 0)
    known = (stand > 0) | firm
    change = jnp.where(((stand > 0) & ~firm)[:, None], place - foot, 0.0)
    change = _between(change, known)
    lift = jnp.maximum(CLEAR - height - change[:, 2], 0.0)
    return change.at[:, 2].add(jnp.where(known, 0.0, lift))


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
