"""What the devices at hand can do at most: published and measured rates, and their memory."""

import os
import time
from typing import Any

import jax
import jax.numpy as jnp

from vimogen_jax.planning.hardware import CHIPS, Chip

# By what JAX calls a device, what `planning.hardware` calls it.
KINDS = {
    "TPU v5 lite": "v5e",
    "TPU v5": "v5p",
    "TPU v6 lite": "v6e",
    "NVIDIA A100-SXM4-80GB": "a100",
    "NVIDIA A100 80GB PCIe": "a100pcie",
    "NVIDIA L40S": "l40s",
    "NVIDIA H100 80GB HBM3": "h100",
    "NVIDIA H200": "h200",
    "NVIDIA B200": "b200",
}


def published(device: Any) -> Chip:
    """What its maker says of a device; of one that is unknown, nothing."""
    return CHIPS[KINDS.get(device.device_kind, "cpu")]


def memory(device: Any) -> int:
    """Bytes that programs on a device may take together."""
    limit = (device.memory_stats() or {}).get("bytes_limit")
    return limit or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def product_rate(device: Any, dtype: str) -> float:
    """The rate of products of large square matrices on one device, measured: operations a second.

    Matrices grow until a product takes a hundredth of a second; the best of five runs counts.
    """
    size, seconds = 512, 0.0
    product = jax.jit(jnp.matmul)
    while seconds < 0.01:
        size *= 2
        key = jax.random.key(0)
        x = jax.device_put(jax.random.normal(key, (size, size), dtype), device)
        product(x, x).block_until_ready()
        seconds = min(_seconds(product, x) for _ in range(5))
    return 2 * size**3 / seconds


def _seconds(product: Any, x: jax.Array) -> float:
    begun = time.perf_counter()
    product(x, x).block_until_ready()
    return time.perf_counter() - begun
