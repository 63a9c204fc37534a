"""All programs of a run, compiled side by side before its first step.

Compiled in the middle, each would hold up all hosts; and what hosts compile, they can compare.
"""

import ctypes
import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax

from vimogen_jax.input_pipeline.batch import Batch, Shape, filled
from vimogen_jax.sharding import batch_sharding
from vimogen_jax.train.agreement import hash_of, require_agreement

# As they stand in a compiled program; a host that met another one would wait for good.
_COLLECTIVE = re.compile(
    r"= (\S+) (all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter)(?:-start)?\("
)


def laid_out(shapes: Batch[Shape], mesh: jax.sharding.Mesh) -> Batch[jax.ShapeDtypeStruct]:
    """Shapes of a batch over all processes, as programs are compiled for them."""
    layout = batch_sharding(mesh)
    batch = filled(shapes, lambda each: jax.ShapeDtypeStruct(*each, sharding=layout))
    return batch._replace(record=None)


def give_back() -> None:
    """Give the system what the compiler has freed, which glibc would keep for good."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def compile_all(
    programs: Mapping[str, Sequence[jax.stages.Lowered]], progress: Callable[[str], None]
) -> None:
    """Compile lowered programs, by their names, so that later calls find them.

    progress: is told each that is done.

    Raises:
        BadInput: on all processes, where one has other programs than the first, or other
            collective operations in one.
    """
    named = {
        f"the program {name} {i}": lowered
        for name, all_of_it in programs.items()
        for i, lowered in enumerate(all_of_it)
    }
    require_agreement("programs", {name: hash_of(low.as_text()) for name, low in named.items()})

    def compiled(name: str) -> tuple[str, Any]:
        text = named[name].compile().as_text() or ""
        progress(f"compile, of which {name} is done")
        return name, hash_of(repr(_COLLECTIVE.findall(text)))

    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        collectives = dict(pool.map(compiled, named))
    finally:  # who stops the run does not wait for what is being compiled
        pool.shutdown(wait=False, cancel_futures=True)
    give_back()
    require_agreement("compiled", collectives)
