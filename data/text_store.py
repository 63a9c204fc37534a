"""Features of texts kept on disk, so that an encoding that was interrupted goes on.

The store is a folder of safetensors files. A tensor is the features of one text, named by the hash
of the text and of the encoder's identity: encoders can share a folder.
"""

import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

import ml_dtypes
import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from vimogen_jax.files import visible
from vimogen_jax.tensors import map_tensors, write_tensors
from vimogen_jax.text.encoder import StreamingEncoder
from vimogen_jax.text.spec import EncoderSpec

SECONDS_A_FILE = 60


class StoredEncoder:
    """A `TextEncoder` that encodes a text once, and reads it from the folder ever after.

    What is ready is written once a minute and when an encoding ends, be it by Ctrl-C; only a
    process that is killed loses what it did since.
    """

    def __init__(self, encoder: StreamingEncoder, folder: str | os.PathLike) -> None:
        """Open the folder, which is made where there is none; BadInput where a file is damaged."""
        self._encoder, self._folder = encoder, Path(folder)
        self.name, self.width, self.revision = encoder.name, encoder.width, encoder.revision
        self.null_text = encoder.null_text
        self._folder.mkdir(parents=True, exist_ok=True)
        self._files = {
            key: path
            for path in visible(self._folder.glob("*.safetensors"))
            for key in map_tensors(path)
        }

    def __call__(self, texts: Sequence[str]) -> list[Float[np.ndarray, "_ k"]]:
        """The features of each text, bfloat16."""
        missing = [text for text in dict.fromkeys(texts) if self._key(text) not in self._files]
        self._encode(missing)
        keys = [self._key(text) for text in texts]
        mapped = {path: map_tensors(path) for path in {self._files[key] for key in keys}}
        return [np.array(mapped[self._files[key]][key]) for key in keys]

    def require_readable(self, texts: Sequence[str]) -> None:
        """Raise BadInput, naming it, at the first text that the encoder refuses."""
        self._encoder.require_readable(texts)

    def _encode(self, texts: Sequence[str]) -> None:
        ready: dict[str, np.ndarray] = {}
        written = time.monotonic()
        try:
            stream = self._encoder.stream(texts)
            for i, features in tqdm(
                stream, total=len(texts), desc="texts", unit="text", leave=False, disable=None
            ):
                ready[self._key(texts[i])] = features
                if time.monotonic() - written > SECONDS_A_FILE:
                    self._write(ready)
                    ready, written = {}, time.monotonic()
        finally:
            self._write(ready)

    def _write(self, ready: dict[str, np.ndarray]) -> None:
        if not ready:
            return
        path = self._folder / f"{next(iter(ready))}.safetensors"
        write_tensors(path, ready, ml_dtypes.bfloat16)
        self._files |= dict.fromkeys(ready, path)

    def _key(self, text: str) -> str:
        return hashlib.sha256(f"{EncoderSpec.of(self)}\n{text}".encode()).hexdigest()
