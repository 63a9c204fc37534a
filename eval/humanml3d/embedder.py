"""Spaces in which texts and motions can be compared: the published one, and the project's own."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import jax
import numpy as np
from jaxtyping import Float

from eval.humanml3d.words import ROWS, VECTORS, Words, load_words
from vimogen_jax.convert.humanml3d_evaluator import CHECKPOINT, load_evaluator
from vimogen_jax.errors import BadInput
from vimogen_jax.formats.humanml3d_captions import Caption
from vimogen_jax.matcher import Matcher
from vimogen_jax.metrics.humanml3d_evaluator import MAX_FRAMES, Evaluator
from vimogen_jax.motion.humanml3d import FPS, NUM_FEATURES
from vimogen_jax.motion.layouts import layout_of

BATCH = 64
# What the evaluator normalises with, [263] each: t2m_mean.npy and t2m_std.npy of
# github.com/GuyTevet/motion-diffusion-model (MIT). They are not those of the dataset, Mean.npy and
# Std.npy: the deviations of the root and the contacts are 25 times smaller.
STATISTICS = Path(__file__).parent / "evaluator_statistics.npz"
_embed_motions = jax.jit(Evaluator.embed_motions)
_embed_texts = jax.jit(Evaluator.embed_texts)


class Embedder(Protocol):
    """Places texts and motions in one space.

    Attributes:
        name: what a report calls it.
    """

    name: str

    def texts(self, captions: Sequence[Caption]) -> Float[np.ndarray, "n d"]:
        """Embeddings; BadInput where a caption lacks what they are made from."""
        ...

    def motions(self, features: Sequence[Float[np.ndarray, "_ c"]]) -> Float[np.ndarray, "n d"]:
        """Embeddings of the split's frames, not normalised."""
        ...


class PublishedEmbedder:
    """HumanML3D's evaluator with its vocabulary."""

    def __init__(self, evaluator: Evaluator, words: Words, name: str):
        self.name = name
        self._evaluator, self._words = evaluator, words
        with np.load(STATISTICS) as arrays:
            self._mean, self._std = arrays["mean"], arrays["std"]

    @classmethod
    def open(cls, folder: str | os.PathLike) -> "PublishedEmbedder":
        """Find the published files anywhere in a folder: finest.tar, or a safetensors file of the
        same, and the vocabulary.

        Raises:
            BadInput: one is not there, or there are several, or it is damaged.
        """
        folder = Path(folder)
        weights = _only(folder, CHECKPOINT, "*.safetensors")
        _only(folder, ROWS)
        words = load_words(_only(folder, VECTORS).parent)
        return cls(load_evaluator(weights), words, f"HumanML3D's evaluator, {weights.name}")

    def texts(self, captions: Sequence[Caption]) -> Float[np.ndarray, "n d"]:
        sentences = []
        for caption in captions:
            if not caption.tokens:
                raise BadInput(f"the caption {caption.text!r} has no tokens, such as walk/VERB")
            sentences.append(self._words.sentence(caption.tokens))
        return _in_batches(
            len(sentences),
            lambda i: self._words.vectors[sentences[i].rows],
            lambda i: sentences[i].tags,
            lambda i: sentences[i].length,
            embed=lambda *batch: _embed_texts(self._evaluator, *batch),
        )

    def motions(self, features: Sequence[Float[np.ndarray, "_ c"]]) -> Float[np.ndarray, "n d"]:
        def padded(i: int) -> np.ndarray:
            motion = np.zeros((MAX_FRAMES, NUM_FEATURES), np.float32)
            shown = features[i][:MAX_FRAMES]
            motion[: len(shown)] = (shown - self._mean) / self._std
            return motion

        return _in_batches(
            len(features),
            padded,
            lambda i: min(len(features[i]), MAX_FRAMES),
            embed=lambda *batch: _embed_motions(self._evaluator, *batch),
        )


class MatcherEmbedder:
    """The project's matcher of motions and texts, for motions of either layout."""

    def __init__(self, matcher: Matcher):
        self.name = f"the matcher ({matcher.name})"
        self._matcher = matcher

    def texts(self, captions: Sequence[Caption]) -> Float[np.ndarray, "n d"]:
        return self._matcher.sentences([caption.text for caption in captions])

    def motions(self, features: Sequence[Float[np.ndarray, "_ c"]]) -> Float[np.ndarray, "n d"]:
        decoded = [layout_of(each.shape[1]).decode(each, FPS) for each in features]
        return self._matcher.motions(decoded)


def _in_batches(count, *parts, embed) -> np.ndarray:
    """Embed items of numbers 0 to `count` by their parts, in batches of one size: one program."""
    embedded = []
    for start in range(0, count, BATCH):
        numbers = [min(i, count - 1) for i in range(start, start + BATCH)]
        batch = (np.stack([part(i) for i in numbers]) for part in parts)
        embedded.append(np.asarray(embed(*batch))[: count - start])
    return np.concatenate(embedded)


def _only(folder: Path, *names: str) -> Path:
    """The one file of a name, the first of `names` of which there is any. KIT-ML's are passed over,
    which some archives have beside."""
    for name in names:
        found = _not_kit(folder, folder.rglob(name))
        if len(found) == 1:
            return found[0]
        if found:
            raise BadInput(f"{folder} holds {len(found)} files {name}; leave the one that is meant")
    raise BadInput(
        f"{folder} holds no {' or '.join(names)}; docs/humanml3d.md says where it is published"
    )


def _not_kit(folder: Path, paths: Iterable[Path]) -> list[Path]:
    return sorted(path for path in paths if "kit" not in path.relative_to(folder).parts)
