"""Words as HumanML3D's evaluator takes them: vectors of GloVe and classes of words."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from vimogen_jax.errors import BadInput
from vimogen_jax.formats import pickles
from vimogen_jax.formats.arrays import table
from vimogen_jax.metrics.humanml3d_evaluator import WORD_DIM

MAX_WORDS = 20
LENGTH = MAX_WORDS + 2  # with the marks of start and end
VECTORS, ROWS = "our_vab_data.npy", "our_vab_idx.pkl"

# Parts of speech, and five classes of words that go before these.
_TAGS = ("VERB", "NOUN", "DET", "ADP", "NUM", "AUX", "PRON", "ADJ", "ADV")
_CLASSES = {
    "place": """left right clockwise counterclockwise anticlockwise forward back backward up down
        straight curve""",
    "body": "arm chin foot feet face hand mouth leg waist eye knee shoulder thigh",
    "object": """stair dumbbell chair window floor car ball handrail baseball basketball""",
    "act": """walk run swing pick bring kick put squat throw hop dance jump turn stumble stop sit
        lift lower raise wash stand kneel stroll rub bend balance flap jog shuffle lean rotate spin
        spread climb""",
    "manner": """slowly carefully fast careful slow quickly happy angry sad happily angrily
        sadly""",
}
_TAG = {name: number for number, name in enumerate(_TAGS)}
_CLASS = {
    word: number
    for number, words in enumerate(_CLASSES.values(), start=len(_TAGS))
    for word in words.split()
}
_OTHER = len(_TAGS) + len(_CLASSES)


@dataclasses.dataclass(frozen=True)
class TaggedWords:
    """Attributes:
    rows: of the words' vectors.
    tags: of their classes, below 15.
    length: how many of them are the sentence's.
    """

    rows: Int[np.ndarray, "22"]
    tags: Int[np.ndarray, "22"]
    length: int


@dataclasses.dataclass(frozen=True, eq=False)
class Words:
    """A vocabulary: vectors, and the row of each word."""

    vectors: Float[np.ndarray, "n 300"]
    rows: dict[str, int]

    def sentence(self, tokens: Sequence[str]) -> TaggedWords:
        """Tokens, `walk/VERB`, as published: the first 20 of them, words that are not known alike.

        Raises:
            BadInput: a token has no part of speech.
        """
        marked = ["sos/OTHER", *tokens[:MAX_WORDS], "eos/OTHER"]
        padded = marked + ["unk/OTHER"] * (LENGTH - len(marked))
        rows, tags = zip(*map(self._word, padded), strict=True)
        return TaggedWords(np.array(rows), np.array(tags), len(marked))

    def _word(self, token: str) -> tuple[int, int]:
        word, slash, tag = token.rpartition("/")
        if not slash:
            raise BadInput(f"the token {token!r} has no part of speech, as walk/VERB has")
        if word not in self.rows:
            return self.rows["unk"], _OTHER
        return self.rows[word], _CLASS.get(word, _TAG.get(tag, _OTHER))


def load_words(folder: str | os.PathLike) -> Words:
    """Read the published vocabulary, `our_vab_data.npy` and `our_vab_idx.pkl`.

    Raises:
        BadInput: one is missing, damaged, or does not fit the other.
    """
    folder = Path(folder)
    path = folder / VECTORS
    vectors = table(path, "the vectors", pickles.read_npy(path), WORD_DIM).astype(np.float32)
    path = folder / ROWS
    rows = pickles.read_pickle(path)
    if not isinstance(rows, dict) or not all(
        isinstance(word, str) and isinstance(row, int | np.integer) and 0 <= row < len(vectors)
        for word, row in rows.items()
    ):
        raise BadInput(f"{path}: no row of {VECTORS} for each word")
    if missing := {"sos", "eos", "unk"} - rows.keys():
        raise BadInput(f"{path}: has no word {min(missing)!r}")
    return Words(vectors, {word: int(row) for word, row in rows.items()})
