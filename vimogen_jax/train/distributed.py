"""Several processes as one run: how they find each other, stop together and fail together.

Each process drives its own devices and all of them run the same program. Only the first, process
0, writes and prints.
"""

import atexit
import contextlib
import faulthandler
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import jax
import numpy as np
from jax._src import distributed  # the client of the coordinator has no public name
from jax.experimental import multihost_utils

from vimogen_jax.errors import BadInput, Interrupted

# Seconds that a process which ends badly stays, so that the others can read why.
_FAREWELL = 3
_A_DAY = 24 * 3600 * 1000  # in milliseconds: that one hangs is for others to notice
_ENDED = "vimogen/ended/"
_STOPPING = b"stopping once the step is finished and saved; a second Ctrl-C ends the run at once\n"


@contextlib.contextmanager
def joined(
    coordinator_address: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    *,
    lost_after: int = 120,
) -> Iterator[None]:
    """Run a block as one of several processes, none of which outlives another's failure.

    What is not given is found where SLURM, Open MPI, Cloud TPU or Kubernetes started the process;
    where none of them did, it stays alone. A process that ends for a reason of its own takes the
    others along, which repeat it, with exit status 1. One that is lost ends all others, whatever
    they wait for, with a sentence on stderr and the exit status of `Interrupted`.

    Args:
        coordinator_address: host and port of process 0, where the processes meet.
        num_processes: how many there are.
        process_id: this one's index among them, from 0.
        lost_after: seconds without a sign of life after which a process counts as lost; a pause of
            fewer is waited for.

    Raises:
        BadInput: the three do not fit each other, or the address cannot be used.
    """
    _meet(coordinator_address, num_processes, process_id, lost_after)
    if jax.process_count() == 1:
        yield
        return
    over = threading.Event()
    watch = threading.Thread(target=_watch, args=(over,), daemon=True)
    watch.start()
    try:
        yield
    except BaseException as fault:
        if isinstance(fault, jax.errors.JaxRuntimeError):
            watch.join(lost_after + 10)  # most likely another was lost: the watch tells which
        elif isinstance(fault, BadInput) and not isinstance(fault, Interrupted):
            over.set()  # its own reason is the one to be told here
            _tell_others(1, str(fault))
        status = Interrupted.STATUS if _may_pass(fault) else 1
        atexit.register(os._exit, status)  # JAX would wait for the others, and they for this one
        raise
    else:
        over.set()
        jax.distributed.shutdown()  # once all are here
        watch.join(lost_after)


def end_all(status: int, reason: str) -> NoReturn:
    """End all processes of the run at once, wherever their threads are; each tells its stacks."""
    several = jax.process_count() > 1
    who = f"process {jax.process_index()} (host {socket.gethostname()})"
    print(f"error: {f'{who}: ' if several else ''}{reason}", file=sys.stderr, flush=True)
    _tell_stacks()
    if several:
        _tell_others(status, reason)
    os._exit(status)


def is_first() -> bool:
    """Whether this is the process that writes and prints."""
    return jax.process_index() == 0


def everywhere(fact: bool) -> bool:
    """Whether something is so on all processes, each of which must ask."""
    return bool(multihost_utils.process_allgather(np.array(fact)).all())


def told_by_all(what: str, text: str) -> list[str]:
    """What each process tells of something, in their order; each must tell, once.

    It goes over the coordinator, not the devices: these need not run the same program yet.
    """
    if jax.process_count() == 1:
        return [text]
    folder = f"vimogen/{what}/"
    _client().key_value_set(f"{folder}{jax.process_index():06}", text)
    _client().wait_at_barrier(folder, _A_DAY)
    return [told for _, told in sorted(_client().key_value_dir_get(folder))]


