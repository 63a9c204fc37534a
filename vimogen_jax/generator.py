"""Sentences in, motions out; a noisy motion in, a clean one out; acts in, one long motion out."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vimogen_jax import __version__
from vimogen_jax.adapter import apply_adapter
from vimogen_jax.animation import Animation
from vimogen_jax.diffusion.solvers import SOLVERS, Sampler
from vimogen_jax.directing import feet
from vimogen_jax.directing.constraints import Constraint, needs_draft, to_goals
from vimogen_jax.directing.fit import fit
from vimogen_jax.directing.goals import Goals, any_set
from vimogen_jax.errors import BadInput
from vimogen_jax.files import parse_json
from vimogen_jax.input_pipeline.records import MIN_FRAMES
from vimogen_jax.long_motion import SEAM, check_seam, in_a_row, join, play, windows
from vimogen_jax.models.parameters import abstract_params, fingerprint
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.resample import resample
from vimogen_jax.package import Package
from vimogen_jax.sampling import EncodedRequest, MotionModel
from vimogen_jax.text.encoder import load_text_encoder
from vimogen_jax.train.run import load_checkpoint

MAX_CHARACTERS = 1000  # of a prompt
MOST_SAMPLES = 10_000  # for each prompt or reference
LONGEST_ACT = 3600.0  # seconds; that a number is a slip, not that there is no memory


@dataclasses.dataclass(frozen=True, eq=False)
class Request:
    """One motion that is asked for: by a sentence, by a reference, or by neither.

    Attributes:
        text: a sentence of at most 1,000 characters to follow.
        reference: a noisy motion to refine, at any frame rate. The result has its content and its
            length.
        seconds: 2 to 10, where there is no reference.
        seed, draw: of the noise: the seed has a noise for each number of a draw, 0 and up.
        constraints: poses, places and paths to meet.

    Raises:
        BadInput: one is of another type or out of range, or there are both a text and a reference.
    """

    text: str | None = None
    reference: Motion | None = None
    seconds: float = 5.0
    seed: int = 0
    draw: int = 0
    constraints: Sequence[Constraint] = ()

    def __post_init__(self):
        if self.text is not None and self.reference is not None:
            raise BadInput("a motion follows a text or a reference, not both")
        if self.text is not None:
            check_prompt(self.text, "the text of a request")
        if self.reference is not None and not isinstance(self.reference, Motion):
            raise BadInput(f"a reference is a motion, as vm.read has it, not {self.reference!r}")
        if not isinstance(self.seconds, Real):
            raise BadInput(f"the seconds of a motion must be a number, not {self.seconds!r}")
        for name, value in (("the seed", self.seed), ("the number of a draw", self.draw)):
            if not isinstance(value, Integral) or not 0 <= value < 2**32:
                raise BadInput(f"{name} must lie in 0 to {2**32 - 1}, not {value}")
        check_list(self.constraints)


class Generator:
    """Samples motions from a trained model.

    generator = Generator.from_checkpoint("small")
    motions = generator(["a person waves with the right hand."], seconds=5)

    Attributes:
        package: the checkpoint, with its weights on a device; with another `sampler` in place of
            the checkpoint's, it makes a generator of the same weights.
        model: what samples: `generator.model.channels(generator.encode(requests))` are normalised
            channels.
    """

    def __init__(self, package: Package):
        """Weights that lie on a device already, as another generator's do, are not copied."""
        graphdef, _ = abstract_params(package.model)
        params = jax.device_put(package.params)
        self.package = dataclasses.replace(package, params=params)
        self.model = MotionModel(
            graphdef,
            params,
            package.objective,
            package.sampler,
            package.statistics,
            package.fps,
        )

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
        prompts: str | Request | Sequence[str] | Sequence[Request] | None = None,
        seconds: float | Sequence[float] = 5.0,
        *,
        reference: Motion | Sequence[Motion] | None = None,
        samples: int = 1,
        seed: int = 0,
        steps: int | None = None,
        solver: str | None = None,
        guidance_scale: float | None = None,
        clean_feet: bool | None = None,
        progress: bool = False,
    ) -> list[Animation]:
        """Sample motions from prompts, from references, or from requests of either kind.

        A motion depends on its own prompt or reference, length, seed and index in the result, which
        numbers the draw; not on what else is asked for in the call. A request says all of that by
        itself, and gives the same motion at every index.

        Args:
            prompts: sentences of at most 1,000 characters; or requests, for which `seconds`,
                `samples` and `seed` do not apply.
            seconds: 2 to 10, one for all prompts or one each.
            reference: noisy motions to refine, at any frame rate. A result has the content and
                the length of its reference; `seconds` and `guidance_scale` do not apply.
            samples: how many motions of each prompt or reference.
            seed: of the noise.
            steps: of the solver; by default the checkpoint's, as are the next three.
            solver: "euler" or "heun".
            guidance_scale: how much to insist on the prompt, 1 is not at all.
            clean_feet: bend legs so that standing feet stand, where there is no reference.
            progress: show a bar.

        Returns:
            The `samples` motions of the first prompt or reference, then those of the next, or one
            of each request: z up, at the model's frame rate, starting over the origin, facing +y,
            the lowest joint of all frames on the floor. Each shows, plots and saves itself.

        Raises:
            BadInput: an argument is out of range.
        """
        changes: dict[str, Any] = dict(steps=steps, solver=solver, guidance_scale=guidance_scale)
        sampler = changed(self.model.sampler, **changes, clean_feet=clean_feet)
        model = dataclasses.replace(self.model, sampler=sampler)
        given: Any = [prompts] if isinstance(prompts, str | Request) else prompts
        if given and isinstance(given[0], Request):
            if reference is not None or not all(isinstance(each, Request) for each in given):
                raise BadInput("give requests alone, without prompts or references beside them")
            requests = given
        else:
            requests = make_requests(given, seconds, reference, samples, seed)
        encoded = self.encode(requests)
        motions = model.motions(encoded, progress)
        goals = {i: each.goals for i, each in enumerate(encoded) if each.goals is not None}
        fitted = [fit(motions[i], each) for i, each in goals.items()]
        for i, motion in zip(goals, feet.clean_feet(fitted, list(goals.values())), strict=True):
            motions[i] = motion
        pairs = zip(motions, requests, strict=True)
        return [Animation.of(motion, request.text or "") for motion, request in pairs]

    def act(
        self,
        acts: Sequence[tuple[str, float] | Request],
        *,
        seam: int = SEAM,
        seed: int = 0,
        constraints: Sequence[Constraint] = (),
        progress: bool = False,
    ) -> Animation:
        """One motion of acts that follow each other; as `parts`, put together."""
        asked: dict[str, Any] = dict(seam=seam, seed=seed, constraints=constraints)
        motion = join(list(self.parts(acts, **asked, progress=progress)))
        texts = [act.text if isinstance(act, Request) else act[0] for act in acts]
        return Animation.of(motion, in_a_row([text for text in texts if text]))

    def parts(
        self,
        acts: Sequence[tuple[str, float] | Request],
        *,
        seam: int = SEAM,
        seed: int = 0,
        constraints: Sequence[Constraint] = (),
        progress: bool = False,
    ) -> Iterator[Motion]:
        """Sample acts that follow each other, and give the frames of each window once it is made.

        Args:
            acts: sentences, each with its seconds, of which there may be any number; or requests,
                by a sentence or by a reference.
            seam: the frames in which an act grows out of the one before, 2 to 60.
            seed: of the noise of sentences; each window draws its own.
            constraints: poses, places and paths for the whole motion to meet, their times counted
                from its beginning.
            progress: show a bar of each window.

        Yields:
            Parts of one motion, which together last as long as the acts. It starts over the
            origin, facing +y.

        Raises:
            BadInput: an act is shorter than a motion of the model can be, the seam too short, or a
                constraint cannot be met.
        """
        story = self.story(acts, seam=seam, seed=seed, constraints=constraints)
        for (part,) in play(self.model, [story], seam, progress):
            assert part is not None
            yield part

    def story(
        self,
        acts: Sequence[tuple[str, float] | Request],
        *,
        seam: int = SEAM,
        seed: int = 0,
        constraints: Sequence[Constraint] = (),
    ) -> list[EncodedRequest]:
        """The windows of acts, as `long_motion.play` takes them; see `parts`."""
        check_seam(seam)
        check_list(constraints)
        if not acts:
            raise BadInput("there is no act to play")
        parts: list[Request] = []
        for number, act in enumerate(acts, start=1):
            if not isinstance(act, Request):
                if not isinstance(act, list | tuple) or len(act) != 2:
                    raise BadInput(f"act {number} is no sentence with its seconds, but {act!r}")
                act = Request(act[0], seconds=act[1], seed=seed, draw=len(parts))
            if act.constraints:
                raise BadInput(
                    f"act {number} has constraints: several acts meet those of the whole motion"
                )
            parts += self._windows(act, seam, not parts, f"act {number}")
        encoded = self.encode(parts)
        return self._wanted(encoded, constraints) if constraints else encoded

    def _wanted(
        self, story: Sequence[EncodedRequest], constraints: Sequence[Constraint]
    ) -> list[EncodedRequest]:
        """The windows of a story with what constraints of the whole set of each."""
        if needs_draft(constraints):
            raise BadInput("a path that several acts are to follow needs times")
        ends = np.cumsum([each.frames for each in story])
        goals = to_goals(constraints, int(ends[-1]), self.model.fps)
        parts = [
            Goals(*(value[end - each.frames : end] for value in goals))
            for each, end in zip(story, ends, strict=True)
        ]
        return [
            dataclasses.replace(each, goals=part) if any_set(part).any() else each
            for each, part in zip(story, parts, strict=True)
        ]

    def _windows(self, act: Request, seam: int, first: bool, name: str) -> list[Request]:
        """An act as requests of windows."""
        fps = self.model.fps
        given = act.reference and resample(act.reference, fps)
        least, seconds = MIN_FRAMES / fps, given.num_frames / fps if given else act.seconds
        if not least <= seconds <= LONGEST_ACT:  # NaN neither
            raise BadInput(f"{name} lasts {seconds:g} s; an act has {least:g} to {LONGEST_ACT:g} s")
        frames = given.num_frames if given else round(seconds * fps)
        requests, start = [], 0
        for number, length in enumerate(windows(frames, seam, first)):
            changes = dict(seconds=length / fps, draw=act.draw + number)
            shown = given and given[start : start + length]
            requests.append(dataclasses.replace(act, reference=shown, **changes))
            start += length
        return requests

    def encode(self, requests: Sequence[Request]) -> list[EncodedRequest]:
        """The requests as the network sees them.

        Raises:
            BadInput: a length is out of range, or the text encoder has no weights.
        """
        texts = list(dict.fromkeys(each.text for each in requests if each.text is not None))
        tokens: dict[str | None, np.ndarray] = {}
        if any(request.reference is None for request in requests):
            encoder = load_text_encoder(self.package.text_encoder)
            tokens = dict(zip(texts, encoder(texts), strict=True)) if texts else {}
            tokens[None] = encoder.null_text
        encoded = [self._encode(request, tokens) for request in requests]
        drafted = [i for i, each in enumerate(requests) if needs_draft(each.constraints)]
        drafts = self.model.motions([encoded[i] for i in drafted])
        of = dict(zip(drafted, drafts, strict=True))
        return [
            self._directed(each, request.constraints, of.get(i))
            for i, (each, request) in enumerate(zip(encoded, requests, strict=True))
        ]

    def provenance(self, request: Request) -> dict[str, Any]:
        """How the motion of a request comes about, as JSON can hold it, for those who find it."""
        return dict(
            prompt=request.text,
            seconds=request.seconds if request.reference is None else request.reference.seconds,
            seed=request.seed,
            draw=request.draw,
            model=self._identity,
            sampler=dataclasses.asdict(self.model.sampler),
            versions={"vimogen_jax": __version__, "jax": jax.__version__, "numpy": np.__version__},
        )

    @functools.cached_property
    def _identity(self) -> dict[str, Any]:
        package = self.package
        return dict(weights=fingerprint(package.params), step=package.step, licence=package.licence)

    def _encode(self, request: Request, tokens: dict[str | None, np.ndarray]) -> EncodedRequest:
        noise: dict[str, Any] = dict(seed=request.seed, draw=request.draw)
        if request.reference is not None:
            channels = self.model.encode_reference(request.reference)
            return EncodedRequest(len(channels), reference=channels, **noise)
        frames = self.model.frames(request.seconds)
        text = tokens[request.text]
        return EncodedRequest(frames, text=text, null_text=tokens[None], **noise)

    def _directed(
        self, request: EncodedRequest, constraints: Sequence[Constraint], draft: Motion | None
    ) -> EncodedRequest:
        """The request with what constraints come to."""
        if not constraints:
            return request
        goals = to_goals(constraints, request.frames, self.model.fps, draft)
        return dataclasses.replace(request, goals=goals)


