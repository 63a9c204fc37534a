"""Make the vectors of the captions that the shipped model learnt, with which the studio compares.

    python -m data.caption_vectors

writes vimogen_jax/studio/assets/captions.npz: each of them, and its vector in half precision.
"""

import json
from pathlib import Path

import numpy as np

from vimogen_jax.files import read_text, whole_file
from vimogen_jax.studio import hints

HERE = Path(__file__).parent
OUT = HERE.parent / "vimogen_jax" / "studio" / "assets" / "captions.npz"


def learnt() -> list[str]:
    """The captions of the shipped model's training, each once, in the order of the file."""
    lines = read_text(HERE / "captions" / "bandai_cmu.jsonl").splitlines()
    return list(dict.fromkeys(json.loads(line)["caption"] for line in lines))


if __name__ == "__main__":
    found = learnt()
    with whole_file(OUT) as aside, open(aside, "wb") as stream:
        np.savez_compressed(
            stream, captions=np.array(found), vectors=hints.vectors(found).astype(np.float16)
        )
