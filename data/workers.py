"""Work on many items, spread over the processes of this machine or by Apache Beam."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing.process import BaseProcess
from typing import TypeVar

from tqdm import tqdm

from data.beam import Beam
from vimogen_jax.errors import BadInput
from vimogen_jax.stopping import told_to_end, unheard_by_children

Item = TypeVar("Item")
Result = TypeVar("Result")

_PATIENCE = 5.0  # seconds that a process may take to put away what is open
AT_ONCE = 512  # items; or quick processes would fill the memory before a slow reader


def spread(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int | Beam,
    unit: str,
    work: str,
) -> Generator[Result]:
    """Call a function on all items; the results in their order.

    Args:
        workers: how many processes of this machine share the items, or the Beam that spreads them.
        unit: of the progress bar.
        work: what processes did, for the sentence on one that was killed.

    Raises:
        BadInput: a process was killed or the pipeline failed; or what the function raises.
    """
    bar: Callable[[Iterable], Iterable] = lambda results: tqdm(
        results, f"{unit}s", len(items), unit=unit, disable=None
    )
    if isinstance(workers, Beam) or workers == 1:
        called = workers(function, items) if isinstance(workers, Beam) else map(function, items)
        yield from bar(called)
        return
    # Spawned, not forked: libraries have started threads in this process.
    context = multiprocessing.get_context("spawn")
    others = multiprocessing.active_children()
    pool = ProcessPoolExecutor(workers, context, _begin)

    def called_at_once(group: Sequence[Item]) -> Iterable[Result]:
        with unheard_by_children():  # processes start as calls come that no other waits for
            return pool.map(partial(_call, function), group, chunksize=8)

    groups = (items[first : first + AT_ONCE] for first in range(0, len(items), AT_ONCE))
    try:
        yield from bar(result for group in groups for result in called_at_once(group))
    except BrokenProcessPool:
        raise BadInput(
            f"a process that {work} was killed, as happens where memory runs out; fewer at "
            "once need less",
            remedy="workers",
        ) from None
    finally:
        ending = told_to_end()  # here, or where the results go
        if ending:  # else each would first do all that it was given
            _end([child for child in multiprocessing.active_children() if child not in others])
        # One that ended amid a result leaves a half, for whose rest the pool would wait for ever.
        pool.shutdown(wait=not ending)


def _call(function: Callable[[Item], Result], item: Item) -> Result:
    """Call a function; a process that is told to leave in it does so, once all is put away."""
    try:
        return function(item)
    except SystemExit as end:
        os._exit(int(end.code or 0))


def _end(processes: Sequence[BaseProcess]) -> None:
    """End processes, and wait until they have put away what is open."""
    for process in processes:
        process.terminate()
    until = time.monotonic() + _PATIENCE
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
        if process.exitcode is None:
            process.kill()


def _leave(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def _begin() -> None:
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # As many processes as cores: each computes with one thread.
    os.environ.setdefault(
        "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    )


def _end_with_parent() -> None:
    # However that ends: else this process would wait for more to do for ever.
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)  # so that programs that it has started end, too
    time.sleep(_PATIENCE)  # modules in C hear no signal
    os._exit(1)