def generate(
    text: str | None = None,
    seconds: float = 5.0,
    *,
    reference: Motion | None = None,
    seed: int = 0,
    checkpoint: str | Path = "small",
    **sampler: Any,
) -> Animation:
    """One motion of a sentence, or of a noisy motion to refine; what most people begin with.

    The model is loaded once and kept for the next call. `text`, `seconds`, `reference`, `seed` and,
    in `sampler`, `steps`, `solver`, `guidance_scale` and `clean_feet` are those of
    `Generator.__call__`. The result knows how it came about, and its files say so.

    Raises:
        BadInput: an argument is out of range, or there is no such checkpoint.
    """
    generator = _kept(checkpoint)
    (request,) = make_requests(None if text is None else [text], seconds, reference, seed=seed)
    (motion,) = generator([request], **sampler)
    chosen = changed(generator.model.sampler, **sampler)
    about = generator.provenance(request) | dict(sampler=dataclasses.asdict(chosen))
    return dataclasses.replace(motion, provenance=about)


@functools.lru_cache(maxsize=1)
def _kept(checkpoint: str | Path) -> Generator:
    return Generator.from_checkpoint(checkpoint)


def make_requests(
    prompts: Sequence[str] | None,
    seconds: float | Sequence[float] = 5.0,
    reference: Motion | Sequence[Motion] | None = None,
    samples: int = 1,
    seed: int = 0,
) -> list[Request]:
    """The requests of a call, as `Generator.__call__` takes it; the draws are numbered through.

    Raises:
        BadInput: there are no prompts, or both prompts and references, or too few durations.
    """
    if (prompts is None) == (reference is None):
        raise BadInput("give either prompts or a reference motion")
    if not 1 <= samples <= MOST_SAMPLES:
        raise BadInput(f"samples must lie in 1 to {MOST_SAMPLES:,}, not {samples:,}")
    if reference is not None:
        several = isinstance(reference, Sequence) and not isinstance(reference, str)
        references: Any = reference if several else [reference]
        once = [Request(reference=motion) for motion in references]
    else:
        texts = check_prompts(prompts or ())
        durations: Any = [seconds] * len(texts) if np.ndim(seconds) == 0 else seconds
        if len(durations) != len(texts):
            raise BadInput(f"{len(durations)} durations were given for {len(texts)} prompts")
        once = [Request(text, seconds=each) for text, each in zip(texts, durations, strict=True)]
    repeated = [request for request in once for _ in range(samples)]
    return [
        dataclasses.replace(request, seed=seed, draw=draw) for draw, request in enumerate(repeated)
    ]


