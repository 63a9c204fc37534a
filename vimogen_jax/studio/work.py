"""What a visitor asks for, checked, and the work that makes motions of it."""

import dataclasses
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from vimogen_jax.animation import Animation
from vimogen_jax.errors import BadInput
from vimogen_jax.generator import Generator, Request, changed, check_prompts, make_requests
from vimogen_jax.mocap.film import frames, open_film, reduced
from vimogen_jax.mocap.reading import LINES, Reading, read_film
from vimogen_jax.motion.motion import Motion
from vimogen_jax.studio.queue import Job, Made
from vimogen_jax.viewer.mp4 import encode
from vimogen_jax.viewer.page import Filmed

MOST = 16  # motions of one job
MOST_STEPS = 100
LONGEST = 10.0  # seconds, of a motion and of what is read of a film
SHORTEST = 2.0
PROGRAMS = 32  # compiled ones that are kept, at most
SHOWN = 640  # pixels of the longer side of a film on the page


@dataclasses.dataclass(frozen=True)
class Settings:
    """How motions are asked for; None leaves it to the model.

    guidance_scale goes in halves, since each value is a program of its own.
    """

    model: str
    seconds: float = 5.0
    samples: int = 1
    seed: int = 0
    steps: int | None = None
    guidance_scale: float | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any], models: Sequence[str]) -> "Settings":
        """From a form's values; raises BadInput, naming it, where one is out of range."""
        model = given.get("model", models[0])
        if model not in models:
            raise BadInput(f"there is no model {str(model)[:80]!r} here")
        guidance = _number(given, "guidance_scale", 0, 20)
        return cls(
            model,
            _number(given, "seconds", SHORTEST, LONGEST) or 5.0,
            _whole(given, "samples", 1, MOST) or 1,
            _whole(given, "seed", 0, 2**32 - 1) or 0,
            _whole(given, "steps", 1, MOST_STEPS),
            None if guidance is None else round(2 * guidance) / 2,
        )

    @property
    def sampler(self) -> dict[str, Any]:
        """What of it changes the sampler."""
        return dict(steps=self.steps, guidance_scale=self.guidance_scale)

    def flags(self) -> str:
        """The same for `launch.sample`."""
        said = dict(checkpoint=self.model, samples=self.samples, seed=self.seed, **self.sampler)
        return " ".join(
            f"--{name} {shlex.quote(f'{value:g}' if isinstance(value, float) else str(value))}"
            for name, value in said.items()
            if value is not None
        )


