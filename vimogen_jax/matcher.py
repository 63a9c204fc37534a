"""Does a motion show a sentence? Motions and sentences in, probabilities out.

A package of a matcher has `calibration.json` beside its weights, which turns similarities into
probabilities, those of motions that were read of films by numbers of their own: see `eval.matcher`,
which makes it.
"""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from flax import nnx
from jaxtyping import Float

from vimogen_jax.config import parse
from vimogen_jax.errors import BadInput
from vimogen_jax.files import read_json
from vimogen_jax.models.matcher import LONGEST, MatcherNetwork
from vimogen_jax.models.parameters import abstract_params, fingerprint
from vimogen_jax.models.vimogen import Text
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.resample import resample
from vimogen_jax.package import Package, find
from vimogen_jax.text.encoder import load_text_encoder
from vimogen_jax.train.run import load_checkpoint

CALIBRATION, EVALUATION = "calibration.json", "evaluation.json"
BATCH = 16
LIKELY = 0.5  # a probability from which on a motion is taken to show its sentence
TOKENS = 32  # texts are padded to a multiple, so few programs compile


@dataclasses.dataclass(frozen=True)
class Calibration:
    """From a similarity to a probability, which is 1 / (1 + exp(-slope * similarity - offset))."""

    slope: float
    offset: float

    def __call__(self, similarity: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        return 1 / (1 + np.exp(-self.slope * similarity - self.offset))


@dataclasses.dataclass(frozen=True)
class Calibrations:
    """Of motions, and of those that were read of films, whose similarities are lower; without the
    latter they count as any motion."""

    motions: Calibration
    readings: Calibration | None = None

    def of(self, readings: bool) -> Calibration:
        """That of readings, or of motions."""
        return self.readings if readings and self.readings else self.motions


class Matcher:
    """Compares motions with sentences.

    matcher = Matcher.from_checkpoint("matcher")
    (probability,) = matcher.probability([motion], ["a person waves with the right hand."])

    Attributes:
        package: the checkpoint.
        name: where it lies, with the beginning of its weights' `fingerprint`.
    """

    def __init__(self, package: Package, calibrations: Calibrations | None = None, name: str = ""):
        if package.objective.learns != "matching":
            raise BadInput(f"the checkpoint {name} is of no matcher: configs/matcher.py trains one")
        self.package = package
        self.name = f"{name} {fingerprint(package.params)[:8]}".strip()
        self._calibrations = calibrations
        self._graphdef, _ = abstract_params(package.model)
        self._params = jax.device_put(package.params)

    @classmethod
    def from_checkpoint(cls, path: str | Path = "matcher") -> "Matcher":
        """Load the shipped matcher by its name, or a package or run folder by its path.

        Raises:
            BadInput: there is no sound checkpoint of a matcher.
        """
        file = find(path) / CALIBRATION
        calibrations = None
        if file.exists():
            given = read_json(file)
            if isinstance(given, dict) and "slope" in given:  # as they were before readings had any
                given = dict(motions=given)
            calibrations = parse(Calibrations, given, f"{file}: calibration")
        return cls(load_checkpoint(path), calibrations, str(path))

    def calibration(self, readings: bool = False) -> Calibration:
        """Of motions or readings; raises BadInput where nobody has calibrated the checkpoint."""
        if self._calibrations is None:
            raise BadInput(
                f"the matcher {self.name} is not calibrated, so it knows no probabilities: "
                "launch.calibrate makes a package of it that is"
            )
        return self._calibrations.of(readings)

    def probability(
        self, motions: Sequence[Motion], sentences: Sequence[str], readings: bool = False
    ) -> Float[np.ndarray, " n"]:
        """How probable it is that each motion shows its sentence, before which yes and no were as
        likely: of motions with their own captions and with those of other actions, in equal parts.

        Args:
            motions: at any frame rate. Of more than 8 s, the 8 s in the middle are looked at.
            sentences: one for each motion.
            readings: whether the motions were read of films.

        Raises:
            BadInput: their numbers differ, the matcher is not calibrated, or the text encoder has
                no weights, or cannot read a sentence.
        """
        if len(motions) != len(sentences):
            raise BadInput(f"there are {len(motions)} motions and {len(sentences)} sentences")
        calibration = self.calibration(readings)
        if not motions:
            return np.zeros(0)
        similarity = (self.motions(motions) * self.sentences(sentences)).sum(axis=-1)
        return calibration(similarity)

    def sentences(self, sentences: Sequence[str]) -> Float[np.ndarray, "n d"]:
        """Unit vectors of sentences; those of what is alike in meaning lie near each other."""
        encoder = load_text_encoder(self.package.text_encoder)
        once = list(dict.fromkeys(sentences))
        places = dict(zip(once, self.texts(encoder(once)), strict=True))
        return np.stack([places[sentence] for sentence in sentences])

    def texts(self, features: Sequence[Float[np.ndarray, "_ k"]]) -> Float[np.ndarray, "n d"]:
        """Unit vectors of sentences by their features, as datasets hold them."""
        longest = max(map(len, features), default=1)
        shape = BATCH, -(-longest // TOKENS) * TOKENS

        def embed(some: Sequence[np.ndarray]) -> jax.Array:
            tokens = np.zeros((*shape, self.package.model.text_dim), np.float32)
            mask = np.zeros(shape, bool)
            mask[:, 0] = True  # attention needs something to see
            for row, each in enumerate(some):
                tokens[row, : len(each)], mask[row, : len(each)] = each, True
            return _texts(self._graphdef, self._params, tokens[None], mask[None])

        return self._in_batches(features, embed)

    def motions(self, motions: Sequence[Motion]) -> Float[np.ndarray, "n d"]:
        """Unit vectors of motions; see `probability` for what may be given."""

        def embed(some: Sequence[Motion]) -> jax.Array:
            rotations = np.zeros((BATCH, LONGEST, 22, 3, 3), np.float32)
            mask = np.zeros(rotations.shape[:2], bool)
            mask[:, 0] = True
            for row, motion in enumerate(some):
                shown = resample(motion, self.package.fps).rotations
                start = max(len(shown) - LONGEST, 0) // 2
                shown = shown[start : start + LONGEST]
                rotations[row, : len(shown)], mask[row, : len(shown)] = shown, True
            return _motions(self._graphdef, self._params, rotations[None], mask[None])

        return self._in_batches(motions, embed)

    def _in_batches(self, items, embed) -> np.ndarray:
        parts = [
            np.asarray(embed(items[i : i + BATCH])[0])[: len(items) - i]
            for i in range(0, len(items), BATCH)
        ]
        none = np.zeros((0, self.package.model.matching_dim), np.float32)
        return np.concatenate([*parts, none])


@functools.partial(jax.jit, static_argnums=0)
def _texts(graphdef: nnx.GraphDef, params, tokens, mask) -> jax.Array:
    network: MatcherNetwork = nnx.merge(graphdef, params)
    return network.texts(Text(tokens, mask))


@functools.partial(jax.jit, static_argnums=0)
def _motions(graphdef: nnx.GraphDef, params, rotations, mask) -> jax.Array:
    network: MatcherNetwork = nnx.merge(graphdef, params)
    return network.motions(rotations, mask)
