"""Chips to train on: the rates that their makers publish, which no program reaches.

TPUs: cloud.google.com/tpu/docs/v5e, /v5p and /v6e; the network is that of a host, shared by its
chips (2 x 100 Gbit/s for 8 chips of v5e, 50 Gbit/s a chip of v5p, 4 x 200 Gbit/s for 8 of v6e).

GPUs: NVIDIA's data sheets "A100 80GB" (SXM and PCIe), "H100" (SXM), "H200" (SXM), "HGX B200" (an
eighth of it) and "L40S": bfloat16 without sparsity, and of links, which they give for both
directions together, one. The network is that of DGX A100, H100, H200 and B200: an adapter for each
GPU, of 200 Gbit/s in the first and 400 in the others.
"""

import dataclasses
import math
from typing import Any

GIB = 2**30


@dataclasses.dataclass(frozen=True)
class Chip:
    """One device.

    Attributes:
        platform: "tpu", "cuda" or "cpu".
        memory: of the device, bytes; what the compiler itself grants may be a little less.
        flops: greatest rate of bfloat16 matrix products, a second.
        bandwidth: of the memory, bytes a second.
        links: bytes a second that it sends to its neighbours over all links together; on GPU over
            NVLink within the host, or over PCIe where there is none.
        ports: how many links that are.
        network: bytes a second that it sends to other slices or hosts; 0 where its maker names no
            rate.
        clock: of the matrix units, Hz; 0 where the compiler does not estimate cycles.
    """

    platform: str
    memory: float = math.inf
    flops: float = math.inf
    bandwidth: float = math.inf
    links: float = math.inf
    ports: int = 1
    network: float = math.inf
    clock: float = 0.0


CHIPS = {
    "v5e": Chip("tpu", 16 * GIB, 197e12, 819e9, 200e9, 4, 3.125e9, 1.5e9),
    "v5p": Chip("tpu", 95 * GIB, 459e12, 2765e9, 600e9, 6, 6.25e9, 1.75e9),
    "v6e": Chip("tpu", 32 * GIB, 918e12, 1640e9, 448e9, 4, 12.5e9, 1.75e9),
    "a100": Chip("cuda", 80e9, 312e12, 2039e9, 300e9, network=25e9),
    "a100pcie": Chip("cuda", 80e9, 312e12, 1935e9, 32e9, network=0),
    "h100": Chip("cuda", 80e9, 989e12, 3350e9, 450e9, network=50e9),
    "h200": Chip("cuda", 141e9, 989e12, 4800e9, 450e9, network=50e9),
    "b200": Chip("cuda", 180e9, 2250e12, 8000e9, 900e9, network=50e9),
    "l40s": Chip("cuda", 48e9, 362e12, 864e9, 32e9, network=0),
    "cpu": Chip("cpu"),
}
# By what JAX calls a device.
_KINDS = {
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
    """What its maker says of a device; of one that is unknown, as of CPUs, nothing."""
    return CHIPS[_KINDS.get(device.device_kind, "cpu")]
