"""BlazePose's detector and landmark network as JAX functions, batched and jitted.

A network is a table of operations (`graphs.json`) and its weights (`NETWORK.safetensors`, float16),
made once from the published files by `launch.convert_blazepose`; here each operation is a line or
a few. Computed in float32 (Bazarevsky et al. 2020; the numbers of LiteRT are met by a test).
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from vimogen_jax.files import read_json
from vimogen_jax.tensors import map_tensors

Tensors = dict[str, Float[Array, "..."]]  # by name

ASSETS = Path(__file__).parents[1] / "assets" / "blazepose"
DETECTOR_SIZE, LANDMARK_SIZE = 224, 256  # pixels of a side
NUM_LANDMARKS = 39  # 33 of the body, of which 0 to 32; the last ones are for the next frame's crop

_ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "none": lambda x: x,
    "relu": jax.nn.relu,
    "relu6": jax.nn.relu6,
}


def detector(images: Float[np.ndarray, "n 224 224 3"]) -> dict[str, Float[np.ndarray, "n ..."]]:
    """Find people in pictures, RGB in 0 to 1.

    Returns:
        boxes `[n 2254 12]`: centre, size and four points of each anchor's person, in pixels
        from the anchor; scores `[n 2254 1]`, before the sigmoid.
    """
    return _run("detector", 2 * np.asarray(images, np.float32) - 1)


def landmarks(images: Float[np.ndarray, "n 256 256 3"]) -> dict[str, Float[np.ndarray, "n ..."]]:
    """Read a person who fills the picture upright, RGB in 0 to 1.

    Returns:
        landmarks `[n 195]`: 39 times x, y, z in pixels, visibility and presence before the
        sigmoid; presence `[n 1]` of a person, 0 to 1; heatmaps `[n 64 64 39]` before the sigmoid;
        world `[n 117]`: 39 times x, y, z in metres from the middle of the hips.
    """
    return _run("landmarks", np.asarray(images, np.float32))


def _run(network: str, images: np.ndarray) -> dict[str, np.ndarray]:
    function, weights = load(network)
    return {name: np.asarray(value) for name, value in function(weights, images).items()}


@functools.cache
def load(network: str) -> tuple[Callable[..., Tensors], Tensors]:
    """The jitted function of a network, from weights and images to outputs by name; its weights.

    Raises:
        BadInput: a file of the installation is missing or damaged.
    """
    graph = read_json(ASSETS / "graphs.json")[network]
    weights = map_tensors(ASSETS / f"{network}.safetensors")
    on_device = {name: jnp.asarray(value, jnp.float32) for name, value in weights.items()}
    return jax.jit(functools.partial(evaluate, graph)), on_device


def evaluate(
    graph: list[dict[str, Any]], weights: Tensors, images: Float[Array, "n h w 3"]
) -> Tensors:
    """Compute the named values of a graph from images."""
    values: dict[str | int, jax.Array] = {"image": images}
    for entry in graph:
        inputs = [values[name] for name in entry["inputs"]]
        kernel = [weights[entry[kind]] for kind in ("kernel", "bias") if kind in entry]
        result = _OPERATIONS[entry["op"]](entry, *inputs, *kernel)
        values[entry["output"]] = _ACTIVATIONS[entry.get("activation", "none")](result)
    del values["image"]
    return {name: value for name, value in values.items() if isinstance(name, str)}


def _conv(entry: dict, x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    if kernel.shape[1:3] == (1, 1) and entry["stride"] == 1:  # a product, and faster as one
        return jnp.einsum("nhwc,dc->nhwd", x, kernel[:, 0, 0]) + bias
    return bias + lax.conv_general_dilated(
        x,
        kernel,
        (entry["stride"],) * 2,
        entry["padding"],
        dimension_numbers=("NHWC", "OHWI", "NHWC"),
    )


def _depthwise(entry: dict, x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    """Shifted products: XLA's grouped convolution takes six times as long on a CPU."""
    height, width = kernel.shape[1:3]
    stride = entry["stride"]
    if entry["padding"] == "SAME":
        x = jnp.pad(
            x, ((0, 0), *(_same(x.shape[i], kernel.shape[i], stride) for i in (1, 2)), (0, 0))
        )
    rows, columns = ((x.shape[i] - kernel.shape[i]) // stride + 1 for i in (1, 2))
    y = bias
    for i in range(height):
        for j in range(width):
            moved = x[:, i : i + (rows - 1) * stride + 1 : stride]
            y = y + moved[:, :, j : j + (columns - 1) * stride + 1 : stride] * kernel[0, i, j]
    return y


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's padding: what is odd goes behind."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _resize(entry: dict, x: jax.Array) -> jax.Array:
    """Bilinear, as two products with small matrices."""
    rows, columns = (
        _weights(size, x.shape[axis], entry["half_pixel"])
        for axis, size in enumerate(entry["size"], start=1)
    )
    return jnp.einsum("yh,nhwc,xw->nyxc", rows, x, columns)


def _weights(out: int, size: int, half_pixel: bool) -> np.ndarray:
    """How much each of `size` inputs counts for each of `out` outputs: `[out size]`."""
    source = np.arange(out) * size / out
    if half_pixel:
        source = np.maximum((np.arange(out) + 0.5) * size / out - 0.5, 0)
    lower = np.minimum(source.astype(int), size - 1)
    weights = np.zeros((out, size), np.float32)
    np.add.at(weights, (np.arange(out), lower), 1 - (source - lower))
    np.add.at(weights, (np.arange(out), np.minimum(lower + 1, size - 1)), source - lower)
    return weights


def _depth_to_space(entry: dict, x: jax.Array) -> jax.Array:
    n, h, w, c = x.shape
    block = entry["block"]
    x = x.reshape(n, h, w, block, block, c // block**2).swapaxes(2, 3)
    return x.reshape(n, h * block, w * block, -1)


def _max_pool(entry: dict, x: jax.Array) -> jax.Array:
    window, strides = ((1, entry[name], entry[name], 1) for name in ("size", "stride"))
    return lax.reduce_window(x, -jnp.inf, lax.max, window, strides, "SAME")


_OPERATIONS: dict[str, Callable[..., jax.Array]] = {
    "conv_2d": _conv,
    "depthwise_conv_2d": _depthwise,
    "resize_bilinear": _resize,
    "depth_to_space": _depth_to_space,
    "max_pool_2d": _max_pool,
    "add": lambda entry, a, b: a + b,
    "pad": lambda entry, x: jnp.pad(x, entry["amounts"]),
    "reshape": lambda entry, x: x.reshape(len(x), *entry["shape"][1:]),
    "logistic": lambda entry, x: jax.nn.sigmoid(x),
    "concatenation": lambda entry, *parts: jnp.concatenate(parts, entry["axis"]),
}