@contextlib.contextmanager
def stop_requests() -> Iterator[Callable[[int], str | None]]:
    """SIGTERM and SIGINT ask the run to stop, instead of ending the process; a second SIGINT does.

    The callable is asked before the first step and after each, with how many are done, and says who
    wants to stop. Until then a process that is alone ends as it would: nothing is to be saved.
    Among several processes a SIGTERM to one, such as the notice that its machine will be taken
    away, stops all after the same step.
    """
    asked: list[signal.Signals] = []
    alone, begun = jax.process_count() == 1, False

    def ask(number: int, _: object) -> None:
        if alone and not begun:
            signal.signal(number, before[signal.Signals(number)])
            signal.raise_signal(number)
            return
        if not asked:  # a step may take long
            os.write(2, _STOPPING)
        asked.append(signal.Signals(number))
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        if not alone:
            signal.raise_signal(signal.SIGTERM)  # which JAX listens for

    def requested(step: int) -> str | None:
        nonlocal begun
        begun = True
        if alone:
            return asked[0].name if asked else None
        return "SIGTERM" if multihost_utils.reached_preemption_sync_point(step) else None

    numbers = (signal.SIGTERM, signal.SIGINT) if alone else (signal.SIGINT,)
    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield requested
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _meet(
    coordinator_address: str | None,
    num_processes: int | None,
    process_id: int | None,
    lost_after: int,
) -> None:
    """Connect to the other processes, if there are any."""
    # On CPUs, those who wait for one another give up at their own time: after 30 s, if unset.
    flag = "--xla_cpu_collective_timeout_seconds"
    if flag not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}={lost_after}".strip()
    if coordinator_address and not coordinator_address.rpartition(":")[2].isdigit():
        raise BadInput(f"coordinator_address {coordinator_address!r} is not HOST:PORT")
    try:
        jax.distributed.initialize(
            coordinator_address,
            num_processes,
            process_id,
            local_device_ids=[] if _alone_on_its_node() else None,  # none named: all are used
            heartbeat_timeout_seconds=lost_after,
        )
    except ValueError as fault:
        if (num_processes, process_id) != (None, None) or "coordinator_address" not in str(fault):
            raise BadInput(f"the processes of this run are not known: {fault}") from None
    except jax.errors.JaxRuntimeError as fault:
        raise BadInput(f"the processes cannot meet at {coordinator_address}: {fault}") from None


def _alone_on_its_node() -> bool:
    """Whether SLURM or Open MPI started one process a node, which drives all of its devices.

    JAX takes each for one of many, that has the device of its own number.
    """
    environment = os.environ
    if "SLURM_STEP_NUM_NODES" in environment:
        return environment["SLURM_STEP_NUM_NODES"] == environment.get("SLURM_NTASKS")
    return environment.get("OMPI_COMM_WORLD_LOCAL_SIZE") == "1"


def _may_pass(fault: BaseException) -> bool:
    """Whether the run may go on where it is started again: devices and links fail, and recover."""
    if isinstance(fault, jax.errors.JaxRuntimeError):
        return not str(fault).startswith(("RESOURCE_EXHAUSTED", "INVALID_ARGUMENT"))
    return isinstance(fault, Interrupted)


def _watch(over: threading.Event) -> None:
    """End this process when another is lost: it may be waiting for it where no error arrives."""
    client, everyone = _client(), range(jax.process_count())
    while True:
        try:
            ended = client.key_value_dir_get(_ENDED)
            alive = client.get_live_nodes(list(everyone))  # returns once all who live ask
            lost = [i for i in everyone if i not in alive]
        except jax.errors.JaxRuntimeError:  # the coordinator is in process 0
            ended, lost = [], [0]
        if over.is_set():
            return
        status = Interrupted.STATUS
        for key, told in ended:
            status, reason = json.loads(told)
            process = key.removeprefix(_ENDED)
            print(f"error: process {process} ended: {reason}", file=sys.stderr, flush=True)
        for i in lost:
            print(f"error: process {i} of {len(everyone)} was lost", file=sys.stderr, flush=True)
        if ended or lost:
            if status == Interrupted.STATUS:
                _tell_stacks()
            os._exit(status)
        time.sleep(1)


def _tell_others(status: int, reason: str) -> None:
    """Let the other processes end for the same reason, and stay until they can have read it."""
    _client().key_value_set(f"{_ENDED}{jax.process_index()}", json.dumps([status, reason]))
    time.sleep(_FAREWELL)


def _tell_stacks() -> None:
    """Print on stderr where each thread of this process stands."""
    if sys.__stderr__ is not None:
        faulthandler.dump_traceback(sys.__stderr__, all_threads=True)


def _client() -> Any:
    """The way to the coordinator, of one of several processes."""
    client = distributed.global_state.client
    assert client is not None
    return client
