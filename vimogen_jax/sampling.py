"""The one way from requests to motions: model, objective and solver put together.

Requests are told apart by what they follow, sorted by length, and sampled in batches, padded and
masked. What comes of each depends on the request alone: on one device it is bitwise the same in
every batch of the same shape, and the same but for rounding in all others.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.experimental import multihost_utils
from jaxtyping import Array, Bool, Float
from tqdm import tqdm

from vimogen_jax.body.skeleton import FEET, NUM_JOINTS, REST_JOINTS
from vimogen_jax.diffusion.flow import TIMESTEPS, Objective
from vimogen_jax.diffusion.solvers import Sampler, guide, integrate, waypoints
from vimogen_jax.directing.bend import WIDTHS, bend
from vimogen_jax.directing.feet import clean_feet
from vimogen_jax.directing.goals import Goals, known_channels
from vimogen_jax.errors import BadInput
from vimogen_jax.input_pipeline.records import MAX_FRAMES, MIN_FRAMES
from vimogen_jax.models.latent import LatentViMoGen, sampled_shape
from vimogen_jax.models.vimogen import Known, ModelConfig, Reference, Text
from vimogen_jax.motion import representation
from vimogen_jax.motion.canonical import canonicalize
from vimogen_jax.motion.layouts import VIMOGEN, Layout, layout_of
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.repeats import without_repeats
from vimogen_jax.motion.resample import at_times, resample
from vimogen_jax.motion.smoothing import gaussian_smooth, smooth_to_ends
from vimogen_jax.motion.statistics import Statistics
from vimogen_jax.motion.trajectory import fuse, fuse_turns
from vimogen_jax.sharding import Rows

T = TypeVar("T")

BATCH_SIZE = 16  # of each device
NO_MOTIONS = {  # why a checkpoint makes none, by what it learns
    "autoencoder": "the checkpoint is of an autoencoder alone: it makes motions once a flow of its "
    "latents is trained, as configs/humanml3d_latent.py does",
    "matching": "the checkpoint is of a matcher: it says whether motions show sentences, and makes "
    "none",
}
ON_FROM_HERE = (3.0,)  # frames that go along with the end of a motion before, see `bend`
FIRM, LOOSE = 1e3, 0.3  # weights of where the pelvis is set, without slack and with it
FRAME_MULTIPLE, TOKEN_MULTIPLE = 20, 32  # batches are padded to multiples, so few programs compile


@dataclasses.dataclass(frozen=True, eq=False)
class EncodedRequest:
    """One motion that is asked for, as the network sees it: by text, by reference, or by neither.

    Attributes:
        frames: its length, at most `MAX_FRAMES`.
        seed, draw: of the noise: the seed has a noise for each number of a draw.
        text: tokens to follow.
        null_text: tokens that stand for no text, needed where there is no reference:
            guidance leads away from them, and they are followed where there is no text either.
        reference: normalised channels to follow, one for each frame.
        reference_mask: false where a frame of the reference is missing; by default none is.
        goals: what is set of its frames.
        goes_on: whether all that is set is the end of a motion before, which leads to what is asked
            for but is none of it.
    """

    frames: int
    seed: int = 0
    draw: int = 0
    text: Float[np.ndarray, "l k"] | None = None
    null_text: Float[np.ndarray, "_ k"] | None = None
    reference: Float[np.ndarray, "t 138"] | None = None
    reference_mask: Bool[np.ndarray, " t"] | None = None
    goals: Goals | None = None
    goes_on: bool = False

    def __post_init__(self):
        if not 1 <= self.frames <= MAX_FRAMES:
            raise ValueError(f"a motion has 1 to {MAX_FRAMES} frames, not {self.frames}")
        if self.reference is not None and self.text is not None:
            raise ValueError("a motion follows a text or a reference, not both")
        if self.reference is None and self.null_text is None:
            raise ValueError("a motion that follows no reference needs a null_text")
        if self.reference is not None and len(self.reference) != self.frames:
            raise ValueError(f"{self.frames} frames do not follow {len(self.reference)}")
        if self.goals is not None and len(self.goals.headed) != self.frames:
            raise ValueError(f"{self.frames} frames have goals for {len(self.goals.headed)}")


@dataclasses.dataclass(frozen=True, eq=False)
class MotionModel:
    """A trained model, ready to sample. `dataclasses.replace` gives one of the same weights.

    Attributes:
        graphdef: structure of the network.
        params: its weights, nested dictionaries of arrays on the devices.
        objective: what it predicts.
        sampler: how motions are sampled.
        statistics: of the motions that it was trained on.
        fps: frames a second.
        rows: how batches lie over several devices, under a mesh in use; by default on one. Of
            several processes, each makes the same calls.
        goes_along: how many frames around what is set are bent with it, see `directing.bend`.
    """

    graphdef: nnx.GraphDef
    params: dict[str, Any]
    objective: Objective
    sampler: Sampler
    statistics: Statistics
    fps: float
    rows: Rows | None = None
    goes_along: tuple[float, ...] = WIDTHS

    def encode_reference(self, motion: Motion) -> Float[np.ndarray, "t 138"]:
        """The normalised channels of a reference, at the model's frame rate.

        Raises:
            BadInput: the motion is too short or too long for the model.
        """
        motion = canonicalize(resample(without_repeats(motion), self.fps))
        frames = motion.num_frames
        if not MIN_FRAMES <= frames <= MAX_FRAMES:
            raise BadInput(f"the reference lasts {motion.seconds:g} s; {self.limits}")
        # A pose held after the last frame gives that one channels too.
        channels = representation.encode(at_times(motion, np.arange(frames + 1) / self.fps))
        reference = channels[:, representation.REFERENCE_CHANNELS].astype(np.float32)
        return self.statistics.reference().normalize(reference)

    def frames(self, seconds: float) -> int:
        """How many a motion of so many seconds has; BadInput where it is too short or too long."""
        frames = seconds * self.fps
        if not MIN_FRAMES <= frames <= MAX_FRAMES:
            raise BadInput(f"a motion of {seconds:g} s was asked for; {self.limits}")
        return round(frames)

    @property
    def layout(self) -> Layout:
        """What the numbers of a frame are."""
        return layout_of(len(self.statistics.mean))

    @property
    def limits(self) -> str:
        """How long motions may be, in words."""
        shortest, longest = MIN_FRAMES / self.fps, MAX_FRAMES / self.fps
        return f"the model makes motions of {shortest:g} to {longest:g} s"

    @property
    def _has_channels(self) -> bool:
        """Whether what is sampled are the channels of frames that goals speak of."""
        return self.layout == VIMOGEN and self._config.autoencoder is None

    @functools.cached_property
    def _config(self) -> ModelConfig:
        return nnx.merge(self.graphdef, self.params).config

    def channels(
        self, requests: Sequence[EncodedRequest], progress: bool = False
    ) -> list[Float[np.ndarray, "_ c"]]:
        """Sample the normalised channels of each request, in their order.

        progress: show a bar.

        Raises:
            BadInput: there is a reference, and the model has no reference branch.
        """
        return self._sample(requests, lambda channels, _: channels, progress)

    def motions(self, requests: Sequence[EncodedRequest], progress: bool = False) -> list[Motion]:
        """Sample the motion of each request, in their order; as `channels`, then `decode`.

        One with goals stays in their frame, and its feet are left to who fits it to them.
        """
        finish = lambda channels, request: self.decode(channels, request.goals)
        motions = self._sample(requests, finish, progress)
        if not self.sampler.clean_feet:
            return motions
        free = [i for i, each in enumerate(requests) if each.reference is None is each.goals]
        for i, motion in zip(free, clean_feet([motions[i] for i in free]), strict=True):
            motions[i] = motion
        return motions

    def paths(
        self, requests: Sequence[EncodedRequest], legs: int
    ) -> list[tuple[Float[np.ndarray, "_ c"], Float[np.ndarray, "points _ c"]]]:
        """As `channels`, and beside them the path of each from its noise: where it starts, and the
        ends of so many legs, the last one not smoothed. Not for latents.

        Raises:
            BadInput: as `channels`; or the sampler's steps do not divide into the legs.
        """
        if self._config.autoencoder is not None:
            raise BadInput("the checkpoint makes latents: their path is not one of channels")
        finish = lambda sampled, _: (sampled[0], sampled[1:])
        return self._sample(requests, finish, False, legs)

    def programs(self, requests: Sequence[EncodedRequest]) -> list[jax.stages.Lowered]:
        """What `channels` compiles for such requests; the weights may be shapes alone."""
        lower = functools.partial(
            sample.lower, self.graphdef, self.params, self.objective, self.sampler
        )
        batches = [[requests[i] for i in chosen] for chosen in self._batches(requests)]
        return [lower(*self._batch(batch), **self._held(batch), legs=0) for batch in batches]

    def decode(self, normalised: Float[np.ndarray, "t c"], goals: Goals | None = None) -> Motion:
        """The motion of normalised channels, in the canonical frame, or in that of goals.

        Raises:
            BadInput: the channels are not finite.
        """
        if not np.isfinite(normalised).all():
            raise BadInput("sampling gave numbers that are not finite; try a lower guidance_scale")
        channels = self.statistics.denormalize(normalised)
        motion = self.layout.decode(channels, self.fps)
        if self.layout == VIMOGEN and self.sampler.trajectory == "fused":
            rotations = motion.rotations.copy()
            rotations[:, 0] = fuse_turns(
                channels[:, representation.GLOBAL_ORIENT],
                channels[:, representation.ANGULAR_VELOCITY],
            )
            motion = dataclasses.replace(motion, rotations=rotations)
            motion = dataclasses.replace(motion, transl=_fused(motion, channels, goals))
        if goals is None:
            return canonicalize(motion)
        floor = 0.0 if goals.placed[..., 2].any() else motion.joints()[..., 2].min()
        return dataclasses.replace(motion, transl=motion.transl - floor * np.eye(3)[2])

    def _sample(
        self,
        requests: Sequence[EncodedRequest],
        finish: Callable[[np.ndarray, EncodedRequest], T],
        progress: bool,
        legs: int = 0,
    ) -> list[T]:
        """What `finish` makes of the channels of each request, in their order."""
        follows = [request.reference is not None for request in requests]
        if self.objective.learns != "flow":
            raise BadInput(NO_MOTIONS[self.objective.learns])
        if any(follows) and "reference_encoder" not in self.params:
            raise BadInput("the checkpoint has no reference branch: it follows prompts only")
        if any(request.goals is not None for request in requests) and not self._has_channels:
            raise BadInput(
                f"the checkpoint makes {self.layout.name} frames or latents, of which nothing can "
                "be set"
            )
        finished: dict[int, T] = {}
        with tqdm(total=len(requests), desc="sampling", unit="motion", disable=not progress) as bar:
            for chosen in self._batches(requests):
                batch = self._sample_batch([requests[i] for i in chosen], legs)
                for i, channels in zip(chosen, batch, strict=True):
                    finished[i] = finish(channels[..., : requests[i].frames, :], requests[i])
                bar.update(len(chosen))
        return [finished[i] for i in range(len(requests))]

    def _batches(self, requests: Sequence[EncodedRequest]) -> Iterator[list[int]]:
        """The indices of batches: of one branch each, held alike, of similar length."""
        size = BATCH_SIZE * (self.rows.count if self.rows else 1)
        kinds: dict[tuple[bool, bool, bool], list[int]] = {}
        for i, each in enumerate(requests):
            kind = each.reference is not None, each.goals is not None, each.goes_on
            kinds.setdefault(kind, []).append(i)
        for _, alike in sorted(kinds.items()):
            alike.sort(key=lambda i: requests[i].frames)
            for start in range(0, len(alike), size):
                yield alike[start : start + size]

    def _sample_batch(self, requests: list[EncodedRequest], legs: int) -> np.ndarray:
        """Normalised channels `[n t c]` of requests of one branch, padded; with legs, and the
        points of their path behind, `[n 1+points t c]`.
        """
        batch = self._batch(requests)
        channels = sample(
            *(self.graphdef, self.params, self.objective, self.sampler, *batch),
            **self._held(requests),
            legs=legs,
        )
        if self.rows:
            channels = multihost_utils.process_allgather(channels, tiled=True)
        return np.concatenate(np.asarray(channels))[: len(requests)]

    def _held(self, requests: Sequence[EncodedRequest]) -> dict[str, Any]:
        """How `sample` holds what is set in a batch.

        A network has known frames of one take alone: told how a motion before ends, it goes on with
        that, whatever the text says. And frames far from there are none of it.
        """
        goes_on = requests[0].goes_on
        return dict(goes_along=ON_FROM_HERE if goes_on else self.goes_along, tells=not goes_on)

    def _batch(self, requests: list[EncodedRequest]) -> Any:
        """What `sample` takes besides the model, of requests of one branch, padded."""
        rows = self.rows
        shards = rows.count if rows else 1
        fillers = requests[-1:] * (-len(requests) % shards)
        filled = [*requests, *fillers]
        frames = _round_up(max(request.frames for request in filled), FRAME_MULTIPLE)
        mask = np.arange(frames) < np.array([[request.frames] for request in filled])
        drawn = np.array([(request.seed, request.draw) for request in filled], np.uint32)
        whole, (cut, _) = (sampled_shape(self._config, n) for n in (MAX_FRAMES, frames))
        noise = np.asarray(_noise(*drawn.T, whole, cut))
        text, null_text, reference = None, None, None
        if filled[0].reference is not None:
            reference = _references(filled, frames)
        else:
            text, null_text = _texts(filled)
        known, std = None, None
        if filled[0].goals is not None:
            known = self._known(filled, frames)
            std = np.tile(self.statistics.std, (len(filled), 1, 1))
        null_text = null_text if self.sampler.guided else None
        batch = noise, mask, text, null_text, reference, known, std
        batch = jax.tree.map(lambda x: x.reshape(shards, -1, *x.shape[1:]), batch)
        return rows.device_put(jax.tree.map(lambda x: x[rows.local], batch)) if rows else batch

    def _known(self, requests: Sequence[EncodedRequest], frames: int) -> Known:
        """The normalised channels `[n t 276]` that goals leave no choice of."""
        pairs = [known_channels(request.goals) for request in requests if request.goals]
        channels, _ = _pad([self.statistics.normalize(each) for each, _ in pairs], frames)
        mask, _ = _pad([mask for _, mask in pairs], frames)
        return Known(channels, mask)


@functools.partial(
    jax.jit, static_argnames=("graphdef", "objective", "sampler", "goes_along", "tells", "legs")
)
def sample(
    graphdef: nnx.GraphDef,
    params: dict[str, Any],
    objective: Objective,
    sampler: Sampler,
    noise: Float[Array, "s b n d"],
    mask: Bool[Array, "s b t"],
    text: Text | None,
    null_text: Text | None,
    reference: Reference | None,
    known: Known | None = None,
    std: Float[Array, "s b 1 c"] | None = None,
    goes_along: tuple[float, ...] = WIDTHS,
    tells: bool = True,
    legs: int = 0,
) -> Float[Array, "s b *points t c"]:
    """From noise to smoothed, normalised motion, of one branch.

    Args:
        graphdef: structure of the model.
        params: its weights.
        objective: what it predicts.
        sampler: how to solve; its guidance is used where there is a text.
        noise: standard normal, of frames or of latents.
        mask: true at the frames of each motion.
        text: of every sample, or None where they follow references.
        null_text: the same, needed where there is guidance.
        reference: of every sample, where there is no text.
        known: channels that are set, bent to at every step.
        std: of the channels, where some are known.
        goes_along: see `bend`.
        tells: whether a model that takes known channels is told them.
        legs: of the path, see `MotionModel.paths`: the noise and their ends follow each motion.
    """
    model = nnx.merge(graphdef, params)
    guided = text is not None and sampler.guided
    twice = lambda x: jnp.concatenate([x, x], axis=1) if guided else x
    if guided:  # every sample is computed with its text, then without
        text = jax.tree.map(lambda *pair: jnp.concatenate(pair, axis=1), text, null_text)
    latent = isinstance(model, LatentViMoGen)
    seen = twice(jnp.ones(noise.shape[:3], bool) if latent else mask)
    cache = None if text is None else model.cache_text(text)
    told = jax.tree.map(twice, known) if tells else None

    def velocity(x: jax.Array, timestep: jax.Array, end: jax.Array) -> jax.Array:
        seen_x, seen_timestep, end = twice(x), twice(timestep), twice(end)
        prediction = model(seen_x, seen_timestep, seen, cache, reference, told, end)
        v = objective.velocity(prediction, seen_x, seen_timestep / TIMESTEPS)
        if guided:
            conditional, null = jnp.split(v, 2, axis=1)
            v = guide(conditional, null, sampler.guidance_scale)
        if known is None or std is None:
            return v
        sigma = (timestep / TIMESTEPS)[..., None, None]
        return (bend(x + sigma * v, known.motion, known.mask, std, goes_along) - x) / sigma

    if legs:
        path = jnp.concatenate([noise[None], waypoints(velocity, noise, sampler, legs)])
        x = path[-1]
    else:
        x = integrate(velocity, noise, sampler)
    if latent:
        x = model.autoencoder.decode(x, mask)
    smoothing = sampler.smoothing
    if reference is not None and sampler.reference_smoothing is not None:
        smoothing = sampler.reference_smoothing
    if smoothing:
        reach = math.ceil(2 * smoothing)  # in frames; two, as published, at a deviation of one
        smooth = smooth_to_ends if sampler.trajectory == "fused" else gaussian_smooth
        x = smooth(x, mask, 2 * reach + 1, smoothing)
    return jnp.moveaxis(jnp.concatenate([x[None], path]), 0, 2) if legs else x


@functools.partial(jax.jit, static_argnames=("whole", "cut"))
def _noise(seeds: jax.Array, draws: jax.Array, whole: tuple[int, int], cut: int) -> jax.Array:
    """The first rows `[n cut c]` of `whole` standard normals, of seeds and draws `[n]`."""

    def draw(seed: jax.Array, number: jax.Array) -> jax.Array:
        # For the longest motion, then cut: the padding of a batch must not change the noise.
        key = jax.random.fold_in(jax.random.key(seed), number)
        return jax.random.normal(key, whole)[:cut]

    return jax.vmap(draw)(seeds, draws)


def _texts(requests: Sequence[EncodedRequest]) -> tuple[Text, Text]:
    """The texts `[n l k]`, and as many that stand for none."""
    texts = [request.null_text if request.text is None else request.text for request in requests]
    nulls = [request.null_text for request in requests]
    longest = _round_up(
        max(len(text) for text in texts + nulls if text is not None), TOKEN_MULTIPLE
    )
    return Text(*_pad(texts, longest)), Text(*_pad(nulls, longest))


def _references(requests: Sequence[EncodedRequest], frames: int) -> Reference:
    """The references `[n t 138]`, with masks of what is there."""
    channels, mask = _pad([request.reference for request in requests], frames)
    for row, request in zip(mask, requests, strict=True):
        if request.reference_mask is not None:
            row[: request.frames] = request.reference_mask
    return Reference(channels, mask)


def _pad(arrays: Sequence[Any], length: int) -> tuple[Any, Any]:
    """Stack arrays `[l ...]` to `[n length ...]`, zeros behind, and the mask `[n length]`."""
    padded = np.zeros((len(arrays), length, *arrays[0].shape[1:]), arrays[0].dtype)
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = array
    return padded, np.arange(length) < np.array([[len(array)] for array in arrays])


def _fused(motion: Motion, channels: np.ndarray, goals: Goals | None) -> np.ndarray:
    """The root's path `[t 3]` that agrees with all that the channels say of it, and with goals."""
    velocities = channels[:, representation.JOINT_VELOCITIES].reshape(-1, NUM_JOINTS, 3)
    path, certain = motion.transl, np.zeros_like(motion.transl)
    if goals is not None:
        path = np.where(goals.placed[:, 0], goals.positions[:, 0] - REST_JOINTS[0], path)
        certain = goals.placed[:, 0] * np.where(goals.slack, LOOSE, FIRM)[:, None]
    return fuse(
        path,
        channels[:, representation.TRANSL_VELOCITY],
        feet=motion.joints()[:, FEET] - motion.transl[:, None],
        foot_speeds=np.linalg.norm(velocities[:, FEET], axis=-1),
        certain=certain,
    )


def _round_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
