"""vimogen_jax: text to 3D human motion with a gated flow-matching transformer, in JAX."""

import importlib
import pkgutil
from typing import Any

__version__ = "0.1.0"
__all__ = ["Generator", "Request"]


def __getattr__(name: str) -> Any:
    # Lazy, so that data workers can import the NumPy rooms without loading the model.
    if name in __all__:
        return getattr(importlib.import_module("vimogen_jax.generate"), name)
    if name in _rooms():
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_rooms()})


def _rooms() -> list[str]:
    return [found.name for found in pkgutil.iter_modules(__path__)]
