"""Wan 2.1 and 2.2 through diffusers, on a GPU: films as its authors publish their settings."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data.adapters.t2v.model import Scene
from vimogen_jax import __version__
from vimogen_jax.errors import BadInput
from vimogen_jax.viewer.mp4 import encode

# What Wan's authors advise against in every film.
NEGATIVE = "blurred, static picture, subtitles, overexposed, deformed limbs, cut, camera movement"


@dataclasses.dataclass(frozen=True)
class Variant:
    """One of the published models, and how its authors sample it.

    Attributes:
        repository: at Hugging Face.
        two_experts, expands: how its pipeline is told: a second transformer, timesteps by token.
        guidance: of the expert for noisy and, where there is one, for clean films.
        multiple: of both sides, pixels.
    """

    repository: str
    two_experts: bool
    expands: bool
    width: int
    height: int
    frames: int
    fps: int
    steps: int
    guidance: tuple[float, ...]
    multiple: int = 16


SHAPES = {
    "2.1-1.3b": Variant(
        "Wan-AI/Wan2.1-T2V-1.3B-Diffusers", False, False, 832, 480, 81, 16, 50, (5.0,)
    ),
    "2.1-14b": Variant(
        "Wan-AI/Wan2.1-T2V-14B-Diffusers", False, False, 832, 480, 81, 16, 50, (5.0,)
    ),
    "2.2-a14b": Variant(
        "Wan-AI/Wan2.2-T2V-A14B-Diffusers", True, False, 832, 480, 81, 16, 40, (4.0, 3.0)
    ),
    "2.2-5b": Variant(
        "Wan-AI/Wan2.2-TI2V-5B-Diffusers", False, True, 1280, 704, 121, 24, 50, (5.0,), 32
    ),
}
FORMS = f"{', '.join(SHAPES)}, or one of these, = and a folder"


class Wan:
    """A `TextToVideo` by diffusers' `WanPipeline`.

    A film depends on its scene alone, so batches and runs that go on give the same. The frames are
    as many as the seconds ask for, of the form 4k + 1, and at most the published number.
    """

    at_once = 1
    note = ""
    licence = "Apache-2.0"

    def __init__(self, form: str, offload: str = "none", pipeline: Any = None):
        """Load a model: `2.1-1.3b` and such, downloaded once, or `2.1-1.3b=FOLDER`.

        Args:
            offload: "model" keeps models in the host's memory that are not at work, "layers" every
                layer, which is slowest and needs least.
            pipeline: one that is loaded already.

        Raises:
            BadInput: there is no such model, diffusers is missing, or the folder holds another.
        """
        name, _, folder = form.partition("=")
        if name not in SHAPES:
            raise BadInput(f"wan is {FORMS}, not {form!r}")
        self._shape = SHAPES[name]
        self._pipeline = pipeline or _load(folder or self._shape.repository, offload)
        _require_shape(self._pipeline, self._shape, name)
        shape = {key: value for key, value in vars(self._shape).items() if key != "repository"}
        weights = folder or self._shape.repository
        self.settings: dict[str, Any] = dict(
            name="wan", version=__version__, weights=weights, negative=NEGATIVE, **shape
        )

    def given(self, scene: Scene) -> str:
        """Nothing else."""
        return ""

    def __call__(self, scenes: Sequence[Scene], folders: Sequence[Path]) -> list[Path | BadInput]:
        """See `TextToVideo`."""
        return [self._make(scene, folder) for scene, folder in zip(scenes, folders, strict=True)]

    def _make(self, scene: Scene, folder: Path) -> Path | BadInput:
        import torch  # pyright: ignore[reportMissingImports]

        shape = self._shape
        guidance = dict(zip(("guidance_scale", "guidance_scale_2"), shape.guidance, strict=False))
        try:
            made = self._pipeline(
                prompt=scene.text,
                negative_prompt=NEGATIVE,
                width=shape.width,
                height=shape.height,
                num_frames=frames_of(scene.seconds, shape),
                num_inference_steps=shape.steps,
                generator=torch.Generator("cpu").manual_seed(scene.seed),
                output_type="np",
                **guidance,
            )
        except torch.OutOfMemoryError:
            return BadInput(
                "the GPU has too little memory for a film; parts of the model can wait outside it",
                remedy="offload",
            )
        pictures = np.rint(255 * np.clip(np.asarray(made.frames[0]), 0, 1)).astype(np.uint8)
        film = folder / "film.mp4"
        encode(pictures, film, shape.fps)
        return film


def frames_of(seconds: float, shape: Variant) -> int:
    """How many frames a film of so many seconds has: 4k + 1, at most as published."""
    return min(4 * round(seconds * shape.fps / 4) + 1, shape.frames)


def _load(weights: str, offload: str) -> Any:
    try:
        import torch  # pyright: ignore[reportMissingImports]
        from diffusers import (  # pyright: ignore[reportMissingImports]
            AutoencoderKLWan,
            WanPipeline,
        )
    except ImportError:
        raise BadInput('wan needs diffusers: pip install "vimogen_jax[wan]"') from None
    try:
        vae = AutoencoderKLWan.from_pretrained(weights, subfolder="vae", dtype=torch.float32)
        pipeline = WanPipeline.from_pretrained(weights, vae=vae, dtype=torch.bfloat16)
    except (OSError, ValueError) as fault:
        said = str(fault).strip().split("\n")[0]
        raise BadInput(f"{weights} cannot be loaded as a Wan: {said}") from None
    if not torch.cuda.is_available():
        return pipeline
    try:
        match offload:
            case "model":
                pipeline.enable_model_cpu_offload()
            case "layers":
                pipeline.enable_sequential_cpu_offload()
            case _:
                pipeline.to("cuda")
    except torch.OutOfMemoryError:
        raise BadInput(
            f"{weights} does not fit the memory of the GPU; parts of it can wait outside it",
            remedy="offload",
        ) from None
    return pipeline


def _require_shape(pipeline: Any, shape: Variant, name: str) -> None:
    """Raise BadInput unless a pipeline is of the published kind that its settings are for."""
    found = (
        getattr(pipeline, "transformer_2", None) is not None,
        bool(pipeline.config.expand_timesteps),
    )
    if found != (shape.two_experts, shape.expands):
        raise BadInput(f"these weights are not of Wan {name}: their pipeline has another shape")
    if shape.width % shape.multiple or shape.height % shape.multiple or shape.frames % 4 != 1:
        raise BadInput(f"Wan {name} cannot make {shape.frames} of {shape.width} x {shape.height}")
