"""Noise of cameras on references in training: what motion capture from video gets wrong.

Errors are turns of a joint: shaking, drifting, constant in a take, as large in angle for all or as
was measured; the camera is not level; frames are held, a stretch is lost, or the body is seen the
wrong way round. Noise that is equal in normalised channels and new in every frame, as published
(`diffusion.corruption`), teaches a model little about such.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from vimogen_jax.body.rotations import Array as Rotations
from vimogen_jax.body.rotations import axis_angle_to_matrix, matrix_to_rot6d, rot6d_to_matrix
from vimogen_jax.body.skeleton import MIRRORED, NUM_JOINTS
from vimogen_jax.diffusion.reader_noise import reader_noise
from vimogen_jax.errors import BadInput

DRIFT_FRAMES = 8.0  # over which a drift is smooth
LONGEST_LOSS, LONGEST_FLIP = 20, 30  # frames
SHARES = ("alone", "held", "lost", "flipped")
_BODY = 6 * (NUM_JOINTS - 1)


@dataclasses.dataclass(frozen=True)
class CameraNoise:
    """How much at most, in radians or as a share; none by default.

    Every sample draws a level, a low one more often, and each error a part of it, so that motions
    that are nearly true are seen as well.

    Attributes:
        white: deviation about each axis of turns that are new in every frame.
        drift: of turns that are smooth over `DRIFT_FRAMES`.
        constant: of turns that stay as they are; each joint has its own share of it.
        tilt: of the whole body's, as of a camera that is not level.
        alone: share of samples that have one of the four alone, since what mends the one makes
            another worse.
        held: share of frames that repeat the one before.
        lost: share of samples that lose a stretch of up to `LONGEST_LOSS` frames.
        flipped: share of samples in which, for up to `LONGEST_FLIP` frames, left is taken for right
            and front for back.
        like: whose noise is drawn in place of the first four, as large as it was measured
            (`diffusion.reader_noise`): "blazepose", or a file of `launch.film_readings`.
    """

    white: float = 0.0
    drift: float = 0.0
    constant: float = 0.0
    tilt: float = 0.0
    alone: float = 0.0
    held: float = 0.0
    lost: float = 0.0
    flipped: float = 0.0
    like: str = ""

    def __post_init__(self):
        sizes = {name: value for name, value in vars(self).items() if name != "like"}
        for name, value in sizes.items():
            if value < 0 or (name in SHARES and value > 1):
                raise BadInput(f"{name} must lie in 0 to 1, and angles above, not {value}")

    @property
    def none(self) -> bool:
        return not any(vars(self).values())

    def __call__(
        self,
        key: PRNGKeyArray,
        reference: Float[Array, "s b t c"],
        mask: Bool[Array, "s b t"],
    ) -> tuple[Float[Array, "s b t c"], Bool[Array, "s b t"]]:
        """Noise on references, the 138 channels as they are before they are normalised.

        Returns:
            The noisy reference and its mask, false too where a frame was lost.
        """
        s, b, t, _ = reference.shape
        keys = iter(jax.random.split(key, 20))
        uniform = lambda *shape: jax.random.uniform(next(keys), (s, b, *shape))
        normal = lambda *shape: jax.random.normal(next(keys), (s, b, *shape))
        rotations = to_rotations(reference)

        start, length = uniform(1) * t, uniform(1) * LONGEST_FLIP
        frames = jnp.arange(t)
        turned = (frames >= start) & (frames < start + length) & (uniform(1) < self.flipped)
        rotations = jnp.where(turned[..., None, None, None], wrong_way_round(rotations), rotations)

        if self.like:
            angles, tilt = reader_noise(self.like).draw(next(keys), (s, b), t)
        else:
            level = uniform(1, 1, 1) ** 2
            only = jnp.full((s, b, 1, 1, 1), -1)  # all of them
            if self.alone:
                which, whether = jax.random.split(jax.random.fold_in(key, 0))
                one = jax.random.randint(which, only.shape, 0, 4)
                only = jnp.where(jax.random.bernoulli(whether, self.alone, only.shape), one, only)
            has = lambda number: (only < 0) | (only == number)
            part = lambda number, most: most * level * uniform(1, 1, 1) * has(number)
            angles = part(0, self.white) * normal(t, NUM_JOINTS, 3)
            angles += part(1, self.drift) * smooth_over_time(normal(t, NUM_JOINTS, 3))
            of_joint = jnp.exp(0.7 * normal(1, NUM_JOINTS, 1) - 0.25)  # mean square 1
            angles += part(2, self.constant) * of_joint * normal(1, NUM_JOINTS, 3)
            tilt = part(3, self.tilt) * normal(1, 1, 3) * jnp.array([1.0, 1.0, 0.0])  # z is up
        rotations = rotations @ axis_angle_to_matrix(angles)
        root = axis_angle_to_matrix(tilt) @ rotations[..., :1, :, :]
        rotations = jnp.concatenate([root, rotations[..., 1:, :, :]], axis=-3)

        rate = self.held * uniform(1) * (uniform(1) < 0.4)
        own = jnp.where(uniform(t) < rate, 0, frames)
        shown = jax.lax.associative_scan(jnp.maximum, own, axis=-1)
        rotations = jnp.take_along_axis(rotations, shown[..., None, None, None], axis=2)

        start, length = uniform(1) * t, uniform(1) * LONGEST_LOSS
        lost = (frames >= start) & (frames < start + length) & (uniform(1) < self.lost)
        kept = mask & ~lost
        # Never all: attention needs something to see.
        kept = jnp.where(kept.any(-1, keepdims=True), kept, mask)
        return to_reference(rotations, mask), kept


def to_rotations(reference: Rotations) -> Rotations:
    """The rotations `[... t 22 3 3]`, the root first, in the channels of a reference `[... t 138]`.

    NumPy and JAX arrays alike, as what follows.
    """
    xp = reference.__array_namespace__()
    body = reference[..., :_BODY].reshape(*reference.shape[:-1], NUM_JOINTS - 1, 6)
    root = reference[..., None, _BODY : _BODY + 6]
    return rot6d_to_matrix(xp.concat([root, body], axis=-2))


def to_reference(rotations: Rotations, mask: Rotations) -> Rotations:
    """The channels `[... t 138]` of rotations `[... t 22 3 3]`.

    After the last frame of `mask [... t]` the root stands still.
    """
    xp = rotations.__array_namespace__()
    root = rotations[..., 0, :, :]
    following = xp.concat([root[..., 1:, :, :], root[..., -1:, :, :]], axis=-3)
    exists = xp.concat([mask[..., 1:], mask[..., -1:] & False], axis=-1)
    following = xp.where(exists[..., None, None], following, root)
    turn = following @ xp.matrix_transpose(root)
    body = matrix_to_rot6d(rotations[..., 1:, :, :])
    body = body.reshape(*body.shape[:-2], _BODY)
    return xp.concat([body, matrix_to_rot6d(root), matrix_to_rot6d(turn)], axis=-1)


def wrong_way_round(rotations: Rotations) -> Rotations:
    """The body as it looks from behind when taken to be seen from the front: limbs exchanged."""
    xp = rotations.__array_namespace__()
    mirror = xp.asarray([[1.0, -1, -1], [-1, 1, 1], [-1, 1, 1]])  # through the plane of x
    mirrored = rotations[..., xp.asarray(MIRRORED), :, :] * mirror
    about_y = xp.asarray([[-1.0, 0, 0], [0, 1, 0], [0, 0, -1]])
    root = rotations[..., :1, :, :] @ about_y
    return xp.concat([root, mirrored[..., 1:, :, :]], axis=-3)


def smooth_over_time(noise: Rotations) -> Rotations:
    """Normal noise `[... t 22 3]` made smooth over `DRIFT_FRAMES` and of unit deviation still."""
    frames = np.arange(noise.shape[-3])
    kernel = np.exp(-0.5 * ((frames[:, None] - frames) / DRIFT_FRAMES) ** 2)
    kernel /= np.sqrt((kernel**2).sum(axis=1, keepdims=True))
    flat = noise.reshape(*noise.shape[:-2], -1)
    return (kernel.astype(noise.dtype) @ flat).reshape(noise.shape)
