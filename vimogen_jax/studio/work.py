"""What a visitor asks for, checked, and the work that makes motions of it."""

import dataclasses
import functools
import itertools
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from vimogen_jax.animation import Animation
from vimogen_jax.directing.constraints import Constraint
from vimogen_jax.errors import BadInput
from vimogen_jax.generator import (
    Generator,
    Request,
    changed,
    check_prompt,
    check_prompts,
    make_requests,
)
from vimogen_jax.long_motion import SEAM, in_a_row, join, windows
from vimogen_jax.matcher import LIKELY, Matcher
from vimogen_jax.mocap.page_film import write_page_film
from vimogen_jax.mocap.reading import read_film
from vimogen_jax.motion.motion import Motion
from vimogen_jax.studio.queue import Job, Made

MOST = 16  # motions of one job
MOST_STEPS = 100
LONGEST = 10.0  # seconds, of a motion and of what is read of a film
SHORTEST = 2.0
PROGRAMS = 32  # compiled ones that are kept, at most
REFERENCE, CONSTRAINTS = "motion.npz", "wanted.json"  # as commands name what is downloaded


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

    @staticmethod
    def each(given: Mapping[str, Any], models: Sequence[str]) -> "list[Settings]":
        """From a form's values, of which models, steps and guidance may be several, to compare:
        every combination. Raises BadInput, naming it, where one is out of range."""
        chosen = _several(given, "models") or [models[0]]
        if unknown := [model for model in chosen if model not in models]:
            raise BadInput(f"there is no model {str(unknown[0])[:80]!r} here")
        scales = [
            _number(each, "guidance_scale", 0, 20) for each in _several(given, "guidance_scale")
        ]
        halves = [None if scale is None else round(2 * scale) / 2 for scale in scales]
        steps = [_whole(each, "steps", 1, MOST_STEPS) for each in _several(given, "steps")]
        seconds, samples, seed = (
            _number(given.get("seconds"), "seconds", SHORTEST, LONGEST) or 5.0,
            _whole(given.get("samples"), "samples", 1, MOST) or 1,
            _whole(given.get("seed"), "seed", 0, 2**32 - 1) or 0,
        )
        return [
            Settings(model, seconds, samples, seed, count, scale)
            for model in chosen
            for count in steps or [None]
            for scale in halves or [None]
        ]

    def lengths(self, given: Mapping[str, Any], count: int) -> list[float]:
        """The seconds of so many acts in a row: those of a form, or all as `seconds`. Raises
        BadInput where they are others than there are acts, or one is out of range."""
        lengths = given.get("lengths") or [self.seconds] * count
        if not isinstance(lengths, list) or len(lengths) != count:
            raise BadInput(f"lengths must be {count}, one of each sentence")
        return [
            _number(length, f"the length of sentence {number}", SHORTEST, LONGEST) or self.seconds
            for number, length in enumerate(lengths, start=1)
        ]

    @property
    def sampler(self) -> dict[str, Any]:
        """What of it changes the sampler."""
        return dict(steps=self.steps, guidance_scale=self.guidance_scale)

    def flags(self, samples: bool = True) -> str:
        """The same for `launch.sample`, or without the number of samples."""
        said: dict[str, Any] = dict(checkpoint=self.model)
        said |= dict(samples=self.samples if samples else None, seed=self.seed, **self.sampler)
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

    def sentences(
        self,
        sentences: Sequence[str],
        settings: Sequence[Settings],
        constraints: Sequence[Constraint] = (),
    ) -> Job:
        """A job of some sentences; raises BadInput where one cannot be followed."""
        requests = [
            dataclasses.replace(request, constraints=constraints)
            for request in _requests(sentences, settings)
        ]
        total = _at_most(len(requests) * len(settings))
        quoted = " ".join(shlex.quote(sentence.strip()) for sentence in sentences)
        quoted += f" --seconds {settings[0].seconds:g}"
        quoted += f" --constraints {CONSTRAINTS}" if constraints else ""

        def work() -> Iterator[Made]:
            for request, each in itertools.product(requests, settings):
                about = f"seed {request.seed}, draw {request.draw}"
                yield self._made(each, request, about, f"sample {quoted} {each.flags()}")

        return Job("; ".join(sentences)[:200], total, work)

    def story(
        self,
        sentences: Sequence[str],
        lengths: Sequence[float],
        settings: Sequence[Settings],
        constraints: Sequence[Constraint] = (),
    ) -> Job:
        """A job of sentences that follow each other in one motion, each as many seconds as its
        length says, which is shown as far as it is made; BadInput as `sentences`."""
        given = check_prompts(sentences)
        firsts = _requests(given[:1], settings, lengths[0])
        _at_most(len(given) * len(firsts) * len(settings))
        title = in_a_row(given)
        said = f"sample {shlex.quote(given[0])} --seconds {lengths[0]:g}"
        for sentence, length in zip(given[1:], lengths[1:], strict=True):
            said += f" --then {shlex.quote(sentence)} --then_seconds {length:g}"
        said += f" --constraints {CONSTRAINTS}" if constraints else ""

        def work() -> Iterator[Made]:
            for first, each in itertools.product(firsts, settings):
                acts = [  # numbered as `launch.sample` does
                    dataclasses.replace(
                        first, text=text, seconds=length, draw=first.draw + number * len(firsts)
                    )
                    for number, (text, length) in enumerate(zip(given, lengths, strict=True))
                ]
                generator = self._generator(each, *lengths)
                about = dict(acts=[generator.provenance(act) for act in acts])
                facts = f"seed {first.seed}, draw {first.draw}, {self._how(each, generator)}"
                parts, before = [], ""
                for part in generator.parts(acts, constraints=constraints):
                    parts.append(part)
                    motion = Animation.of(join(parts), title, about)
                    command = f"{self._command}{said} {each.flags()}"
                    made = Made(motion, facts, command, constraints=constraints, replaces=before)
                    before = made.id
                    yield made

        fps = self.generators[settings[0].model].model.fps
        parts = [windows(round(each * fps), SEAM, not i) for i, each in enumerate(lengths)]
        return Job(title[:200], sum(map(len, parts)) * len(firsts) * len(settings), work)

    def reference(self, motion: Animation, settings: Sequence[Settings]) -> Job:
        """A job that refines a motion; raises BadInput where it is too short or long."""
        requests = _refining(motion, settings)
        total = _at_most(len(requests) * len(settings))

        def work() -> Iterator[Made]:
            for request, each in itertools.product(requests, settings):
                command = f"sample --reference {REFERENCE} {each.flags()}"
                yield self._made(each, request, "refined", command, f"{motion.caption}, refined")

        return Job(f"refine: {motion.caption}"[:200], total, work)

    def compared(self, sentence: str, motion: Animation, settings: Sequence[Settings]) -> Job:
        """A job that makes three motions of a sentence and of a motion to refine: by the text, by
        the reference, and by the one of both that the gate chooses. BadInput as of either."""
        sentence = check_prompt(sentence, "the sentence")
        refining = _refining(motion, settings)
        texts = _requests([sentence], settings, motion.seconds)
        total = _at_most(3 * len(refining) * len(settings))
        quoted = shlex.quote(sentence)

        def work() -> Iterator[Made]:
            likely = self.likelihood(motion, sentence)
            follows = "reference" if likely >= LIKELY else "text"
            why = (
                f"gated: follows the {follows}; that the reference shows it is {likely:.0%} likely"
            )
            pairs = list(zip(texts, refining, strict=True))
            for (text, reference), each in itertools.product(pairs, settings):
                flags = each.flags()
                by_text = f"sample {quoted} --seconds {motion.seconds:g} {flags}"
                by_reference = f"sample --reference {REFERENCE} {flags}"
                gated = (
                    f"priors --prompts sentence.txt --seconds {motion.seconds:g} --video none "
                    "--mocap folder:motions --out out/priors && "
                    f"{self._command}sample --priors out/priors "
                    f"{each.flags(samples=False)}  "
                    "# the sentence in sentence.txt, the motion in motions/1.npz"
                )
                both = dict(
                    text=self._made(each, text, "text", by_text, sentence),
                    reference=self._made(each, reference, "reference", by_reference, sentence),
                )
                yield from both.values()
                how = self._how(each, self._generator(each, motion.seconds))
                yield Made(both[follows].animation, f"{why}, {how}", f"{self._command}{gated}")

        return Job(f"compare: {sentence}"[:200], total, work)

    def likelihood(self, motion: Animation, sentence: str) -> float:
        """How probable it is, by the shipped matcher, that a reading of a film shows a sentence."""
        (likely,) = self._matcher.probability([motion], [sentence], readings=True)
        return float(likely)

    @functools.cached_property
    def _matcher(self) -> Matcher:
        return Matcher.from_checkpoint()

    def film(self, path: Path, name: str, settings: Settings) -> Job:
        """A job that reads a person's motion from a film, as visitors call it, and refines it."""

        def work() -> Iterator[Made]:
            shown = path.with_suffix(".shown.mp4")
            try:
                reading = read_film(path, seconds=LONGEST)[0]
                (filmed,) = write_page_film(path, shown, [reading], seconds=LONGEST)
            except BadInput as fault:  # which names the studio's own copy
                raise BadInput(str(fault).replace(str(path), name)) from None
            motion = Animation.of(reading.motion, name)
            read = f"{self._command}mocap --video {shlex.quote(name)} --out out/film"
            yield Made(motion, str(reading), read, filmed, shown)
            _require_length(motion)
            (request,) = make_requests(None, reference=motion, seed=settings.seed)
            command = f"sample --reference {shlex.quote(name)} {settings.flags()}"
            yield self._made(settings, request, "refined", command, f"{name}, refined")

        return Job(f"film: {name}", 2, work, given=path)

    def _made(
        self, settings: Settings, request: Request, facts: str, command: str, caption: str = ""
    ) -> Made:
        generator = self._generator(settings, request.seconds)
        (motion,) = generator([request])
        about = generator.provenance(request)
        motion = Animation.of(motion, caption or motion.caption, about)
        facts, command = f"{facts}, {self._how(settings, generator)}", f"{self._command}{command}"
        return Made(motion, facts, command, constraints=request.constraints)

    def _how(self, settings: Settings, generator: Generator) -> str:
        """With which model and sampler, in words."""
        model = f"{settings.model}, " if len(self.generators) > 1 else ""
        sampler = generator.model.sampler
        return f"{model}{sampler.steps} steps, guidance {sampler.guidance_scale:g}"

    def _generator(self, settings: Settings, *lengths: float) -> Generator:
        """The model with the sampler that is asked for, of the same weights, for motions of such
        lengths.

        What was compiled is let go of where that has become too much.
        """
        chosen = (settings.model, *settings.sampler.values())
        needed = {(*chosen, seconds) for seconds in lengths}
        if len(self._programs | needed) > PROGRAMS:
            jax.clear_caches()
            self._programs.clear()
            self._changed.clear()
        self._programs |= needed
        if chosen not in self._changed:
            package = self.generators[settings.model].package
            sampler = changed(package.sampler, **settings.sampler)
            self._changed[chosen] = Generator(dataclasses.replace(package, sampler=sampler))
        return self._changed[chosen]


