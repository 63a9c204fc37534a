"""HumanML3D's 263 features a frame of joints, and the two ways back (Guo et al., CVPR 2022).

Metres, y up, 20 fps, our 22 joints; velocities are per frame (the next minus this one), so t
frames of joints give t - 1 of features. A frame's heading is the turn about y that brings its
person to face +z, the way that the first frame faces.
"""

import numpy as np
from jaxtyping import Float

from vimogen_jax.body.axes import Y_UP_TO_Z_UP
from vimogen_jax.body.rotations import quaternion_to_matrix
from vimogen_jax.body.skeleton import JOINT_NAMES, MIRRORED, NUM_JOINTS, PARENTS
from vimogen_jax.errors import BadInput
from vimogen_jax.motion.from_joints import fit_joints
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.resample import resample

NUM_FEATURES = 263
FPS = 20.0

TURN = slice(0, 1)  # HALF the angle, radians, from this heading to the next
STEP = slice(1, 3)  # x and z of the root's step, seen from the NEXT frame's heading
HEIGHT = slice(3, 4)  # of the root
POSITIONS = slice(4, 67)  # of the 21 other joints, seen from under the root and its heading
ROTATIONS = slice(67, 193)  # of their bones, 6D: the first two columns of the matrix, one by one
VELOCITIES = slice(193, 259)  # of the 22 joints, seen from this frame's heading
CONTACTS = slice(259, 263)  # of left ankle, left foot, right ankle and right foot

# The direction of each joint's bone (from its parent) where its rotation is none, and its length in
# metres in the skeleton that all of HumanML3D is brought to: that of its motion 000021, measured
# in the published joints of 012314.
_BONES = (
    ((0, 0, 0), 0.0),
    ((1, 0, 0), 0.1030739),
    ((-1, 0, 0), 0.1098834),
    ((0, 1, 0), 0.1315683),
    ((0, -1, 0), 0.3936231),
    ((0, -1, 0), 0.3901881),
    ((0, 1, 0), 0.1431903),
    ((0, -1, 0), 0.4324330),
    ((0, -1, 0), 0.4256433),
    ((0, 1, 0), 0.0573647),
    ((0, 0, 1), 0.1433817),
    ((0, 0, 1), 0.1494187),
    ((0, 1, 0), 0.2193600),
    ((1, 0, 0), 0.1374868),
    ((-1, 0, 0), 0.1433828),
    ((0, 0, 1), 0.1030393),
    ((0, -1, 0), 0.1316140),
    ((0, -1, 0), 0.1229843),
    ((0, -1, 0), 0.2568398),
    ((0, -1, 0), 0.2630919),
    ((0, -1, 0), 0.2660119),
    ((0, -1, 0), 0.2698763),
)
AXES = np.array([axis for axis, _ in _BONES], np.float64)  # [22 3]
LENGTHS = np.array([length for _, length in _BONES])  # [22]

_PARENTS = list(PARENTS[1:])
# Whose frame each joint's rotation is in: its parent's, but the root's for the collars too.
_FRAMES = [
    0 if name.endswith("collar") else parent
    for name, parent in zip(JOINT_NAMES, PARENTS, strict=True)
][1:]
_LEG = [JOINT_NAMES.index(f"right_{name}") for name in ("knee", "ankle")]  # whose bones give scale
_HIPS = [JOINT_NAMES.index(f"{side}_hip") for side in ("left", "right")]
_SHOULDERS = [JOINT_NAMES.index(f"{side}_shoulder") for side in ("left", "right")]
_CONTACTS = [
    JOINT_NAMES.index(f"{side}_{part}") for side in ("left", "right") for part in ("ankle", "foot")
]
_STANDS = 0.002  # square metres that a joint in contact moves in a frame, at most
_SIGMA, _REACH = 20.0, 80  # frames: of the Gaussian that smooths the heading, and how far it goes


