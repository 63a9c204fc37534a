"""Who decides whether a reference shows its sentence: a vision-language model that looks at it, a
matcher of motions and texts, or a verdict that was published."""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from data.adapters.vlm.judge import Item, Judge
from data.adapters.vlm.question import shows
from data.priors.prompts import Prompt
from data.priors.store import StageOutput
from vimogen_jax.errors import BadInput
from vimogen_jax.matcher import LIKELY, Calibration
from vimogen_jax.motion.motion import Motion

LooksAt = Literal["reference", "video"]


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """What is to be judged: a prompt, the reference, and the film it was read from, if any."""

    prompt: Prompt
    motion: Motion
    film: Path | None


class Decider(Protocol):
    """Who decides.

    Attributes:
        settings: what verdicts depend on beside the case.
        at_once: how many cases it is given together.
    """

    settings: dict[str, Any]
    at_once: int

    def __call__(
        self, cases: Sequence[Case], folders: Sequence[Path]
    ) -> list[StageOutput | BadInput]:
        """The facts "matches" and "words" of each case, or why it is not judged.

        Raises BadInput where nothing will be judged: a key or a model is wrong.
        """
        ...


class Viewer:
    """A `Decider` that shows a vision-language model the rendered reference, as ViMoGen's release
    does, or the film, as its paper writes; its words are kept."""

    at_once = 32

    def __init__(self, judge: Judge, looks_at: LooksAt):
        """Raises ImportError where references are to be drawn and Numba is not installed."""
        if looks_at == "reference":
            from vimogen_jax.viewer import video  # with Numba, which not everybody has

            self._draw = video.write_mp4
        self._judge, self._looks_at = judge, looks_at
        self.settings: dict[str, Any] = judge.settings | dict(
            name=judge.name, looks_at=looks_at, question=1
        )

    def __call__(
        self, cases: Sequence[Case], folders: Sequence[Path]
    ) -> list[StageOutput | BadInput]:
        """See `Decider`."""
        films = [self._film(case, folder) for case, folder in zip(cases, folders, strict=True)]
        drawn = self._looks_at == "reference"
        items = [
            Item(shows(case.prompt.text, drawn), film)
            for case, film in zip(cases, films, strict=True)
            if film
        ]
        replies = iter(self._judge(items).items)
        verdicts: list[StageOutput | BadInput] = []
        for case, film in zip(cases, films, strict=True):
            if film is None:
                verdicts.append(BadInput("there is no film to look at"))
                continue
            reply = next(replies)
            matches = shows(case.prompt.text, drawn).read(reply.text or "")
            if reply.text is None:
                verdicts.append(BadInput(reply.fault))
            elif matches is None:
                verdicts.append(BadInput(f"its answer is neither yes nor no: {reply.text[:200]}"))
            else:
                facts = dict(matches=matches == "yes", words=reply.text)
                verdicts.append(StageOutput(facts, film if drawn else None))
        return verdicts

    def _film(self, case: Case, folder: Path) -> Path | None:
        if self._looks_at == "video":
            return case.film
        film = folder / "seen.mp4"
        self._draw(case.motion, film, size=448, follow="far")
        return film


class MatchesTexts(Protocol):
    """A matcher of motions and sentences, whose `name` tells its weights."""

    name: str

    def calibration(self, readings: bool) -> Calibration:
        """What makes probabilities of similarities, of motions or of readings of films."""
        ...

    def probability(
        self, motions: Sequence[Motion], sentences: Sequence[str], readings: bool
    ) -> Iterable[float]:
        """How likely each motion, or reading of a film, shows its sentence, 0 to 1."""
        ...


class Matched:
    """A `Decider` without a vision-language model: what a matcher finds likely passes."""

    at_once = 64

    def __init__(self, matcher: MatchesTexts):
        """Raises BadInput where the matcher is not calibrated."""
        self._matcher = matcher
        self.settings: dict[str, Any] = dict(
            name=matcher.name,
            calibration=dataclasses.asdict(matcher.calibration(readings=True)),
            threshold=LIKELY,
        )

    def __call__(
        self, cases: Sequence[Case], folders: Sequence[Path]
    ) -> list[StageOutput | BadInput]:
        """See `Decider`."""
        sentences = [case.prompt.text for case in cases]
        motions = [case.motion for case in cases]
        found = self._matcher.probability(motions, sentences, readings=True)
        return [
            StageOutput(
                dict(
                    matches=float(likely) >= LIKELY,
                    words=f"{likely:.0%} likely by {self._matcher.name}",
                    probability=round(float(likely), 4),
                )
            )
            for likely in found
        ]


class Published:
    """A `Decider` that repeats what the list of prompts says of its references."""

    at_once = 256

    def __init__(self) -> None:
        self.settings: dict[str, Any] = dict(name="published")

    def __call__(
        self, cases: Sequence[Case], folders: Sequence[Path]
    ) -> list[StageOutput | BadInput]:
        """See `Decider`."""
        return [
            BadInput("no verdict was published")
            if (verdict := case.prompt.verdict) is None
            else StageOutput(dict(matches=verdict, words="as published"))
            for case in cases
        ]