def _requests(
    sentences: Sequence[str], settings: Sequence[Settings], seconds: float | None = None
) -> list[Request]:
    """The requests of sentences, alike for all settings; as long as these say, or `seconds`."""
    first = settings[0]
    return make_requests(
        sentences, seconds or first.seconds, samples=first.samples, seed=first.seed
    )


def _refining(motion: Animation, settings: Sequence[Settings]) -> list[Request]:
    """The requests that refine a motion; raises BadInput where it is too short or long."""
    _require_length(motion)
    first = settings[0]
    return make_requests(None, reference=motion, samples=first.samples, seed=first.seed)


def _at_most(count: int) -> int:
    """The number of motions of a job; raises BadInput where that is too much."""
    if count > MOST:
        raise BadInput(f"{count} motions were asked for at once: at most {MOST} are made")
    return count


def _require_length(motion: Motion) -> None:
    if not SHORTEST <= motion.seconds <= LONGEST:
        raise BadInput(
            f"it lasts {motion.seconds:.1f} s: {SHORTEST:g} to {LONGEST:g} s can be refined"
        )


def _several(given: Mapping[str, Any], name: str) -> list:
    """The values of a form's field that may hold one, several or none; each once."""
    value = given.get(name)
    values = value if isinstance(value, list) else [] if value is None else [value]
    if len(values) > MOST:
        raise BadInput(f"{name}: at most {MOST} can be compared")
    return [each for i, each in enumerate(values) if each not in values[:i]]


def _number(value: Any, name: str, low: float, high: float) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise BadInput(f"{name} must lie in {low:g} to {high:g}")
    return float(value)


def _whole(value: Any, name: str, low: int, high: int) -> int | None:
    number = _number(value, name, low, high)
    if number is not None and number != int(number):
        raise BadInput(f"{name} must be a whole number")
    return None if number is None else int(number)
