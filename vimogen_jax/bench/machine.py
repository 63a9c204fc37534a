"""What the devices at hand can do at most, measured, and the memory that they have."""

import os
import time
from typing import Any

import jax
import jax.numpy as jnp


def memory(device: Any) -> int | None:
    """Bytes that programs on a device may take together; None where nobody says."""
    limit = (device.memory_stats() or {}).get("bytes_limit")
    if limit or not hasattr(os, "sysconf"):  # which Windows lacks
        return limit
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


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
