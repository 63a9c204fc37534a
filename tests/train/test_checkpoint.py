"""Checkpoints: nothing good is lost, nothing damaged is taken, and no run is mixed with another."""

import shutil

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from tests.helpers.checkpoints import (
    advance,
    assert_equal,
    first_state,
    flip_bits,
    numbers,
    plan,
    save_three,
    state_at,
)
from vimogen_jax.errors import BadInput
from vimogen_jax.train.checkpoint import Checkpoints


@pytest.fixture
def run(tmp_path):
    """A run that saved after the steps 1 to 3."""
    save_three(tmp_path, keep=5)
    return tmp_path


def cut_short(folder):
    for path in folder.rglob("manifest.ocdbt"):
        path.write_bytes(path.read_bytes()[:50])


def lose_iterator(folder):
    for path in (folder / "iterator").iterdir():
        path.unlink()


def move_iterator(folder):
    for path in (folder / "iterator").iterdir():
        path.write_bytes(path.read_bytes().replace(b"3", b"2"))


@pytest.mark.parametrize("strategy", ["fsdp", "data_parallel"])
def test_the_newest_state_and_iterator_come_back(run, strategy):
    iterator, wanted = numbers(), plan(strategy)
    with Checkpoints(run, keep=5) as checkpoints:
        state = checkpoints.restore(wanted, iterator)
    assert_equal(state, state_at(3))
    assert next(iterator) == 3
    assert state["params"]["w"].sharding == wanted["params"]["w"].sharding


def test_nothing_saved_is_nothing_restored(tmp_path):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        assert checkpoints.restore(plan(), numbers()) is None


# TensorStore may still call back for some arrays when others have failed and nobody waits any more.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("damage", [flip_bits, cut_short, lose_iterator, move_iterator])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(run, capsys, damage):
    damage(run / "checkpoints" / "3")
    iterator = numbers()
    with Checkpoints(run, keep=5) as checkpoints:
        state = checkpoints.restore(plan(), iterator)
        assert_equal(state, state_at(2))
        assert next(iterator) == 2
        warning = capsys.readouterr().err
        assert f"warning: checkpoint {run}/checkpoints/3 cannot be read" in warning
        checkpoints.save(3, advance(state), iterator)  # the step's name is free again
    assert (run / "checkpoints" / "3.damaged").is_dir()
    with Checkpoints(run, keep=5) as checkpoints:
        assert_equal(checkpoints.restore(plan(), numbers()), state_at(3))


def test_damage_everywhere_is_told_and_nothing_is_moved(run):
    before = sorted(run.rglob("*"))
    for step in (1, 2, 3):
        flip_bits(run / "checkpoints" / str(step))
    with (
        Checkpoints(run, keep=5) as checkpoints,
        pytest.raises(BadInput, match="has no checkpoint that can be read"),
    ):
        checkpoints.restore(plan(), numbers())
    assert sorted(run.rglob("*")) == before


