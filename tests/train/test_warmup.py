"""Nothing is compiled once a run has begun its first step."""

import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from tests.helpers.repository import ROOT
from tests.helpers.runs import xla_flags
from tests.helpers.synthetic import make_record, write_dataset
from vimogen_jax.caches import cache_folder
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.input_pipeline.pipeline import Validation, make_loader


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Takes of three buckets, in batches and held out."""
    rng = np.random.default_rng(0)
    frames = [45] * 16 + [75] * 16 + [110] * 16 + [50] * 8 + [100] * 2
    takes = [make_record(rng, i, n) for i, n in enumerate(frames)]
    folder = tmp_path_factory.mktemp("data") / "dataset"
    write_dataset(folder, takes[:48], takes[48:])
    return folder


BUCKETS = (60, 80, 120, 200)


TRAINS = """
import sys
from absl import flags
import jax
from ml_collections import config_flags
from vimogen_jax.experiment import Experiment
from vimogen_jax.train.loop import train

jax.config.update("jax_log_compiles", True)
config = config_flags.DEFINE_config_file("config")
flags.FLAGS(sys.argv)
train(Experiment.from_config(config.value.to_dict()))
"""


def test_no_program_is_compiled_after_the_warm_up(runs, undisturbed, tmp_path):
    """With what was compiled for the undisturbed run, since a stored program is told as well."""
    environment = os.environ | dict(
        JAX_COMPILATION_CACHE_DIR=str(cache_folder("compiled")),
        XLA_FLAGS=xla_flags(1),
    )
    done = subprocess.run(
        [sys.executable, "-u", "-c", TRAINS, *runs.flags(tmp_path / "run")],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    before, _, after = done.stdout.partition("\ncompiled in ")
    assert "Finished XLA compilation of jit(train_step)" in before
    assert "previews in" in after and "validation_loss" in after
    assert [line for line in after.splitlines() if "Finished XLA compilation" in line] == []


def test_the_shapes_that_are_told_are_those_that_come(dataset):
    opened, settings = Dataset.open(dataset), dict(batch_size=16, shards=4, text_length=8)
    loader = make_loader(
        opened,
        "train",
        **settings,
        text_share=dict(high=0.5, low=0.5),
        null_text_probability=0.1,
        buckets=BUCKETS,
        seed=0,
    )
    validation = Validation(opened, **settings, reference=True, buckets=BUCKETS)
    for told, batches in (
        (loader.shapes, [next(loader) for _ in range(9)]),
        (validation.shapes, validation),
    ):
        of = lambda batch: tuple((x.shape, x.dtype) for x in batch if x is not None)
        assert {of(batch) for batch in batches} == {of(shapes) for shapes in told}
    loader.close()


FREES = """
import ctypes
import re
from vimogen_jax.train.warmup import give_back

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
held = lambda: int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
blocks = [ctypes.memset(libc.malloc(2**15), 1, 2**15) for _ in range(4000)]  # 125 MB
for block in blocks[:-1]:  # the last keeps the heap from shrinking by itself
    libc.free(block)
before = held()
give_back()
assert held() < before - 100, (before, held())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_what_was_freed_is_given_back():
    subprocess.run([sys.executable, "-c", FREES], cwd=ROOT, check=True)
