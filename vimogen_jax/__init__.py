"""vimogen_jax: text to 3D human motion with a gated flow-matching transformer, in JAX."""

from typing import Any

__version__ = "0.1.0"
__all__ = ["Generator"]


def __getattr__(name: str) -> Any:
    # Lazy, so that data workers can import the NumPy rooms without loading the model.
    if name == "Generator":
        from vimogen_jax.generate import Generator

        return Generator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
