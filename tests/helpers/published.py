"""The published implementation's small models, converted as its files are and loaded as ours."""

import dataclasses
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp

from vimogen_jax.convert.checkpoint import to_package
from vimogen_jax.models.parameters import abstract_params
from vimogen_jax.package import Package, load_package


def published_package(
    golden_file: Callable[[str], Path], name: str, part: str = "params"
) -> Package:
    """The package that `launch.convert` makes of one of them, whose weights end in `part`."""
    config = json.loads(golden_file(f"{name}_config.json").read_text())["config"]
    weights = golden_file(f"{name}_{part}.safetensors")
    with tempfile.TemporaryDirectory() as out:
        to_package(weights, golden_file("mean.npy").parent, out, config["num_heads"])
        return load_package(out)


def published_model(
    golden_file: Callable[[str], Path], name: str, part: str = "params", text_rows: int = 0
):
    """The graph definition and parameters of one of them, in float32.

    The golden texts are shorter than the 226 rows of a package, so `text_rows` is given.
    """
    package = published_package(golden_file, name, part)
    config = dataclasses.replace(package.model, text_rows=text_rows)
    graphdef, _ = abstract_params(config)
    return graphdef, jax.tree.map(jnp.asarray, package.params)
