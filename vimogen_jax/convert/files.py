"""Weights as they are passed on: .pt, safetensors, and folders of safetensors with an index.

Whatever the file, its tensors come as arrays that are mapped into memory and read when used.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from etils import epath
from jaxtyping import Shaped

from vimogen_jax.errors import BadInput
from vimogen_jax.tensors import SAFETENSORS_DTYPES, map_folder, map_tensors

TORCH_SUFFIXES = (".pt", ".pth")
# Where training scripts keep the weights in what they save; the first that is there is taken.
_NESTS = ("state_dict", "model", "module", "ema")


def map_weights(path: str | Path) -> tuple[dict[str, Shaped[np.ndarray, "..."]], str]:
    """The arrays of a file or folder by name, and what they were taken from, in words.

    Raises:
        BadInput: it is missing, damaged, of another kind, would run code, or holds what is not an
            array of floats.
    """
    path = Path(path)
    if path.is_dir():
        tensors, taken = map_folder(path)
        return tensors, str(taken)
    if not path.is_file():
        raise BadInput(f"{path} is missing")
    if path.suffix == ".safetensors":
        return map_tensors(path), str(path)
    if path.suffix in TORCH_SUFFIXES:
        return _map_torch(path)
    raise BadInput(f"{path} is neither .safetensors nor {' nor '.join(TORCH_SUFFIXES)}")


def copy_to_torch(source: epath.PathLike, path: epath.PathLike) -> None:
    """Write the tensors of a safetensors file as a .pt."""
    torch = import_torch(path)
    tensors = map_tensors(source)
    torch.save({name: to_torch(torch, array) for name, array in tensors.items()}, path)


def _map_torch(path: Path) -> tuple[dict[str, Shaped[np.ndarray, "..."]], str]:
    """The tensors of a .pt; torch's loader of weights runs no code."""
    torch = import_torch(path)
    try:
        content = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except pickle.UnpicklingError:
        raise BadInput(
            f"{path} holds more than tensors, or is damaged: loading it could run code, so it is "
            "refused"
        ) from None
    except (RuntimeError, EOFError, OSError) as fault:
        reason = next(iter(str(fault).splitlines()), "")
        raise BadInput(f"{path} is not a whole .pt of tensors: {reason}") from None
    taken = str(path)
    if isinstance(content, Mapping):
        nest = next((name for name in _NESTS if isinstance(content.get(name), Mapping)), None)
        if nest is not None:
            passed_over = sorted(str(name) for name in content if name != nest)
            taken += f", its {nest!r}"
            taken += f" (not its {', '.join(passed_over)})" if passed_over else ""
            content = content[nest]
    if not isinstance(content, Mapping):
        raise BadInput(f"{path} holds a {type(content).__name__}, not tensors by name")
    return {str(key): _from_torch(torch, path, key, value) for key, value in content.items()}, taken


def _from_torch(torch: Any, path: Path, key: str, value: Any) -> np.ndarray:
    if not isinstance(value, torch.Tensor):
        raise BadInput(f"{path}: {key} is a {type(value).__name__}, not a tensor")
    if value.dtype == torch.bfloat16:
        return value.detach().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    if value.dtype not in (torch.float16, torch.float32, torch.float64):
        raise BadInput(
            f"{path}: tensor {key} is {value.dtype}, not {', '.join(SAFETENSORS_DTYPES)}"
        )
    return value.detach().numpy()


def to_torch(torch: Any, array: Shaped[np.ndarray, "..."]) -> Any:
    """The array as a tensor of the module `torch`, sharing memory."""
    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def import_torch(path: epath.PathLike) -> Any:
    """torch, which the file needs; BadInput where it is not installed."""
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise BadInput(
            f'{path} needs PyTorch, which is not installed: pip install "vimogen_jax[torch]"'
        ) from None
    return torch