def test_a_run_that_has_saved_nothing_says_so(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.restore(plan(), numbers()) is None
        with pytest.raises(BadInput, match=f"the run in {tmp_path} has saved no checkpoint yet"):
            checkpoints.restore_ema(jax.eval_shape(first_state)["ema"])


@pytest.mark.parametrize(
    "fault",
    [
        PermissionError("Permission denied"),
        TimeoutError("timed out"),
        ConnectionResetError("reset by peer"),
        ValueError("UNAVAILABLE: Error opening"),
    ],
)
def test_a_checkpoint_out_of_reach_ends_the_run_and_is_not_set_aside(run, monkeypatch, fault):
    def restore(*_, **__):
        raise Exception("Encountered error while reading") from fault

    before = sorted(run.rglob("*"))
    with Checkpoints(run, keep=5) as checkpoints, monkeypatch.context() as unreachable:
        unreachable.setattr("orbax.checkpoint.Checkpointer.restore", restore)
        with pytest.raises(BadInput, match=f"/3 is out of reach .*{fault}.*; start again"):
            checkpoints.restore(plan(), numbers())
    assert sorted(run.rglob("*")) == before
    with Checkpoints(run, keep=5) as checkpoints:
        assert_equal(checkpoints.restore(plan(), numbers()), state_at(3))


def swap(array):
    array[[3, 259]] = array[[259, 3]]


def flip_back_and_forth(array):
    """A bit of one number is lost and the same of another gained: the sum of all stays."""
    bits, one = array.view(np.uint32), np.uint32(1 << 20)
    bits[[np.flatnonzero(bits & one)[0], np.flatnonzero(~bits & one)[0]]] ^= one


@pytest.mark.parametrize("damage", [swap, flip_back_and_forth])
def test_damage_that_leaves_sums_as_they_were_is_noticed(run, monkeypatch, capsys, damage):
    restore = ocp.Checkpointer.restore

    def damaged(self, path, *args, **kwargs):
        got = restore(self, path, *args, **kwargs)
        if path.name == "3":
            weights = np.array(got["ema"]["w"])
            damage(weights.reshape(-1))
            got["ema"]["w"] = jax.device_put(weights, got["ema"]["w"].sharding)
        return got

    monkeypatch.setattr("orbax.checkpoint.Checkpointer.restore", damaged)
    with Checkpoints(run, keep=5) as checkpoints:
        assert_equal(checkpoints.restore(plan(), numbers()), state_at(2))
    assert "the checksums of ema disagree" in capsys.readouterr().err


def test_checksums_are_the_same_in_every_layout(tmp_path):
    state, saved = first_state(), []
    for strategy in ("fsdp", "data_parallel"):
        layouts = jax.tree.map(lambda leaf: leaf.sharding, plan(strategy))
        with Checkpoints(tmp_path / strategy) as checkpoints:
            checkpoints.save(1, jax.device_put(state, layouts), numbers())
        with ocp.StandardCheckpointer() as checkpointer:
            saved.append(checkpointer.restore(tmp_path / strategy / "checkpoints/1/checksums"))
    assert_equal(*saved)


def test_the_average_is_read_alone_and_checked(run):
    shapes = jax.eval_shape(first_state)["ema"]
    with Checkpoints(run, read_only=True) as checkpoints:
        step, ema = checkpoints.restore_ema(shapes)
    assert step == 3
    assert_equal(ema, state_at(3)["ema"])
    flip_bits(run / "checkpoints" / "3" / "ema")
    with Checkpoints(run, read_only=True) as checkpoints:
        step, ema = checkpoints.restore_ema(shapes)
    assert step == 2
    assert_equal(ema, state_at(2)["ema"])


def test_only_the_newest_stay(tmp_path):
    state, iterator = first_state(), numbers()
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(step, state, iterator)
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["2", "3"]


def test_what_a_killed_save_left_is_cleared_by_the_run_alone(run):
    left = run / "checkpoints" / "4.orbax-checkpoint-tmp"
    left.mkdir()
    before = sorted(run.rglob("*"))
    with Checkpoints(run, read_only=True) as checkpoints:
        checkpoints.restore_ema(jax.eval_shape(first_state)["ema"])
    assert sorted(run.rglob("*")) == before  # it may belong to a run that is saving right now
    with Checkpoints(run, keep=5) as checkpoints:
        checkpoints.save(5, first_state(), numbers())
    assert not left.exists()


def test_a_save_that_would_fill_the_disk_is_refused_and_those_before_stay(run, monkeypatch):
    full = shutil.disk_usage(run)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with Checkpoints(run, keep=5) as checkpoints:
        state = checkpoints.restore(plan(), numbers())
        with pytest.raises(BadInput, match=f"the disk of {run}/checkpoints has .* from step 3"):
            checkpoints.save(4, state, numbers())
    with Checkpoints(run, keep=5) as checkpoints:
        assert_equal(checkpoints.restore(plan(), numbers()), state_at(3))
