"""Shared fixtures; before JAX starts, eight CPU devices to shard over and a fast compiler."""

import atexit
import ctypes
import lzma
import os
import shutil
import signal
import tempfile
from pathlib import Path

# In place of the user's caches, one folder of all workers and of what they start, with whatever
# any of them compiled.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"  # else a command would start itself again
# What a test computes takes less time than making programs fast would. AVX has no products that are
# added in the same rounding, which the emitter of least work would make here and not there.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
    + " --xla_cpu_parallel_codegen_split_count=1 --xla_cpu_max_isa=AVX"
    + " --xla_force_host_platform_device_count=8"
)

import jax
import jaxtyping
import numpy as np
import pytest

from tests.helpers import typechecker
from vimogen_jax.caches import cache_folder

# Before they are imported: annotations, shapes and all, hold in every call of a test. But for
# `viewer.raster`: Numba does not compile functions that are checked.
LIBRARY = Path(__file__).parents[1] / "vimogen_jax"
TYPED = {
    ".".join(path.relative_to(LIBRARY.parent).with_suffix("").parts)
    for path in LIBRARY.rglob("*.py")
} - {"vimogen_jax.viewer.raster"}
jaxtyping.jaxtyped = typechecker.jaxtyped  # which the hook's decorators are
jaxtyping.install_import_hook(["data", "eval", *TYPED], "tests.helpers.typechecker.checked")

# Started in the background, they and what they start would ignore the Ctrl-C that is tested.
signal.signal(signal.SIGINT, signal.default_int_handler)
# As commands do, see launch/cli.py.
jax.config.update("jax_compilation_cache_dir", str(cache_folder("compiled")))

SHARED = Path(os.environ.get("VIMOGEN_SHARED", Path(__file__).parents[2] / "shared"))
MISSING = f"reference material not found at {SHARED}; set VIMOGEN_SHARED"
GOLDEN = Path(__file__).parent / "golden"
MEMORY = 3 * 2**30  # bytes for a worker and what it starts


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_auto_num_workers() -> int:
    """A worker a core, as far as there is memory for them."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(os.cpu_count() or 1, memory // MEMORY))


@pytest.fixture(scope="module", autouse=True)
def _memory_goes_back():
    """Drop after each file the programs it compiled; glibc would keep their memory."""
    yield
    jax.clear_caches()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)


@pytest.fixture
def unchecked():
    """Lets annotations pass, to see what functions refuse by themselves."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference material, or a skip where a checkout stands alone."""
    if not SHARED.is_dir():
        pytest.skip(MISSING)
    return SHARED


@pytest.fixture(scope="session")
def golden_file(tmp_path_factory):
    """`golden_file("name")`: a file of the published implementation's numbers.

    It is shipped, perhaps compressed, or of the reference material; a skip where it is neither.
    """
    unpacked = tmp_path_factory.mktemp("golden")

    def find(name: str) -> Path:
        if (GOLDEN / name).is_file():
            return GOLDEN / name
        if (GOLDEN / f"{name}.xz").is_file():
            (unpacked / name).write_bytes(lzma.decompress((GOLDEN / f"{name}.xz").read_bytes()))
            return unpacked / name
        if (SHARED / "golden" / name).is_file():
            return SHARED / "golden" / name
        pytest.skip(f"published numbers beyond those shipped: {MISSING}")

    return find


@pytest.fixture(scope="session")
def golden(golden_file):
    """`golden("name")` loads an array file of the published implementation's numbers."""

    def load(name: str) -> dict[str, np.ndarray]:
        with np.load(golden_file(f"{name}.npz")) as arrays:
            return dict(arrays)

    return load
