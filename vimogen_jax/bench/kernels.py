"""The speed of each kernel of attention on the device at hand, by length of the sequence."""

import dataclasses
import statistics
import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from vimogen_jax.files import first_line
from vimogen_jax.models.attention_kernels import KERNELS, available
from vimogen_jax.models.vimogen import ModelConfig

LENGTHS = (40, 80, 120, 160, 200, 512, 1024)
FRAMES = 12_800  # of a batch: as many samples as have so many
WARM_UP = 2  # calls that do not count


@dataclasses.dataclass(frozen=True)
class KernelSpeed:
    """Median wall times, by kernel, of attending and its gradients for a batch of one length.

    A kernel that fails has the reason in `faults`.
    """

    frames: int
    samples: int
    seconds: dict[str, float]
    faults: dict[str, str]


def bench_kernels(
    model: ModelConfig, *, repeats: int, lengths: Sequence[int] = LENGTHS
) -> list[KernelSpeed]:
    """Measure self-attention of a config's heads on one device, all frames of a batch real."""
    return [_bench(model, frames, repeats) for frames in lengths]


def _bench(model: ModelConfig, frames: int, repeats: int) -> KernelSpeed:
    samples = max(1, FRAMES // frames)
    shape = (1, samples, frames, model.num_heads, model.dim // model.num_heads)
    keys = jax.random.split(jax.random.key(0), 3)
    arrays = [jax.random.normal(key, shape, model.dtype) for key in keys]
    mask = jnp.ones(shape[:3], bool)
    speed = KernelSpeed(frames, samples, {}, {})
    for name in available(jax.default_backend(), *arrays[:2]):
        loss = lambda *args, name=name: KERNELS[name](*args).astype(jnp.float32).sum()
        try:
            seconds = _time(jax.jit(jax.value_and_grad(loss, (0, 1, 2))), (*arrays, mask), repeats)
        except RuntimeError as fault:
            speed.faults[name] = first_line(fault)
        else:
            speed.seconds[name] = seconds
    return speed


def _time(function: Any, arguments: Any, repeats: int) -> float:
    times = []
    for _ in range(WARM_UP + repeats):
        begun = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - begun)
    return statistics.median(times[WARM_UP:])