def check_list(constraints: Sequence[Constraint]) -> None:
    """Raise BadInput where constraints are no list."""
    if not isinstance(constraints, list | tuple):
        raise BadInput(f"constraints are a list of them, not {constraints!r}")


def check_prompts(prompts: Sequence[str]) -> list[str]:
    """The prompts without the space around them.

    Raises:
        BadInput: one is not text, is empty or JSON, or has more than 1,000 characters.
    """
    if not prompts:
        raise BadInput("no prompt was given")
    return [check_prompt(prompt, f"prompt {i}") for i, prompt in enumerate(prompts, start=1)]


def check_prompt(prompt: str, name: str) -> str:
    """As `check_prompts`, of one that is called `name` in what is raised."""
    if not isinstance(prompt, str):
        raise BadInput(f"{name} is a {type(prompt).__name__}, not text")
    text = prompt.strip()
    if not text:
        raise BadInput(f"{name} is empty")
    if len(prompt) > MAX_CHARACTERS:
        raise BadInput(
            f"{name} has {len(prompt):,} characters; at most {MAX_CHARACTERS:,} are allowed"
        )
    if text[0] + text[-1] in ("{}", "[]") and _is_json(text):
        raise BadInput(f"{name} is JSON, where a sentence is expected")
    return text


def _is_json(text: str) -> bool:
    try:
        parse_json(text)
    except BadInput:
        return False
    return True


def changed(sampler: Sampler, **changes: Any) -> Sampler:
    """The sampler with the changes that are not None.

    Raises:
        BadInput: one is out of the range that makes sense.
    """
    changes = {name: value for name, value in changes.items() if value is not None}
    ranges: dict[str, tuple[type, int, int]] = dict(
        steps=(Integral, 1, 1000), guidance_scale=(Real, 0, 100)
    )
    for name, (kind, low, high) in ranges.items():
        value: Any = changes.get(name, low)
        if not isinstance(value, kind) or not low <= value <= high:
            raise BadInput(f"{name} must lie in {low} to {high}, not {value}")
    if changes.get("solver", SOLVERS[0]) not in SOLVERS:
        raise BadInput(f"solver must be {' or '.join(SOLVERS)}, not {changes['solver']!r}")
    return dataclasses.replace(sampler, **changes)
