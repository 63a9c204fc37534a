"""The stages of a store, each around the adapter that does its work: see `run.Stage`."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data.adapters.llm.writer import Writer
from data.adapters.mocap.model import VideoToMotion
from data.adapters.t2v.model import Scene, TextToVideo
from data.priors.quality import LIMITS, measure
from data.priors.store import Entry, Result, StageOutput
from data.priors.verdicts import Case, Decider
from vimogen_jax import formats
from vimogen_jax.errors import BadInput
from vimogen_jax.motion.canonical import canonicalize


class TextsStage:
    """What the two models are told; what the list of prompts says of it stands."""

    name = "texts"

    def __init__(self, writer: Writer):
        self._writer, self.at_once = writer, writer.at_once

    def made_from(self, entry: Entry) -> Mapping[str, Any] | None:
        """See `Stage`."""
        prompt = entry.prompt
        by = {} if prompt.motion and prompt.video else self._writer.settings
        return dict(text=prompt.text, motion=prompt.motion, video=prompt.video, by=by)

    def __call__(
        self, entries: Sequence[Entry], folders: Sequence[Path]
    ) -> list[StageOutput | BadInput]:
        """See `Stage`."""
        prompts = [entry.prompt for entry in entries]
        open_ = [each.text for each in prompts if not (each.motion and each.video)]
        written = iter(self._writer(open_))
        made: list[StageOutput | BadInput] = []
        for prompt in prompts:
            texts = prompt.motion, prompt.video
            found = texts if all(texts) else next(written)
            if isinstance(found, BadInput):
                made.append(found)
                continue
            motion, video = (given or said for given, said in zip(texts, found, strict=True))
            made.append(StageOutput(dict(motion=motion, video=video)))
        return made


class VideoStage:
    """A film of what the sentence says."""

    name = "video"

    def __init__(self, maker: TextToVideo):
        self._maker, self.at_once = maker, maker.at_once

    def made_from(self, entry: Entry) -> Mapping[str, Any] | None:
        """See `Stage`."""
        if not _made(entry, "texts"):
            return None
        scene = _scene(entry)
        said = dict(text=scene.text, motion=scene.motion, seconds=scene.seconds, seed=scene.seed)
        return said | dict(by=self._maker.settings, given=self._maker.given(scene))

    def __call__(
        self, entries: Sequence[Entry], folders: Sequence[Path]
    ) -> list[StageOutput | BadInput]:
        """See `Stage`."""
        films = self._maker(list(map(_scene, entries)), folders)
        facts = dict(note=self._maker.note, licence=self._maker.licence)
        return [film if isinstance(film, BadInput) else StageOutput(facts, film) for film in films]


class ReferenceStage:
    """The motion that is read of the film, or that is there without one."""

    name = "reference"
    at_once = 1

    def __init__(self, reader: VideoToMotion, filmed: bool):
        """`filmed`: whether there are films to read."""
        self._reader, self._filmed = reader, filmed

    def made_from(self, entry: Entry) -> Mapping[str, Any] | None:
        """See `Stage`."""
        film = _made(entry, "video") if self._filmed else None
        if self._filmed and not film:
            return None
        name = entry.prompt.name
        seen = dict(film=film.sha256 if film else "", note=film.facts["note"] if film else "")
        return seen | dict(by=self._reader.settings, given=self._reader.given(name))

    def __call__(
        self, entries: Sequence[Entry], folders: Sequence[Path]
    ) -> list[StageOutput | BadInput]:
        """See `Stage`."""
        return [self._read(entry, at) for entry, at in zip(entries, folders, strict=True)]

    def _read(self, entry: Entry, folder: Path) -> StageOutput | BadInput:
        film = _made(entry, "video") if self._filmed else None
        try:
            found = self._reader(entry.prompt.name, film.file if film else None, folder)
        except BadInput as fault:
            return fault
        motion = canonicalize(found.motion)
        start = found.facts.get("start", 0.0)
        about: dict[str, Any] = dict(prompt=entry.prompt.text, reading=found.facts)
        if film and film.file:
            times = dict(start=start, end=start + motion.seconds)
            about["film"] = dict(address=film.file.name, sha256=film.sha256) | times
            about["note"] = film.facts["note"]
        path = folder / "reference.npz"
        formats.write(motion, path, about)
        return StageOutput(found.facts, path)


class QualityStage:
    """What there is to be said against a reference."""

    name = "quality"
    at_once = 1

    def made_from(self, entry: Entry) -> Mapping[str, Any] | None:
        """See `Stage`."""
        reference = _made(entry, "reference")
        return dict(reference=reference.key, limits=vars(LIMITS)) if reference else None

    def __call__(
        self, entries: Sequence[Entry], folders: Sequence[Path]
    ) -> list[StageOutput | BadInput]:
        """See `Stage`."""
        return [self._measure(entry) for entry in entries]

    def _measure(self, entry: Entry) -> StageOutput | BadInput:
        reference = _made(entry, "reference")
        assert reference is not None and reference.file is not None
        try:
            quality = measure(formats.read(reference.file), reference.facts)
        except BadInput as fault:
            return fault
        return StageOutput(dataclasses.asdict(quality))


class VerdictStage:
    """Whether the reference is followed: it is good enough, and shows the sentence to a judge."""

    name = "verdict"

    def __init__(self, decider: Decider):
        self._decider, self.at_once = decider, decider.at_once

    def made_from(self, entry: Entry) -> Mapping[str, Any] | None:
        """See `Stage`."""
        quality = _made(entry, "quality")
        if not quality:
            return None
        prompt = entry.prompt
        asked = {} if quality.facts["faults"] else self._decider.settings
        published = prompt.verdict if asked.get("name") == "published" else None
        return dict(quality=quality.key, text=prompt.text, by=asked, published=published)

    def __call__(
        self, entries: Sequence[Entry], folders: Sequence[Path]
    ) -> list[StageOutput | BadInput]:
        """See `Stage`."""
        verdicts: dict[str, StageOutput | BadInput] = {}
        cases, places = list[Case](), list[Path]()
        for entry, folder in zip(entries, folders, strict=True):
            quality, video = _made(entry, "quality"), _made(entry, "video")
            assert quality is not None
            motion = entry.reference()
            if faults := quality.facts["faults"]:
                words = "; ".join(faults)
                verdicts[entry.prompt.id] = StageOutput(dict(matches=False, words=words))
            elif motion is None:
                verdicts[entry.prompt.id] = BadInput("the reference cannot be read any more")
            else:
                cases.append(Case(entry.prompt, motion, video.file if video else None))
                places.append(folder)
        judged = self._decider(cases, places) if cases else []
        verdicts |= {case.prompt.id: each for case, each in zip(cases, judged, strict=True)}
        return [verdicts[entry.prompt.id] for entry in entries]


def _made(entry: Entry, stage: str) -> Result | None:
    """The result of an earlier stage; None where it failed or is not there."""
    result = entry.result(stage)
    return result if result and not result.fault else None


def _scene(entry: Entry) -> Scene:
    texts, prompt = _made(entry, "texts"), entry.prompt
    assert texts is not None
    said = texts.facts
    return Scene(prompt.name, said["video"], said["motion"], prompt.seconds, prompt.seed)