def joint_of(feature: int) -> str:
    """The joint whose position, rotation, velocity or contact a feature holds a number of."""
    for of, first, size in ((POSITIONS, 1, 3), (ROTATIONS, 1, 6), (VELOCITIES, 0, 3)):
        if of.start <= feature < of.stop:
            return JOINT_NAMES[first + (feature - of.start) // size]
    if feature >= CONTACTS.start:
        return JOINT_NAMES[_CONTACTS[feature - CONTACTS.start]]
    return JOINT_NAMES[0]


def to_features(motion: Motion) -> Float[np.ndarray, "t 263"]:
    """Features of our motion, at 20 fps; BadInput where it has a frame or none."""
    joints = np.asarray(resample(motion, FPS).joints(), np.float64)
    return encode(joints @ Y_UP_TO_Z_UP)


def to_motion(features: Float[np.ndarray, "t 263"], fps: float = FPS) -> Motion:
    """A motion of our body with the joints of features, as far as its bones allow.

    The rotations in features say no more than the positions do: each turns a bone the shortest way
    from rest. So ours are fitted to the positions.
    """
    return fit_joints(joints_from_positions(features) @ Y_UP_TO_Z_UP.T, fps)


def encode(joints: Float[np.ndarray, "*n t 22 3"]) -> Float[np.ndarray, "*n t-1 263"]:
    """Features of joints, as published; any build, any place.

    Encoding the joints of features does not give them back to the millimetre: the skeleton is
    measured in a motion's first frame, and the floor over all of them.

    Raises:
        BadInput: there are fewer than two frames, or the right leg has no length.
    """
    if joints.shape[-3] < 2:
        raise BadInput(f"a motion of {joints.shape[-3]} frames has no velocities")
    joints = canonicalize(uniform_skeleton(joints))
    now, after = np.s_[..., :-1, :, :], np.s_[..., 1:, :, :]
    half, rotations = _bone_rotations(joints)
    to_heading = _about_y(2 * half)
    velocities = joints[after] - joints[now]
    steps = _turn(to_heading[after], velocities[..., :1, :])[..., 0, :]
    positions = _turn(to_heading, joints - joints[..., :1, :] * [1.0, 0, 1.0])
    flat = (*velocities.shape[:-2], -1)
    return np.concatenate(
        [
            # As published: a turn that passes the heading away from +z comes out folded.
            np.arcsin(np.sin(half[..., 1:] - half[..., :-1]))[..., None],
            steps[..., [0, 2]],
            joints[now][..., 0, 1:2],
            positions[now][..., 1:, :].reshape(flat),
            np.moveaxis(rotations[..., :-1, :, :, :2], -1, -2).reshape(flat),
            _turn(to_heading[now], velocities).reshape(flat),
            np.square(velocities[..., _CONTACTS, :]).sum(-1) < _STANDS,
        ],
        axis=-1,
    )


def uniform_skeleton(
    joints: Float[np.ndarray, "*n t 22 3"],
) -> Float[np.ndarray, "*n t 22 3"]:
    """The same directions of bones with HumanML3D's lengths; the path for its legs.

    Raises:
        BadInput: the right leg has no length.
    """
    legs = joints[..., :1, _LEG, :] - joints[..., :1, [PARENTS[joint] for joint in _LEG], :]
    length = np.linalg.norm(legs, axis=-1).sum(-1)[..., None]
    if not (length > 0).all():
        raise BadInput("the right leg has no length in the first frame")
    uniform = np.empty(joints.shape)
    uniform[..., 0, :] = joints[..., 0, :] * (LENGTHS[_LEG].sum() / length)
    bones = _bones(joints) * LENGTHS[1:, None]
    for joint, parent in enumerate(_PARENTS, start=1):
        uniform[..., joint, :] = uniform[..., parent, :] + bones[..., joint - 1, :]
    return uniform


def canonicalize(joints: Float[np.ndarray, "*n t 22 3"]) -> Float[np.ndarray, "*n t 22 3"]:
    """Joints on the floor; the first frame's root over the origin, facing +z."""
    floor = joints[..., 1].min(axis=(-1, -2))[..., None, None]
    moved = joints.astype(np.float64)
    moved[..., 1] -= floor
    moved -= moved[..., :1, :1, :] * [1.0, 0, 1.0]
    return _turn(_about_y(2 * _half_angles(_forward(moved[..., :1, :, :], reverse=False))), moved)


def mirror(joints: Float[np.ndarray, "*n t 22 3"]) -> Float[np.ndarray, "*n t 22 3"]:
    """Joints as in a mirror: HumanML3D has each motion so too, as M and its id."""
    return joints[..., MIRRORED, :] * [-1.0, 1.0, 1.0]


def joints_from_positions(
    features: Float[np.ndarray, "*n t 263"],
) -> Float[np.ndarray, "*n t 22 3"]:
    """Joints from features by the joints' positions, as is usual."""
    from_heading, root = _root(features)
    positions = features[..., POSITIONS].reshape(*features.shape[:-1], NUM_JOINTS - 1, 3)
    others = _turn(from_heading, positions) + root[..., None, :] * [1.0, 0, 1.0]
    return np.concatenate([root[..., None, :], others], axis=-2)


def joints_from_rotations(
    features: Float[np.ndarray, "*n t 263"],
) -> Float[np.ndarray, "*n t 22 3"]:
    """Joints from features by the bones' rotations and lengths."""
    from_heading, root = _root(features)
    columns = features[..., ROTATIONS].reshape(*features.shape[:-1], NUM_JOINTS - 1, 2, 3)
    local = _gram_schmidt(columns[..., 0, :], columns[..., 1, :])
    world = np.empty((*features.shape[:-1], NUM_JOINTS, 3, 3))
    joints = np.empty(world.shape[:-1])
    world[..., 0, :, :], joints[..., 0, :] = np.swapaxes(from_heading, -1, -2), root
    for joint, (frame, parent) in enumerate(zip(_FRAMES, _PARENTS, strict=True), start=1):
        world[..., joint, :, :] = world[..., frame, :, :] @ local[..., joint - 1, :, :]
        bone = world[..., joint, :, :] @ (AXES[joint] * LENGTHS[joint])
        joints[..., joint, :] = joints[..., parent, :] + bone
    return joints


def _bone_rotations(joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Half the angle of each frame's heading [... t], and the bones' rotations [... t 21 3 3].

    A bone turns from its axis the shortest way, and is seen from the frame it is in.
    """
    half = _half_angles(_smooth(_forward(joints, reverse=True)))
    half[..., 0] = 0  # as published, however the first frame faces
    bones, axes = _bones(joints), AXES[1:]
    real = 1 + np.sum(axes * bones, axis=-1, keepdims=True)
    opposite = real < 1e-9  # then any turn by half a circle is the shortest
    imaginary = np.where(opposite, np.roll(axes, 1, axis=-1), np.cross(axes, bones))
    world = quaternion_to_matrix(np.concatenate([np.where(opposite, 0, real), imaginary], axis=-1))
    root = _about_y(2 * half)[..., None, :, :]
    frames = np.concatenate([root, world], axis=-3)[..., _FRAMES, :, :]
    return half, np.swapaxes(frames, -1, -2) @ world


def _bones(joints: np.ndarray) -> np.ndarray:
    """The directions [... 21 3] from parents to joints; none where they are in one point."""
    return _unit(joints[..., 1:, :] - joints[..., _PARENTS, :])


def _forward(joints: np.ndarray, reverse: bool) -> np.ndarray:
    """Where people face, [... t 3] along the floor: across hips and shoulders, from left to right.

    `reverse` takes the hips from right to left, as the published features do by a slip.
    """
    (left_hip, right_hip), (left, right) = (
        (joints[..., pair[0], :], joints[..., pair[1], :]) for pair in (_HIPS, _SHOULDERS)
    )
    hips = left_hip - right_hip if reverse else right_hip - left_hip
    return np.cross([0.0, 1.0, 0.0], _unit(hips + right - left))


def _half_angles(forward: np.ndarray) -> np.ndarray:
    """Half the angles [...] about y, in [-pi/2, pi/2], from directions [... 3] to +z."""
    forward = _unit(forward)
    return np.arctan2(-forward[..., 0], 1 + forward[..., 2])


def _smooth(directions: np.ndarray) -> np.ndarray:
    """Directions [... t 3] averaged over time; the ends count on for ever."""
    distances = np.arange(-_REACH, _REACH + 1)
    kernel = np.exp(-0.5 * (distances / _SIGMA) ** 2)
    frames = np.arange(directions.shape[-2])
    near = np.clip(frames[:, None] + distances, 0, frames[-1])
    weights = np.zeros((len(frames), len(frames)))
    np.add.at(weights, (frames[:, None], near), kernel / kernel.sum())
    return weights @ directions


def _root(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The turns [... t 3 3] from headings to the world, and the root's positions [... t 3].

    A frame's turn and step lead to the next frame; the first stands at the origin facing +z.
    """
    half = np.zeros(features.shape[:-1])
    half[..., 1:] = np.cumsum(features[..., :-1, 0], axis=-1)
    from_heading = _about_y(-2 * half)
    steps = np.zeros((*half.shape, 3))
    steps[..., 1:, [0, 2]] = features[..., :-1, STEP]
    root = np.cumsum((from_heading @ steps[..., None])[..., 0], axis=-2)
    root[..., 1] = features[..., 3]
    return from_heading, root


def _about_y(angles: np.ndarray) -> np.ndarray:
    """Rotations [... 3 3] about y."""
    cosine, sine, zero = np.cos(angles), np.sin(angles), np.zeros_like(angles)
    rows = [cosine, zero, sine, zero, zero + 1, zero, -sine, zero, cosine]
    return np.stack(rows, axis=-1).reshape(*angles.shape, 3, 3)


def _turn(rotations: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Each frame's points [... t n 3] by its rotation [... t 3 3]."""
    return points @ np.swapaxes(rotations, -1, -2)


def _gram_schmidt(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Rotations [... 3 3] from two columns [... 3], the second in their plane."""
    x = _unit(first)
    z = _unit(np.cross(x, second))
    return np.stack([x, np.cross(z, x), z], axis=-1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
