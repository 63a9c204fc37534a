"""The checkpoints of a run, written and read by Orbax: state, iterator state and checksums.

Several processes write and read one checkpoint together, each its own part.
"""

import contextlib
import json
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import grain
import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath

from vimogen_jax.errors import BadInput
from vimogen_jax.files import on_store, require_room
from vimogen_jax.train.checksums import checksums
from vimogen_jax.train.distributed import everywhere, is_first
from vimogen_jax.train.state import State

# Of TensorStore's statuses, those of the way to a file, not of what it holds.
_OUT_OF_REACH = (
    "ABORTED",
    "CANCELLED",
    "DEADLINE_EXCEEDED",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "UNAUTHENTICATED",
    "UNAVAILABLE",
)

Tree = TypeVar("Tree")
Result = TypeVar("Result")


class Checkpoints:
    """The checkpoints of a run, the newest `keep` of them; a context manager.

    A checkpoint appears under its name once it is whole: a killed save leaves none.
    """

    def __init__(self, run: epath.PathLike, keep: int | None = None, *, read_only: bool = False):
        self._folder = epath.Path(run) / "checkpoints"
        self._manager = ocp.CheckpointManager(
            self._folder,
            options=ocp.CheckpointManagerOptions(
                max_to_keep=keep,
                create=not read_only,
                cleanup_tmp_directories=not read_only,
            ),
        )
        # A process that cannot read its part must not leave the others waiting: each reads alone.
        me = jax.process_index()
        alone = ocp.options.MultiprocessingOptions(
            primary_host=me, active_processes={me}, barrier_sync_key_prefix=str(me)
        )
        self._reader = ocp.Checkpointer(
            ocp.CompositeCheckpointHandler(), multiprocessing_options=alone
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        with self._write_faults():
            self._manager.close()  # waits for the save that runs
        self._reader.close()

    @property
    def newest(self) -> int | None:
        """The step of the newest one, be it damaged."""
        return self._manager.latest_step()

    def save(self, step: int, state: State, iterator: grain.DatasetIterator) -> None:
        """Save in the background; the arrays may be donated to the next step at once.

        The iterator must stand where the step left it, before the next batch is taken.

        Raises:
            BadInput: this save does not fit on the disk, or the one before was not written.
        """
        self.wait()  # as saving would; then the room left is known
        parts = _parts(state)
        self._require_room(sum(array.nbytes for array in jax.tree.leaves(parts)))
        iterator_state = iterator.get_state()
        # Orbax itself restores flipped bits unnoticed.
        sums = {name: np.asarray(checksums(part)) for name, part in parts.items()}
        parts |= dict(checksums=dict(sums, iterator=_checksum_of_json(iterator_state)))
        args = ocp.args.Composite(
            **{name: ocp.args.StandardSave(part) for name, part in parts.items()},
            iterator=ocp.args.JsonSave(iterator_state),
        )
        with self._write_faults():
            self._manager.save(step, args=args)

    def programs(self, plan: State) -> list[jax.stages.Lowered]:
        """What saving compiles."""
        return [checksums.lower(part) for part in _parts(plan).values()]

    def wait(self) -> None:
        """Wait for the save that runs. Raises BadInput if it was not written."""
        with self._write_faults():
            self._manager.wait_until_finished()

    def restore(self, plan: State, iterator: grain.DatasetIterator) -> State | None:
        """The newest state that can be read, and its iterator; None where nothing was saved.

        The state lacks what is frozen.

        Checkpoints found damaged are told on stderr and set aside as `STEP.damaged`.

        Raises:
            BadInput: there are checkpoints, but none can be read, or the newest is out of reach.
        """
        if not self._manager.all_steps():
            return None
        if is_first():
            print(f"{self._folder.parent}: restoring step {self._manager.latest_step()}")

        step, parts = self._newest(_parts(plan), iterator=ocp.args.JsonRestore())
        iterator.set_state(parts["iterator"])
        for damaged in [s for s in self._manager.all_steps() if s > step and is_first()]:
            aside = self._folder / f"{damaged}.damaged"
            aside.rmtree(missing_ok=True)
            (self._folder / str(damaged)).rename(aside)
        everywhere(True)  # has seen the first do so
        self._manager.reload()
        return dict(parts["rest"], ema=parts["ema"], frozen={})

    def restore_ema(self, ema: Tree) -> tuple[int, Tree]:
        """The newest averaged weights that can be read, of the shapes `ema`, and their step.

        Raises BadInput as `restore` does.
        """
        # As NumPy's: the devices that it was saved from may not be here.
        target = jax.tree.map(lambda array: np.empty(array.shape, array.dtype), ema)
        step, parts = self._newest(dict(ema=target))
        return step, parts["ema"]

    def _require_room(self, size: int) -> None:
        """Refuse a save that would fill the disk: Orbax would fail at length, and leave a part."""
        if not on_store(self._folder):
            goes_on = f"the run goes on from step {self._manager.latest_step()} once there is room"
            require_room(self._folder, size, "a checkpoint", goes_on)

    @contextlib.contextmanager
    def _write_faults(self) -> Iterator[None]:
        try:
            yield
        except jax.errors.JaxRuntimeError:  # of the devices, or another process was lost
            raise
        except Exception as fault:  # of TensorStore, the file system or Orbax
            reason = ": ".join(" ".join(str(fault).split()).split(": ")[-2:])
            raise BadInput(f"a checkpoint in {self._folder} was not written: {reason}") from None

    def _newest(self, parts: Mapping[str, Any], **others: Any) -> tuple[int, dict[str, Any]]:
        steps = sorted(self._manager.all_steps(), reverse=True)
        if not steps:
            raise BadInput(f"the run in {self._folder.parent} has saved no checkpoint yet")
        for step in steps:
            try:
                return step, self._read(step, parts, **others)
            except jax.errors.JaxRuntimeError:  # of the devices, or another process was lost
                raise
            except Exception as fault:  # damage surfaces as nearly any exception
                path = self._folder / str(step)
                if (barred := _on_the_way(fault)) is not None:
                    raise BadInput(
                        f"checkpoint {path} is out of reach ({_reason(barred)}); start again when "
                        "it is not"
                    ) from None
                print(
                    f"warning: checkpoint {path} cannot be read ({_reason(fault)}); trying the one "
                    "before",
                    file=sys.stderr,
                )
        raise BadInput(f"{self._folder} has no checkpoint that can be read")

    def _read(self, step: int, parts: Mapping[str, Any], **others: Any) -> dict[str, Any]:
        """Read parts of a checkpoint, and others as Orbax is told; compare all checksums."""
        args = {name: ocp.args.StandardRestore(part) for name, part in parts.items()}
        args["checksums"] = ocp.args.StandardRestore()
        args = ocp.args.Composite(**args, **others)
        got = _together(lambda: self._reader.restore(self._folder / str(step), args=args))

        def compare() -> None:
            for name in [*parts, *others]:
                checksum = _checksum_of_json if name == "iterator" else checksums
                if not np.array_equal(checksum(got[name]), got["checksums"][name]):
                    raise ValueError(f"the checksums of {name} disagree")

        _together(compare)
        return dict(got.items())


def _together(action: Callable[[], Result]) -> Result:
    """The result of an action that may fail on one process alone: then it fails on all."""
    try:
        result = action()
    except Exception:
        everywhere(False)
        raise
    if not everywhere(True):
        raise ValueError("another process could not read its part")
    return result


def _on_the_way(fault: BaseException | None) -> BaseException | None:
    """The fault, of those behind one, of the way to what is read, which may be as good as ever."""
    if fault is None or isinstance(fault, (PermissionError, TimeoutError, ConnectionError)):
        return fault
    # TensorStore raises ValueErrors that begin with a status, and Orbax others from them.
    if str(fault).partition(":")[0] in _OUT_OF_REACH:
        return fault
    return _on_the_way(fault.__cause__ or fault.__context__)


def _reason(fault: BaseException) -> str:
    return f"{type(fault).__name__}: {next(iter(str(fault).splitlines()), '')[:200]}"


def _parts(state: State) -> dict[str, Any]:
    """The averaged weights apart, so that they can be read without the rest; nothing frozen."""
    rest = {name: part for name, part in state.items() if name not in ("ema", "frozen")}
    return dict(ema=state["ema"], rest=rest)


def _checksum_of_json(value: Any) -> np.ndarray:
    return np.array([zlib.crc32(json.dumps(value, sort_keys=True).encode())], np.uint32)
