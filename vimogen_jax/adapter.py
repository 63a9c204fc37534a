"""A LoRA adapter as it is passed on: a folder of a few megabytes, of use with its base alone.

adapter.safetensors  the factors A and B of each map, named by their path in the model joined by "."
config.json          base (a hash of its weights), lora (rank, alpha, targets), step
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vimogen_jax.config import parse
from vimogen_jax.errors import BadInput
from vimogen_jax.files import write_json
from vimogen_jax.models.lora import ADAPTER, LoRAConfig, merged
from vimogen_jax.models.parameters import abstract_params, fingerprint, flatten, unflatten
from vimogen_jax.package import SCHEMA_VERSION, Package, read_config, read_weights
from vimogen_jax.tensors import write_tensors

FILES = WEIGHTS, CONFIG = "adapter.safetensors", "config.json"


@dataclasses.dataclass(frozen=True)
class Adapter:
    """What LoRA learnt.

    Attributes:
        base: `fingerprint` of the weights that it belongs to.
        lora: its sizes and targets.
        step: of the training.
        params: nested dictionaries of float32 arrays.
    """

    base: str
    lora: LoRAConfig
    step: int
    params: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def save_adapter(folder: str | Path, adapter: Adapter) -> None:
    """Write an adapter's folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder / WEIGHTS, flatten(adapter.params))
    config = dict(base=adapter.base, lora=dataclasses.asdict(adapter.lora), step=adapter.step)
    write_json(dict(schema_version=SCHEMA_VERSION) | config, folder / CONFIG)


def apply_adapter(package: Package, folder: str | Path) -> Package:
    """The package with the adapter of a folder folded into its weights.

    Raises:
        BadInput: a file is missing or damaged, or the adapter belongs to other weights.
    """
    folder = Path(folder)
    config = read_config(folder / CONFIG)
    about = {key: config[key] for key in ("base", "lora", "step") if key in config}
    adapter = parse(Adapter, about, f"{folder / CONFIG}: config")
    if adapter.base != fingerprint(package.params):
        raise BadInput(f"{folder} is an adapter to other weights than those of the checkpoint")
    _, shapes = abstract_params(package.model, adapter.lora)
    expected = {name: x for name, x in flatten(shapes).items() if f".{ADAPTER}." in name}
    factors = unflatten(read_weights(folder / WEIGHTS, expected))
    return dataclasses.replace(package, params=merged(package.params, factors, adapter.lora))
