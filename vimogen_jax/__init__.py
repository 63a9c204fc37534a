"""vimogen_jax: text to 3D human motion with a gated flow-matching transformer, in JAX."""

import importlib
from typing import Any

__version__ = "0.1.0"
# Where what most users need lies.
_HOMES = {
    **dict.fromkeys(("Generator", "Request", "generate"), "generator"),
    **dict.fromkeys(("Animation", "read", "show"), "animation"),
}
__all__ = ["Animation", "Generator", "Request", "generate", "read", "show"]


def __getattr__(name: str) -> Any:
    # Lazy, so that data workers can import the NumPy rooms without loading the model.
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    try:
        return importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as fault:
        if fault.name != f"{__name__}.{name}":
            raise
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    import pkgutil  # here, as it takes longer than all else that a command needs to begin

    rooms = (found.name for found in pkgutil.iter_modules(__path__))
    return sorted({*globals(), *__all__, *rooms})