class Workshop:
    """The models of a studio, by name, and what they make.

    command: how the project's commands begin on this machine, such as "vimogen ".
    """

    def __init__(self, generators: Mapping[str, Generator], command: str):
        self.generators, self._command = generators, command
        self._programs: set[tuple] = set()
        self._changed: dict[tuple, Generator] = {}

    def sentences(self, sentences: Sequence[str], settings: Settings) -> Job:
        """A job of some sentences; raises BadInput where one cannot be followed."""
        requests = make_requests(
            sentences, settings.seconds, samples=settings.samples, seed=settings.seed
        )
        if len(requests) > MOST:
            raise BadInput(
                f"{len(requests)} motions were asked for at once: at most {MOST} are made"
            )
        quoted = " ".join(shlex.quote(sentence.strip()) for sentence in sentences)
        command = (
            f"{self._command}sample {quoted} --seconds {settings.seconds:g} {settings.flags()}"
        )

        def work() -> Iterator[Made]:
            for request in requests:
                about = f"seed {request.seed}, draw {request.draw}"
                yield self._made(settings, request, about, command)

        return Job("; ".join(sentences)[:200], len(requests), work)

    def story(self, sentences: Sequence[str], settings: Settings) -> Job:
        """A job of sentences that follow each other in one motion; BadInput as `sentences`."""
        given = check_prompts(sentences)
        if len(given) * settings.samples > MOST:
            raise BadInput(f"a story may have {MOST} sentences, times its samples")
        firsts = make_requests(
            given[:1], settings.seconds, samples=settings.samples, seed=settings.seed
        )
        then = " ".join(f"--then {shlex.quote(sentence)}" for sentence in given[1:])
        said = f"{shlex.quote(given[0])} {then} --seconds {settings.seconds:g} {settings.flags()}"

        def work() -> Iterator[Made]:
            for first in firsts:
                acts = [  # numbered as `launch.sample` does
                    dataclasses.replace(first, text=text, draw=first.draw + number * len(firsts))
                    for number, text in enumerate(given)
                ]
                generator = self._generator(settings, settings.seconds)
                motion = generator.act(acts)
                about = dict(acts=[generator.provenance(act) for act in acts])
                motion = dataclasses.replace(motion, provenance=about)
                facts = f"seed {first.seed}, draw {first.draw}, {self._how(settings, generator)}"
                yield Made(motion, facts, f"{self._command}sample {said}")

        return Job("; then ".join(given)[:200], len(firsts), work)

    def reference(self, motion: Animation, settings: Settings) -> Job:
        """A job that refines a motion; raises BadInput where it is too short or long."""
        _require_length(motion)
        requests = make_requests(
            None, reference=motion, samples=settings.samples, seed=settings.seed
        )
        command = f"{self._command}sample --reference motion.npz {settings.flags()}"

        def work() -> Iterator[Made]:
            for request in requests:
                caption = f"{motion.caption}, refined"
                yield self._made(settings, request, "refined", command, caption)

        return Job(f"refine: {motion.caption}"[:200], len(requests), work)

    def film(self, path: Path, name: str, settings: Settings) -> Job:
        """A job that reads a person's motion from a film, as visitors call it, and refines it."""

        def work() -> Iterator[Made]:
            shown = path.with_suffix(".shown.mp4")
            try:
                reading = read_film(path, seconds=LONGEST)[0]
                film = open_film(path)
            except BadInput as fault:  # which names the studio's own copy
                raise BadInput(str(fault).replace(str(path), name)) from None
            pictures = frames(film, 0.0, LONGEST)
            encode((reduced(picture, SHOWN) for picture in pictures), shown, film.fps)
            motion = Animation.of(reading.motion, name)
            read = f"{self._command}mocap --video {shlex.quote(name)} --out out/film"
            yield Made(motion, str(reading), read, _filmed(reading, shown.name), shown)
            _require_length(motion)
            (request,) = make_requests(None, reference=motion, seed=settings.seed)
            command = f"{self._command}sample --reference {shlex.quote(name)} {settings.flags()}"
            yield self._made(settings, request, "refined", command, f"{name}, refined")

        return Job(f"film: {name}", 2, work, given=path)

    def _made(
        self, settings: Settings, request: Request, facts: str, command: str, caption: str = ""
    ) -> Made:
        generator = self._generator(settings, request.seconds)
        (motion,) = generator([request])
        about = generator.provenance(request)
        motion = Animation.of(motion, caption or motion.caption, about)
        return Made(motion, f"{facts}, {self._how(settings, generator)}", command)

    def _how(self, settings: Settings, generator: Generator) -> str:
        """With which model and sampler, in words."""
        model = f"{settings.model}, " if len(self.generators) > 1 else ""
        sampler = generator.model.sampler
        return f"{model}{sampler.steps} steps, guidance {sampler.guidance_scale:g}"

    def _generator(self, settings: Settings, seconds: float) -> Generator:
        """The model with the sampler that is asked for, of the same weights.

        What was compiled is let go of where that has become too much.
        """
        chosen = (settings.model, *settings.sampler.values())
        if (*chosen, seconds) not in self._programs and len(self._programs) >= PROGRAMS:
            jax.clear_caches()
            self._programs.clear()
            self._changed.clear()
        self._programs.add((*chosen, seconds))
        if chosen not in self._changed:
            package = self.generators[settings.model].package
            sampler = changed(package.sampler, **settings.sampler)
            self._changed[chosen] = Generator(dataclasses.replace(package, sampler=sampler))
        return self._changed[chosen]


def _require_length(motion: Motion) -> None:
    if not SHORTEST <= motion.seconds <= LONGEST:
        raise BadInput(
            f"it lasts {motion.seconds:.1f} s: {SHORTEST:g} to {LONGEST:g} s can be refined"
        )


def _filmed(reading: Reading, file: str) -> Filmed:
    landmarks = reading.track.pixels / reading.size
    return Filmed(file, reading.start, reading.size, landmarks, LINES)


def _number(given: Mapping[str, Any], name: str, low: float, high: float) -> float | None:
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise BadInput(f"{name} must lie in {low:g} to {high:g}")
    return float(value)


def _whole(given: Mapping[str, Any], name: str, low: int, high: int) -> int | None:
    value = _number(given, name, low, high)
    if value is not None and value != int(value):
        raise BadInput(f"{name} must be a whole number")
    return None if value is None else int(value)
