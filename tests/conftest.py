"""Shared fixtures; forces eight CPU devices before JAX starts, so that sharding is exercised."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp()  # in place of the user's caches
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"  # else a command would start itself again
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
)

import numpy as np
import pytest

atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)

SHARED = Path(os.environ.get("VIMOGEN_SHARED", Path(__file__).parents[2] / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference material, or a skip where a checkout stands alone."""
    if not SHARED.is_dir():
        pytest.skip(f"reference material not found at {SHARED}; set VIMOGEN_SHARED")
    return SHARED


@pytest.fixture(scope="session")
def golden(shared):
    """`golden("name")` loads an array file of the published implementation's numbers."""

    def load(name: str) -> dict[str, np.ndarray]:
        with np.load(shared / "golden" / f"{name}.npz") as arrays:
            return dict(arrays)

    return load
