"""The body fitted to the landmarks of all frames together (after SMPLify, Bogo et al. 2016).

A first guess points every bone as the 3D landmarks do. Then gradient descent improves all frames
at once: the body's markers shall be seen where the landmarks are, lie around the hips as the 3D
landmarks do (trusted less, and least in depth), in poses that people take, moving smoothly, with
feet that stand where they stand. Joints are turned as joints are that lie so (`lifter.py`), which
is asked again as the fit goes on. Long films are fitted in windows that overlap and are blended.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float

from vimogen_jax.body.inverse_kinematics import fit_rotations, nearest_rotations
from vimogen_jax.body.kinematics import forward_kinematics
from vimogen_jax.body.rotations import matrix_to_rot6d, rot6d_to_matrix
from vimogen_jax.body.skeleton import JOINT_NAMES, NUM_JOINTS, REST_JOINTS
from vimogen_jax.metrics.body_fit import PosePrior, cost_of_pose
from vimogen_jax.mocap.lifter import Lifter
from vimogen_jax.mocap.tracking import Track

WINDOW, OVERLAP = 128, 24  # frames
AT_ONCE = 8  # windows that are fitted together: so the memory does not grow with the film
ROUNDS, STEPS = 3, 100  # in each round
LEARNING_RATE = 0.02  # radians or metres a step, falling to 0 in each round


class Pinhole(NamedTuple):
    """A pinhole camera that looks along its z axis, x to its right, y down.

    focal: in pixels; centre: of the picture, in pixels.
    """

    focal: float
    centre: tuple[float, float]


class CostWeights(NamedTuple):
    """Of the terms of the cost, against the squared distance of the picture in centimetres."""

    world: float = 0.3  # of the 3D landmarks
    depth: float = 0.3  # of their depth, times `world`
    prior: float = 2.0  # of the pose's unlikeliness
    lifted: float = 7.5  # of the rotations' squared distance from those expected, over its mean
    acceleration: float = 200.0  # of the rotations' second difference, at 20 frames a second
    path: float = 2.0  # of the pelvis'
    feet: float = 1.0  # of a foot that moves, at most; a foot that stands costs nothing


WEIGHTS = CostWeights()

# Landmark (of BlazePose's 33), the joint that carries its marker.
MARKERS = {
    0: "head",
    7: "head",
    8: "head",
    11: "left_shoulder",
    12: "right_shoulder",
    13: "left_elbow",
    14: "right_elbow",
    15: "left_wrist",
    16: "right_wrist",
    19: "left_wrist",
    20: "right_wrist",
    23: "left_hip",
    24: "right_hip",
    25: "left_knee",
    26: "right_knee",
    27: "left_ankle",
    28: "right_ankle",
    29: "left_ankle",
    30: "right_ankle",
    31: "left_foot",
    32: "right_foot",
}
LANDMARKS = np.array(list(MARKERS))
JOINTS = np.array([JOINT_NAMES.index(name) for name in MARKERS.values()])
_HIPS = [list(MARKERS).index(23), list(MARKERS).index(24)]
_FEET = [
    JOINT_NAMES.index(f"{side}_{name}") for side in ("left", "right") for name in ("ankle", "foot")
]


def fit(
    track: Track,
    fps: float,
    camera: Pinhole,
    offsets: Float[np.ndarray, "m 3"],
    prior: PosePrior,
    lifter: Lifter,
    weights: CostWeights = WEIGHTS,
) -> tuple[Float[np.ndarray, "t 22 3 3"], Float[np.ndarray, "t 3"]]:
    """Fit the body to a track without cuts.

    Frames in which nobody was found are carried over by the smoothness of the others.

    Args:
        offsets: of the m markers from their joints.
        prior: of poses.
        lifter: tells how joints are turned.
        weights: of the cost's terms.

    Returns:
        Rotations, each relative to its parent, the root's to the camera; and positions
        of the pelvis in the camera's frame, metres.
    """
    frames = len(track.confidence)
    pixels = (_filled(track.pixels)[:, LANDMARKS] - camera.centre) / camera.focal
    world = _filled(track.world)
    seen = (track.visibility * track.found[:, None])[:, LANDMARKS]
    joints = _joints(world)
    guess = fit_rotations(joints)
    middle = world[:, 23:25].mean(axis=1, keepdims=True)
    start = _pelvis(pixels, world[:, LANDMARKS], seen) + joints[:, 0]
    arrays = (pixels, (world - middle)[:, LANDMARKS], seen, guess, start)
    starts = _windows(frames)
    known = jnp.asarray(offsets, jnp.float32), prior, lifter, weights, 20.0 / fps
    groups = []
    for first in range(0, len(starts), AT_ONCE):
        group = starts[first : first + AT_ONCE]
        if first:  # of as many windows as the first, so that nothing is compiled again
            group = group + [group[-1]] * (AT_ONCE - len(group))
        cut = lambda x, group=group: np.stack([_padded(x[s : s + WINDOW]) for s in group])
        real = np.stack([np.arange(s, s + WINDOW) < frames for s in group])
        inputs = (jnp.asarray(x, jnp.float32) for x in (*map(cut, arrays), real))
        with jax.default_matmul_precision("highest"):  # fewer bits, as GPUs take, are centimetres
            groups.append([np.asarray(each) for each in _improve(*inputs, *known)])
    rotations, pelvis = (np.concatenate(each)[: len(starts)] for each in zip(*groups, strict=True))
    return _blended(rotations, pelvis, starts, frames)


@jax.jit
def _improve(
    pixels, world, seen, guess, start, real, offsets, prior, lifter, weights: CostWeights, pace
):
    """`[n w ...]` of n windows; `pace` frames of 20 a second in one of these."""
    rest = jnp.asarray(REST_JOINTS - REST_JOINTS[0], jnp.float32)

    def pose(parameters):
        columns, pelvis = parameters
        return rot6d_to_matrix(columns), pelvis

    def loss(parameters, expected):
        rotations, pelvis = pose(parameters)
        turned, joints = forward_kinematics(rotations, pelvis, rest)
        markers = joints[..., JOINTS, :] + (turned[..., JOINTS, :, :] @ offsets[..., None])[..., 0]
        depth = jnp.maximum(markers[..., 2:], 0.3)
        metres = jax.lax.stop_gradient(pelvis[..., None, 2:])  # of the picture, at the body
        apart = (markers[..., :2] / depth - pixels) * metres / 0.01
        flat = _robust(jnp.sum(jnp.square(apart), -1), 5.0)
        apart = (markers - markers[..., _HIPS, :].mean(-2, keepdims=True) - world) / 0.01
        trust = jnp.array([1.0, 1.0, weights.depth])
        solid = _robust(jnp.sum(jnp.square(apart) * trust, -1), 10.0)
        cost = (seen * (flat + weights.world * solid)).sum(-1) + cost_of_pose(rotations)
        # Where nobody is seen, the frames around count, not what people do most.
        anybody = seen.max(axis=-1)
        unlikely = weights.prior * prior(rotations)
        away = jnp.square(matrix_to_rot6d(rotations) - expected).sum(-1) @ lifter.trust
        total = ((cost + anybody * (unlikely + weights.lifted * away)) * real).sum()
        whole = real[:, 2:] * real[:, 1:-1] * real[:, :-2] / pace**4
        turning = jnp.square(jnp.diff(rotations, n=2, axis=1)).sum((-3, -2, -1))
        moving = jnp.square(jnp.diff(pelvis / 0.01, n=2, axis=1)).sum(-1)
        total += ((weights.acceleration * turning + weights.path * moving) * whole).sum()
        pair = real[:, 1:] * real[:, :-1]
        speed = (
            jnp.square(jnp.diff(joints[:, :, jnp.array(_FEET)] / 0.01, axis=1)).sum(-1) / pace**2
        )
        return total + weights.feet * ((speed / (speed + 1.0)).sum(-1) * pair).sum()

    optimizer = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, STEPS))

    def improved(parameters, _):
        expected = lifter(forward_kinematics(*pose(parameters), rest)[1])

        def step(carry, _):
            parameters, state = carry
            updates, state = optimizer.update(jax.grad(loss)(parameters, expected), state)
            return (optax.apply_updates(parameters, updates), state), None

        begin = parameters, optimizer.init(parameters)
        (parameters, _), _ = jax.lax.scan(step, begin, length=STEPS)
        return parameters, None

    best, _ = jax.lax.scan(improved, (matrix_to_rot6d(guess), start), length=ROUNDS)
    return pose(best)


def _robust(squared: jax.Array, knee: float) -> jax.Array:
    """Squared near 0, linear beyond the knee."""
    return 2 * knee * (jnp.sqrt(squared + knee**2) - knee)


def _joints(world: np.ndarray) -> np.ndarray:
    """Our 22 joints `[t 22 3]` after 3D landmarks `[t 33 3]`: limbs as seen, the trunk between."""
    hips, shoulders = world[:, 23:25].mean(1), world[:, 11:13].mean(1)
    up = shoulders - hips
    low = _frame(world[:, 23] - world[:, 24], up)
    high = _frame(world[:, 11] - world[:, 12], up)
    joints = np.zeros((len(world), NUM_JOINTS, 3))
    carry = lambda frame, joint, of: np.einsum(
        "tij,j->ti", frame, REST_JOINTS[joint] - REST_JOINTS[of].mean(0)
    )
    for joint in (0, 3, 6):
        joints[:, joint] = hips + carry(low, joint, [1, 2])
    for joint in (9, 12, 13, 14):
        joints[:, joint] = shoulders + carry(high, joint, [16, 17])
    seen = {
        1: 23,
        2: 24,
        4: 25,
        5: 26,
        7: 27,
        8: 28,
        16: 11,
        17: 12,
        18: 13,
        19: 14,
        20: 15,
        21: 16,
    }
    for joint, landmark in seen.items():
        joints[:, joint] = world[:, landmark]
    for foot, ankle, toe in ((10, 27, 31), (11, 28, 32)):
        joints[:, foot] = world[:, ankle] + 0.75 * (world[:, toe] - world[:, ankle])
    ears, across = world[:, 7:9].mean(1), world[:, 7] - world[:, 8]
    head = _frame(across, np.cross(world[:, 0] - ears, across))
    joints[:, 15] = ears + head @ [0, -0.05, 0.01]
    return joints


def _frame(across: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Frames `[t 3 3]` with x across and y as near up as can be."""
    unit = lambda v: v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)
    x = unit(across)
    z = unit(np.cross(x, up))
    return np.stack([x, np.cross(z, x), z], axis=-1)


