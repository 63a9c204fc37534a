"""Make the vectors of the captions that the shipped model learnt, with which the studio compares.

    python -m data.caption_vectors

writes vimogen_jax/studio/assets/captions.npz: each of them, and its vector in half precision.
"""

import json
from pathlib import Path

import numpy as np

from vimogen_jax.files import read_text, whole_file
from vimogen_jax.studio import hints
from vimogen_jax.text.encoder import load_text_encoder
from vimogen_jax.text.sentences import sentence_vectors

HERE = Path(__file__).parent
OUT = HERE.parent / "vimogen_jax" / "studio" / "assets" / "captions.npz"


def learnt() -> list[str]:
    """The captions of the shipped model's training, each once, in the order of the file."""
    lines = read_text(HERE / "captions" / "bandai_cmu.jsonl").splitlines()
    return list(dict.fromkeys(json.loads(line)["caption"] for line in lines))


if __name__ == "__main__":
    found = learnt()
    vectors = sentence_vectors(load_text_encoder(hints.ENCODER), found).astype(np.float16)
    with whole_file(OUT) as aside, open(aside, "wb") as stream:
        np.savez_compressed(stream, captions=np.array(found), vectors=vectors)
