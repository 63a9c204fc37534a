"""Machines to plan for: descriptions of their devices, which compilers take for the devices."""

import contextlib
import dataclasses
import importlib.util
import os
import re
from typing import Any

import jax
from jax.experimental import topologies

from vimogen_jax.chips import CHIPS, Chip, published
from vimogen_jax.errors import BadInput
from vimogen_jax.files import first_line

# What a topology of each kind of chip looks like: any other has as many numbers.
EXAMPLES = dict(v5e="v5e:16x16", v5p="v5p:4x4x4", v6e="v6e:16x16") | {
    name: f"{name}:8" for name, chip in CHIPS.items() if chip.platform != "tpu"
}
KNOWN = f"{', '.join(EXAMPLES.values())}, other sizes of these, slices of TPUs as in 2xv5e:16x16"

# Without these libtpu asks the network what it runs on, warns, and lets one process at a time in.
LIBTPU = dict(
    TPU_SKIP_MDS_QUERY="1",
    TPU_WORKER_HOSTNAMES="localhost",
    TPU_ACCELERATOR_TYPE="v5litepod-16",
    ALLOW_MULTIPLE_LIBTPU_LOAD="1",
)

# What the GPU compiler asks about a device beyond the rates above.
_TARGET = """
gpu_device_info {{
  threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152
  shared_memory_per_core: {shared} threads_per_core_limit: {threads} core_count: {cores}
  fpus_per_core: {fpus} block_dim_limit_x: 2147483647 block_dim_limit_y: 65535
  block_dim_limit_z: 65535 memory_bandwidth: {bandwidth:.0f} l2_cache_size: {cache}
  clock_rate_ghz: {clock} device_memory_size: {memory:.0f} shared_memory_per_block_optin: {optin}
  cuda_compute_capability {{ major: {major} minor: {minor} feature_extension: {features} }}
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
  thread_dim_limit_x: 1024 thread_dim_limit_y: 1024 thread_dim_limit_z: 64
  device_vendor: "NVIDIA Corporation" device_address_bits: 64 name: "NVIDIA {name}"
  driver_version: "13.0.0" runtime_version: "13.0.0" compile_time_toolkit_version: "13.0.0"
  dnn_version: "9.10.0"
}}
platform_name: "CUDA" dnn_version_info {{ major: 9 minor: 10 patch: 0 }}
device_description_str: "NVIDIA {name}"
"""
_ACCELERATED = dict(features="ACCELERATED_FEATURES", shared=233472, optin=232448, threads=2048)
_AMPERE = dict(
    **dict(major=8, minor=0, features="NONE", cores=108, fpus=64, clock=1.41, cache=41943040),
    **dict(shared=167936, optin=166912, threads=2048),
)
_HOPPER = dict(major=9, minor=0, cores=132, fpus=128, clock=1.98, cache=52428800, **_ACCELERATED)
_TARGETS = dict(
    a100=_AMPERE,
    a100pcie=_AMPERE,
    h100=_HOPPER,
    h200=_HOPPER,
    b200=dict(major=10, minor=0, cores=148, fpus=128, clock=1.965, cache=132644864, **_ACCELERATED),
    l40s=dict(
        **dict(major=8, minor=9, features="NONE", cores=142, fpus=128, clock=2.52),
        **dict(cache=100663296, shared=102400, optin=101376, threads=1536),
    ),
)


@dataclasses.dataclass(frozen=True)
class Machine:
    """Devices of one kind, as `jax.sharding.Mesh` takes them, whether they are there or not."""

    topology: str
    chip: Chip
    devices: list[Any]
    slices: int = 1


def at_hand() -> Machine:
    """That of the devices which JAX has, in all processes."""
    devices = jax.devices()
    slices = {getattr(device, "slice_index", 0) for device in devices}
    return Machine(devices[0].device_kind, published(devices[0]), devices, len(slices))


def describe(topology: str) -> Machine:
    """The machine of a name such as `v5e:16x16`, `2xv5e:16x16`, `h200:8` or `cpu:8`.

    Raises:
        BadInput: the name is unknown, or the compiler for it is not installed.
    """
    match = re.fullmatch(r"(?:([1-9]\d*)x)?(\w+):([1-9]\d*(?:x[1-9]\d*)*)", topology)
    if not match or match[2] not in CHIPS:
        raise BadInput(f"topology {topology!r} is unknown; known are {KNOWN}")
    slices, name, shape = int(match[1] or 1), match[2], match[3]
    chip, example = CHIPS[name], EXAMPLES[name]
    # libtpu does not refuse every shape that it cannot have: of some it ends the process.
    if shape.count("x") != example.count("x"):
        raise BadInput(f"topology {topology!r} must have as many numbers as {example}")
    if chip.platform == "tpu":
        devices = _tpu(topology, f"{name}:{shape}", slices)
    elif slices > 1:
        raise BadInput(f"topology {topology!r}: only TPUs come in slices")
    elif chip.platform == "cuda":
        devices = _gpus(topology, name, int(shape))
    else:
        devices = _cpus(topology, int(shape))
    return Machine(topology, chip, devices, slices)


def _tpu(topology: str, name: str, slices: int) -> list[Any]:
    _require("libtpu", topology)
    for variable, value in LIBTPU.items():
        os.environ.setdefault(variable, value)
    options: dict[str, Any] = dict(num_slices=slices) if slices > 1 else {}
    if name.endswith(":1x1"):  # libtpu supposes hosts of 2 x 2
        options["chips_per_host_bounds"] = (1, 1, 1)
    try:
        return topologies.get_topology_desc(name, "tpu", **options).devices
    except (jax.errors.JaxRuntimeError, ValueError, NotImplementedError) as fault:
        raise BadInput(f"topology {topology!r} is refused by libtpu: {first_line(fault)}") from None


def _gpus(topology: str, name: str, number: int) -> list[Any]:
    chip = CHIPS[name]
    if number > 8 and not chip.network:
        raise BadInput(f"topology {topology!r}: no rate is published of what joins such hosts")
    _require("jax_cuda13_plugin", topology)
    hosts, rest = divmod(number, 8)
    if hosts and rest:
        raise BadInput(f"topology {topology!r}: a host has 8, so more must be a multiple of 8")
    target = _TARGET.format(
        **_TARGETS[name], bandwidth=chip.bandwidth, memory=chip.memory, name=name.upper()
    )
    shape = f"1x{hosts}x8" if hosts else f"1x1x{rest}"
    description = topologies.get_topology_desc("", "cuda", target_config=target, topology=shape)
    return description.devices


def _cpus(topology: str, number: int) -> list[Any]:
    with contextlib.suppress(RuntimeError):  # where JAX has started, what it has must do
        jax.config.update("jax_num_cpu_devices", number)
    devices = jax.devices("cpu")
    if len(devices) < number:
        raise BadInput(f"topology {topology!r}: JAX was started with {len(devices)} CPU devices")
    return devices[:number]


def _require(module: str, topology: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise BadInput(
            f"topology {topology!r} needs a compiler that is not here: "
            'pip install "vimogen_jax[plan]"'
        )
