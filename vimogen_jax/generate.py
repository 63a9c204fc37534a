"""Sentences in, motions out; or a noisy motion in, a clean one of the same content out."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from vimogen_jax.adapter import apply_adapter
from vimogen_jax.body.skeleton import FEET, NUM_JOINTS
from vimogen_jax.diffusion.solvers import Sampler
from vimogen_jax.errors import BadInput
from vimogen_jax.input_pipeline.records import MAX_FRAMES, MIN_FRAMES
from vimogen_jax.models.parameters import abstract_params
from vimogen_jax.models.vimogen import Reference, Text
from vimogen_jax.motion import representation
from vimogen_jax.motion.canonical import canonicalize
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.resample import at_times, resample
from vimogen_jax.motion.trajectory import fuse
from vimogen_jax.package import Package
from vimogen_jax.sampling import pad, sample
from vimogen_jax.text.encoder import load_text_encoder
from vimogen_jax.train.load import load_checkpoint

MAX_CHARACTERS = 1000  # of a prompt
BATCH_SIZE = 16
FRAME_BUCKET, TOKEN_BUCKET = 20, 32  # batches are padded to multiples, so few programs compile


class Generator:
    """Samples motions from a trained model.

    generator = Generator.from_checkpoint("small")
    motions = generator(["a person waves with the right hand."], seconds=5)
    """

    def __init__(self, package: Package):
        self.package = package
        self.fps = package.fps
        self._graphdef, _ = abstract_params(package.model)
        self._params = jax.device_put(package.params)  # once, not again for every batch

    @classmethod
    def from_checkpoint(
        cls, path: str | Path = "small", adapter: str | Path | None = None
    ) -> "Generator":
        """Load the shipped model by its name, or a checkpoint package or run folder by its path.

        `adapter` is the folder of a LoRA adapter to it.

        Raises:
            BadInput: there is no sound checkpoint, or the adapter belongs to another.
        """
        package = load_checkpoint(path)
        return cls(package if adapter is None else apply_adapter(package, adapter))

    def __call__(
        self,
        prompts: str | Sequence[str] | None = None,
        seconds: float | Sequence[float] = 5.0,
        *,
        reference: Motion | Sequence[Motion] | None = None,
        samples: int = 1,
        seed: int = 0,
        steps: int | None = None,
        guidance_scale: float | None = None,
        progress: bool = False,
    ) -> list[Motion]:
        """Sample motions from prompts, or from references: a motion follows one or the other.

        It depends on the seed, its place in the result, and its own prompt and length, not on
        what else is asked for in the call.

        Args:
            prompts: sentences of at most 1,000 characters.
            seconds: 2 to 10, one for all prompts or one each.
            reference: noisy motions to refine, at any frame rate. A result has the content and
                the length of its reference; `seconds` and `guidance_scale` do not apply.
            samples: how many motions of each prompt or reference.
            seed: of the noise.
            steps: of the solver; by default the checkpoint's.
            guidance_scale: how much to insist on the prompt, 1 is not at all; by default the
                checkpoint's.
            progress: show a bar.

        Returns:
            The `samples` motions of the first prompt or reference, then those of the next: z up,
            at the model's frame rate, starting over the origin, facing +y, the lowest joint of
            all frames on the floor.

        Raises:
            BadInput: an argument is out of range.
        """
        if (prompts is None) == (reference is None):
            raise BadInput("give either prompts or a reference motion")
        if samples < 1:
            raise BadInput(f"samples must be at least 1, not {samples}")
        if not 0 <= seed < 2**32:
            raise BadInput(f"the seed must lie in 0 to {2**32 - 1}, not {seed}")
        sampler = self._sampler(steps, guidance_scale)
        if reference is not None:
            references = [reference] if isinstance(reference, Motion) else reference
            encoded = _repeat([self.encode_reference(motion) for motion in references], samples)
            whole = [np.ones(len(channels), bool) for channels in encoded]
            return self.refine(encoded, whole, sampler, seed, progress)
        texts = check_prompts([prompts] if isinstance(prompts, str) else prompts or ())
        lengths = _repeat(self._frames(seconds, len(texts)), samples)
        tokens = _repeat(load_text_encoder(self.package.text_encoder)(texts), samples)
        return self._follow_texts(tokens, lengths, sampler, seed, progress)

    def encode_reference(self, motion: Motion) -> np.ndarray:
        """The normalised channels `[t 138]` of a reference, at the model's frame rate.

        Raises:
            BadInput: the motion is too short or too long for the model.
        """
        motion = canonicalize(resample(motion, self.fps))
        frames = motion.num_frames
        if not MIN_FRAMES <= frames <= MAX_FRAMES:
            raise BadInput(f"the reference lasts {motion.seconds:g} s; {self._range}")
        # A pose held after the last frame gives that one channels too.
        channels = representation.encode(at_times(motion, np.arange(frames + 1) / self.fps))
        reference = channels[:, representation.REFERENCE_CHANNELS].astype(np.float32)
        return self.package.statistics.reference().normalize(reference)

    def refine(
        self,
        references: Sequence[np.ndarray],
        masks: Sequence[np.ndarray],
        sampler: Sampler | None = None,
        seed: int = 0,
        progress: bool = False,
    ) -> list[Motion]:
        """Sample one motion from each of the normalised references `[t 138]`.

        `masks [t]` are false where a frame of a reference is missing.

        Raises:
            BadInput: the checkpoint has no reference branch.
        """
        if not self.package.model.reference_dim:
            raise BadInput("the checkpoint has no reference branch: it follows prompts only")

        def condition(places: list[int], frames: int) -> tuple[None, Reference]:
            channels, _ = pad([references[i] for i in places], frames)
            seen, _ = pad([masks[i] for i in places], frames)
            return None, Reference(jnp.asarray(channels)[None], jnp.asarray(seen)[None])

        lengths = [len(reference) for reference in references]
        return self._run(condition, lengths, sampler or self.package.sampler, seed, progress)

    def _follow_texts(
        self,
        tokens: list[np.ndarray],
        lengths: list[int],
        sampler: Sampler,
        seed: int,
        progress: bool,
    ) -> list[Motion]:
        null = [load_text_encoder(self.package.text_encoder).null_text]
        guided = sampler.guidance_scale != 1

        def condition(places: list[int], frames: int) -> tuple[Text, None]:
            texts = [tokens[i] for i in places] + (null * len(places) if guided else [])
            longest = _round_up(max(map(len, texts)), TOKEN_BUCKET)
            return Text(*(jnp.asarray(x)[None] for x in pad(texts, longest))), None

        return self._run(condition, lengths, sampler, seed, progress)

    def _run(
        self,
        condition: Callable[[list[int], int], tuple[Text | None, Reference | None]],
        lengths: list[int],
        sampler: Sampler,
        seed: int,
        progress: bool,
    ) -> list[Motion]:
        """Sample in batches of similar length; `condition(places, frames)` prepares a batch's."""
        by_length = sorted(range(len(lengths)), key=lengths.__getitem__)
        motions: dict[int, Motion] = {}
        with tqdm(total=len(lengths), desc="sampling", unit="motion", disable=not progress) as bar:
            for start in range(0, len(lengths), BATCH_SIZE):
                places = by_length[start : start + BATCH_SIZE]
                frames = _round_up(lengths[places[-1]], FRAME_BUCKET)
                mask = np.arange(frames) < np.array([[lengths[i]] for i in places])
                channels = sample(
                    self._graphdef,
                    self._params,
                    self.package.objective,
                    sampler,
                    _noise(np.uint32(seed), np.array(places), frames),
                    mask[None],
                    *condition(places, frames),
                )
                for i, motion in zip(places, np.asarray(channels[0]), strict=True):
                    motions[i] = self._decode(motion[: lengths[i]])
                bar.update(len(places))
        return [motions[i] for i in range(len(lengths))]

    def _decode(self, normalised: np.ndarray) -> Motion:
        if not np.isfinite(normalised).all():
            raise BadInput("sampling left the finite numbers; try a lower guidance_scale")
        channels = self.package.statistics.denormalize(normalised)
        motion = representation.decode(channels, fps=self.fps)
        if self.package.sampler.trajectory == "fused":
            motion = dataclasses.replace(motion, transl=self._fused(motion, channels))
        return canonicalize(motion)

    def _fused(self, motion: Motion, channels: np.ndarray) -> np.ndarray:
        velocities = channels[:, representation.JOINT_VELOCITIES].reshape(-1, NUM_JOINTS, 3)
        return fuse(
            motion.transl,
            channels[:, representation.TRANSL_VELOCITY],
            feet=motion.joints()[:, FEET] - motion.transl[:, None],
            foot_speeds=np.linalg.norm(velocities[:, FEET], axis=-1),
        )

    def _sampler(self, steps: int | None, guidance_scale: float | None) -> Sampler:
        changes = {"steps": steps, "guidance_scale": guidance_scale}
        changes = {name: value for name, value in changes.items() if value is not None}
        if not 1 <= changes.get("steps", 1) <= 1000:
            raise BadInput(f"steps must lie in 1 to 1000, not {steps}")
        if not 0 <= changes.get("guidance_scale", 0) <= 100:
            raise BadInput(f"guidance_scale must lie in 0 to 100, not {guidance_scale}")
        return dataclasses.replace(self.package.sampler, **changes)

    def _frames(self, seconds: float | Sequence[float], prompts: int) -> list[int]:
        durations = [seconds] * prompts if isinstance(seconds, int | float) else list(seconds)
        if len(durations) != prompts:
            raise BadInput(f"{len(durations)} durations were given for {prompts} prompts")
        for duration in durations:
            if not MIN_FRAMES <= duration * self.fps <= MAX_FRAMES:
                raise BadInput(f"a motion of {duration:g} s was asked for; {self._range}")
        return [round(duration * self.fps) for duration in durations]

    @property
    def _range(self) -> str:
        shortest, longest = MIN_FRAMES / self.fps, MAX_FRAMES / self.fps
        return f"the model makes motions of {shortest:g} to {longest:g} s"


