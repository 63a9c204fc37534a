"""Safetensors files: other programs read ours, we read theirs, and faults are told by name."""

import json
import os
import stat

import ml_dtypes
import numpy as np
import pytest
from etils import epath
from fsspec.implementations.memory import MemoryFileSystem
from safetensors.numpy import load_file, save_file

from tests.helpers.played_store import played_by
from vimogen_jax.errors import BadInput
from vimogen_jax.tensors import Stacked, map_folder, map_tensors, write_tensors

NORMAL = np.random.default_rng(0).normal(size=(3, 5))
ARRAYS = {
    "half": NORMAL.astype(np.float16)[:1, :3],  # six bytes: what follows would not be aligned
    "transposed": NORMAL.astype(np.float32).T,
    "brain": NORMAL.astype(ml_dtypes.bfloat16),
    "double": NORMAL,
    "number": np.array(2.5, np.float32),
    "nothing": np.zeros((0, 4), np.float32),
}


def same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert (a[name].dtype, a[name].shape) == (b[name].dtype, b[name].shape), name
        assert a[name].tobytes() == b[name].tobytes(), name


def test_files_are_those_of_the_safetensors_library(tmp_path):
    write_tensors(tmp_path / "ours", ARRAYS)
    same(load_file(tmp_path / "ours"), ARRAYS)
    same(map_tensors(tmp_path / "ours"), ARRAYS)
    whole = {name: np.ascontiguousarray(a) for name, a in ARRAYS.items() if a.ndim}
    save_file(whole, tmp_path / "theirs", {"format": "np"})
    same(map_tensors(tmp_path / "theirs"), whole)
    assert all(array.flags.aligned for array in map_tensors(tmp_path / "ours").values())


def test_a_file_on_a_store_is_read_when_its_copy_is_gone(tmp_path):
    with played_by(MemoryFileSystem):
        write_tensors(tmp_path / "ours", ARRAYS)
        on_store = epath.Path("gs://bucket/ours")
        on_store.parent.mkdir(parents=True)
        on_store.write_bytes((tmp_path / "ours").read_bytes())
        same(map_tensors(on_store), ARRAYS)
        on_store.parent.rmtree()


def test_rows_are_written_as_one_tensor(tmp_path):
    rows = Stacked(tuple(NORMAL.T))
    assert rows.shape == (5, 3)
    write_tensors(tmp_path / "file", {"rows": rows})
    np.testing.assert_array_equal(map_tensors(tmp_path / "file")["rows"], NORMAL.T)
    np.testing.assert_array_equal(np.asarray(rows), NORMAL.T)


def test_the_mode_follows_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_tensors(tmp_path / "file", ARRAYS)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_a_failure_leaves_what_was_there(tmp_path):
    write_tensors(tmp_path / "file", ARRAYS)
    before = (tmp_path / "file").read_bytes()

    class Broken(Stacked):
        def __iter__(self):
            raise OSError("disk on fire")

    with pytest.raises(BadInput, match="file cannot be written: disk on fire"):
        write_tensors(tmp_path / "file", {"rows": Broken((NORMAL,))})
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == before


def test_what_is_read_can_be_changed_and_the_file_stays(tmp_path):
    write_tensors(tmp_path / "file", ARRAYS)
    map_tensors(tmp_path / "file")["double"][:] = 0
    same(map_tensors(tmp_path / "file"), ARRAYS)


def test_damaged_files_and_other_numbers_are_refused_by_name(tmp_path):
    path = tmp_path / "file.safetensors"
    with pytest.raises(BadInput, match="file.safetensors is missing"):
        map_tensors(path)
    write_tensors(path, ARRAYS)
    whole = path.read_bytes()
    for damaged in (b"", whole[:4], whole[:50], whole[:-1], whole + b"x", b"\xff" * 99):
        path.write_bytes(damaged)
        with pytest.raises(BadInput, match="file.safetensors is not a whole safetensors file"):
            map_tensors(path)
    save_file({"steps": np.arange(3)}, path)
    with pytest.raises(BadInput, match="tensor steps is I64, not F16, BF16, F32, F64"):
        map_tensors(path)


def test_a_folder_is_read_by_its_index(tmp_path):
    index = tmp_path / "model.safetensors.index.json"
    write_tensors(tmp_path / "1.safetensors", {"double": NORMAL})
    same(map_folder(tmp_path)[0], {"double": NORMAL})
    write_tensors(tmp_path / "2.safetensors", {"number": ARRAYS["number"]})
    with pytest.raises(BadInput, match="holds 2 safetensors files"):
        map_folder(tmp_path)
    weight_map = {"double": "1.safetensors", "number": "2.safetensors"}
    index.write_text(json.dumps({"weight_map": weight_map}))
    same(map_folder(tmp_path)[0], {name: ARRAYS[name] for name in weight_map})
    for wrong, fault in (
        (weight_map | {"number": "../2.safetensors"}, "no file of its folder"),
        (weight_map | {"number": "3.safetensors"}, "3.safetensors is missing"),
        (weight_map | {"more": "1.safetensors"}, "lists more"),
        ({"number": "2.safetensors", "double": "2.safetensors"}, "lists double"),
        ([1], "not an index"),
    ):
        index.write_text(json.dumps({"weight_map": wrong}))
        with pytest.raises(BadInput, match=fault):
            map_folder(tmp_path)