def _pelvis(pixels: np.ndarray, world: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Where the origin of `world [t m 3]` must be `[t 3]` to be seen at `pixels [t m 2]`."""
    design = np.zeros((len(pixels), pixels.shape[1], 2, 3))
    design[..., 0, 0] = design[..., 1, 1] = 1
    design[..., 2] = -pixels
    wanted = pixels * world[..., 2:] - world[..., :2]
    weighted = design * (seen + 1e-6)[..., None, None]
    normal = np.einsum("tmij,tmik->tjk", weighted, design)
    right = np.einsum("tmij,tmi->tj", weighted, wanted)
    positions = np.linalg.solve(normal + 1e-9 * np.eye(3), right[..., None])[..., 0]
    found = seen.sum(-1) > 1e-3
    frames = np.arange(len(positions))
    filled = [np.interp(frames, frames[found], column[found]) for column in positions.T]
    kernel = np.exp(-0.5 * np.square(np.arange(-9, 10) / 3))
    kernel /= kernel.sum()
    smooth = [np.convolve(np.pad(column, 9, mode="edge"), kernel, "valid") for column in filled]
    return np.stack(smooth, axis=-1)


def _filled(values: np.ndarray) -> np.ndarray:
    """Values `[t ...]` with the missing frames (NaN) interpolated."""
    flat = values.reshape(len(values), -1)
    found = np.isfinite(flat).all(axis=1)
    frames = np.arange(len(flat))
    columns = [np.interp(frames, frames[found], column[found]) for column in flat.T]
    return np.stack(columns, axis=1).reshape(values.shape)


def _windows(frames: int) -> list[int]:
    """Where windows start that overlap and cover all frames."""
    return [0, *range(WINDOW - OVERLAP, max(frames - OVERLAP, 1), WINDOW - OVERLAP)]


def _padded(values: np.ndarray) -> np.ndarray:
    """A window's values, the last repeated to its length."""
    missing = [(0, WINDOW - len(values))] + [(0, 0)] * (values.ndim - 1)
    return np.pad(values, missing, mode="edge")


def _blended(
    rotations: np.ndarray, pelvis: np.ndarray, starts: list[int], frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Windows `[n w ...]` as one series, in their overlaps the later one coming in by and by."""
    turned = np.zeros((frames, NUM_JOINTS, 3, 3))
    pelvis_path = np.zeros((frames, 3))
    for start, r, p in zip(starts, rotations, pelvis, strict=True):
        length = min(WINDOW, frames - start)
        share = np.ones(length)
        if start:
            share = np.clip((np.arange(length) + 1) / (OVERLAP + 1), 0, 1)
        window = slice(start, start + length)
        mix = share[:, None, None, None]
        turned[window] = mix * r[:length] + (1 - mix) * turned[window]
        pelvis_path[window] = (
            share[:, None] * p[:length] + (1 - share[:, None]) * pelvis_path[window]
        )
    return nearest_rotations(turned), pelvis_path