def check_prompts(prompts: Sequence[str]) -> list[str]:
    """The prompts without the space around them.

    Raises:
        BadInput: one is not text, is empty, or has more than 1,000 characters.
    """
    if not prompts:
        raise BadInput("no prompt was given")
    for number, prompt in enumerate(prompts, start=1):
        if not isinstance(prompt, str):
            raise BadInput(f"prompt {number} is a {type(prompt).__name__}, not text")
        if not prompt.strip():
            raise BadInput(f"prompt {number} is empty")
        if len(prompt) > MAX_CHARACTERS:
            raise BadInput(
                f"prompt {number} has {len(prompt):,} characters; at most {MAX_CHARACTERS:,} "
                "are allowed"
            )
    return [prompt.strip() for prompt in prompts]


@functools.partial(jax.jit, static_argnames="frames")
def _noise(seed: jax.Array, places: jax.Array, frames: int) -> jax.Array:
    """Standard normal `[1 b t 276]`, a sample's by the seed and its place in the result."""

    def draw(place: jax.Array) -> jax.Array:
        # For the longest motion, then cut: the padding of a batch must not change the noise.
        key = jax.random.fold_in(jax.random.key(seed), place)
        return jax.random.normal(key, (MAX_FRAMES, representation.NUM_CHANNELS))[:frames]

    return jax.vmap(draw)(places)[None]


def _repeat(items: Sequence[Any], samples: int) -> list[Any]:
    return [item for item in items for _ in range(samples)]


def _round_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
