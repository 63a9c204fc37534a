"""The restricted reader: plain values come through, code and forged arrays are refused by name."""

import collections
import contextlib
import io
import os
import pickle
import tracemalloc
import zipfile
from typing import Any

import numpy as np
import pytest

from tests.helpers import film_results, torch_files
from vimogen_jax.errors import BadInput
from vimogen_jax.formats import pickles


def object_file(path, pickled: bytes):
    """A .npy file of one object, with a pickle of our choosing in it."""
    file = io.BytesIO()
    header = {"descr": "|O", "fortran_order": False, "shape": ()}
    np.lib.format.write_array_header_1_0(file, header)
    path.write_bytes(file.getvalue() + pickled)
    return path


class Calls:
    """Pickles as a call of `function(*arguments)`, then a state for its result."""

    def __init__(self, function, *arguments, state=None):
        self.call = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_come_through(tmp_path, protocol):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    shared = np.array([["nested"], [None]], object)
    value = {
        "arrays": [array, array.T, array.astype(">i2"), np.array(["ab", "c"]), np.zeros((0, 3))],
        "scalars": (1, 2.5, True, None, "é", b"\xff", np.float64(3), np.int8(-1)),
        "objects": [shared, shared],
    }
    whole = np.empty((), object)
    whole[()] = value
    path = object_file(tmp_path / "a.npy", pickle.dumps(whole, protocol))
    read = pickles.read_npy(path).item()
    for ours, theirs in zip(read["arrays"], value["arrays"], strict=True):
        assert ours.dtype == theirs.dtype and type(ours) is np.ndarray
        np.testing.assert_array_equal(ours, theirs)
    assert read["scalars"] == value["scalars"]
    assert [x.tolist() for x in read["objects"]] == [[["nested"], [None]]] * 2


def test_npy_written_by_numpy(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.array([{"a": 1}, [2]], object))
    assert pickles.read_npy(path).tolist() == [{"a": 1}, [2]]
    np.save(path, np.eye(3))
    np.testing.assert_array_equal(pickles.read_npy(path), np.eye(3))


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Calls(os.system, "touch {mark}"), f"{os.system.__module__}.system"),
        (Calls(eval, "open({mark!r}, 'w')"), "builtins.eval"),
        (Calls(getattr, {}, "clear"), "builtins.getattr"),
        (Calls(np.fromfile, "{mark}"), "fromfile"),
        ({1, 2}, "set"),
    ],
)
def test_anything_else_is_refused_by_name(tmp_path, value, name):
    mark = tmp_path / "mark"
    if isinstance(value, Calls):
        function, arguments = value.call
        value = Calls(function, *(str(x).replace("{mark}", str(mark)) for x in arguments))
    path = object_file(tmp_path / "evil.npy", pickle.dumps(value))
    with pytest.raises(BadInput, match=rf"evil\.npy: .*{name}.* refused"):
        pickles.read_npy(path)
    assert not mark.exists()


def test_forged_object_pointers_are_refused(tmp_path):
    # NumPy believes a dtype's pickled flags: with none, bytes would be taken for pointers.
    dtype = Calls(np.dtype, "O8", False, True, state=(3, "|", None, None, None, -1, -1, 0))
    rebuild = np.empty(0).__reduce__()[0]
    forged = Calls(rebuild, np.ndarray, (0,), b"b", state=(1, (1,), dtype, False, b"A" * 8))
    path = object_file(tmp_path / "forged.npy", pickle.dumps(forged))
    with pytest.raises(BadInput, match=r"forged\.npy"):
        pickles.read_npy(path)


@pytest.mark.parametrize("fields", [("a",), None])
def test_structured_arrays_are_refused(tmp_path, fields):
    code = "V8" if fields else "f4,f4"
    state = (3, "|", None, fields, fields and {"a": (np.dtype("O"), 0)}, 8, 1, 0)
    path = object_file(tmp_path / "a.npy", pickle.dumps(Calls(np.dtype, code, state=state)))
    with pytest.raises(BadInput, match="array of type"):
        pickles.read_npy(path)


def test_self_containing_list_is_refused(tmp_path):
    endless: list = []
    endless.append(endless)
    with pytest.raises(BadInput, match=r"endless\.npy"):
        pickles.read_npy(object_file(tmp_path / "endless.npy", pickle.dumps(endless)))


def test_every_truncation_is_refused(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.array([{"a": np.arange(3), "b": "text"}], object))
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(BadInput, match=r"a\.npy"):
            pickles.read_npy(path)


def test_damage_never_escapes(tmp_path):
    """Flipped bytes give BadInput or some array, nothing else."""
    path, rng = tmp_path / "a.npy", np.random.default_rng(0)
    np.save(path, np.array([{"a": np.arange(3), "b": "text", "c": [1.5, None]}], object))
    content = np.frombuffer(path.read_bytes(), np.uint8)
    for _ in range(100):
        damaged = content.copy()
        damaged[rng.integers(len(content), size=2)] = rng.integers(256, size=2)
        path.write_bytes(damaged.tobytes())
        with contextlib.suppress(BadInput):
            assert isinstance(pickles.read_npy(path), np.ndarray)


def test_absurd_size_is_refused(tmp_path):
    file = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**15,)}
    np.lib.format.write_array_header_1_0(file, header)
    path = tmp_path / "huge.npy"
    path.write_bytes(file.getvalue() + b"0" * 80)
    with pytest.raises(BadInput, match=r"huge\.npy"):
        pickles.read_npy(path)


def test_npz_reads_only_what_is_wanted(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, good=np.arange(3), evil=np.array(Calls(os.system, "true"), object))
    assert list(pickles.read_pickled_npz(path, ["good", "absent"])) == ["good"]
    with pytest.raises(BadInput, match="system, which is refused"):
        pickles.read_pickled_npz(path, ["evil"])


def test_damaged_npz(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, a=np.random.default_rng(0).normal(size=100))
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 0xFF
    for damaged in (b"", b"text", content[: len(content) // 2], bytes(flipped)):
        path.write_bytes(damaged)
        with pytest.raises(BadInput, match=r"a\.npz: not a readable NumPy file"):
            pickles.read_pickled_npz(path, ["a"])


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(BadInput, match=r"none\.npy: cannot be read: No such file"):
        pickles.read_npy(tmp_path / "none.npy")
    with pytest.raises(BadInput, match="cannot be read: Is a directory"):
        pickles.read_pickled_npz(tmp_path, ["a"])


def test_arrays_of_python_2_come_through(tmp_path):
    array = np.arange(-3, 3, dtype=np.float64).reshape(2, 3)
    text = lambda x: b"T" + len(x).to_bytes(4, "little") + x  # its strings are bytes
    dtype = b"cnumpy\ndtype\n(" + text(b"f8") + b"K\x00K\x01tR(K\x03" + text(b"<")
    dtype += b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t" + text(b"b") + b"tR"
    filled = empty + b"(K\x01(K\x02K\x03t" + dtype + b"\x89" + text(array.tobytes()) + b"tb"
    path = tmp_path / "a.pkl"
    path.write_bytes(b"\x80\x02}" + text(b"means") + filled + b"s.")
    content = pickles.read_pickle(path)
    assert list(content) == ["means"]
    np.testing.assert_array_equal(content["means"], array)


def _zeros(path, member, size):
    """An archive in which `size` bytes of zeros, after NumPy's header, take next to nothing."""
    header = io.BytesIO()
    form = {"descr": "|u1", "fortran_order": False, "shape": (size,)}
    np.lib.format.write_array_header_1_0(header, form)
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(member, "w") as f,
    ):
        f.write(header.getvalue())
        for _ in range(size // 2**20):
            f.write(bytes(2**20))
    return path


def _large_header(path, shape):
    with open(path, "wb") as file:
        form = {"descr": "<f8", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, form)
        file.write(bytes(800))
    return path


def _doubled(depth):
    """A list of two lists, which are the same, and so on: 2 ** depth in all."""
    nested = [1.0]
    for _ in range(depth):
        nested = [nested, nested]
    return nested


# Protocol 2; a number under a place of the memo so far out that it would take 32 GB; stop.
FAR_OUT = b"\x80\x02K\x01r\xff\xff\xff\xff."


@pytest.mark.parametrize(
    ("read", "fault"),
    [
        (
            lambda at: pickles.read_pickled_npz(_zeros(at, "a.npy", 2**28), ["a"]),
            "would unfold to 0.3 GB",
        ),
        (lambda at: pickles.read_pt(_zeros(at, "x/data.pkl", 2**28)), "would unfold to 0.3 GB"),
        (
            lambda at: pickles.read_npy(_large_header(at, (10**12, 3))),
            "fewer numbers than its shape",
        ),
        (lambda at: pickles.read_npy(_large_header(at, (-1, 3))), "fewer numbers than its"),
        (lambda at: pickles.read_npy(_large_header(at, (2**62, 2**62))), "fewer numbers than its"),
    ],
)
def test_declared_sizes_are_not_believed(read, fault, tmp_path):
    tracemalloc.start()
    with pytest.raises(BadInput, match=rf"a\.bin: not a readable .* file: .*{fault}"):
        read(tmp_path / "a.bin")
    assert tracemalloc.get_traced_memory()[1] < 300e6
    tracemalloc.stop()


def test_pickles_take_no_more_memory_than_they_fill(tmp_path):
    tracemalloc.start()
    (tmp_path / "far.pkl").write_bytes(FAR_OUT)
    assert pickles.read_pickle(tmp_path / "far.pkl") == 1
    same = np.zeros(10_000)
    (tmp_path / "same.pkl").write_bytes(pickle.dumps([same] * 100_000))
    again = pickles.read_pickle(tmp_path / "same.pkl")
    assert len(again) == 100_000 and again[0] is again[-1]
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()


def test_lists_that_double_each_other_end_somewhere(tmp_path):
    (tmp_path / "doubled.pkl").write_bytes(pickle.dumps({"a": _doubled(200)}))
    with pytest.raises(BadInput, match=r"doubled\.pkl: .*unfolds to far more than its own size"):
        pickles.read_pickle(tmp_path / "doubled.pkl")


def test_dictionaries_with_a_default_and_joblibs_arrays(tmp_path):
    arrays = [np.eye(3), np.arange(4, dtype=np.int16), np.zeros((0, 2))]
    content = collections.defaultdict(dict, {0: dict(pose=arrays[0]), 1: arrays[1:]})
    path = tmp_path / "a.pkl"
    path.write_bytes(film_results.pickled(content))
    read = pickles.read_pickle(path)
    assert type(read) is dict and read.keys() == {0, 1}
    for ours, theirs in zip([read[0]["pose"], *read[1]], arrays, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def test_tensors_in_pickles_that_are_no_pt(tmp_path):
    path = tmp_path / "a.pkl"
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    path.write_bytes(film_results.pickled([film_results.Tensor(array)] * 2))
    for read in pickles.read_pickle(path):
        np.testing.assert_array_equal(read, array)


def call_of_numbers(numbers: bytes, shape: tuple[int, ...]) -> Any:
    storage = film_results.Call("torch.storage", "_load_from_bytes", numbers)
    return film_results.Call("torch._utils", "_rebuild_tensor_v2", storage, 0, shape, (1,), False)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (call_of_numbers(torch_files.storage_row(np.zeros(3)), (4,)), "reaches beyond its storage"),
        (call_of_numbers(b"import os", (1,)), "not a readable pickle file"),
        (call_of_numbers(pickle.dumps(1), (1,)), "it does not begin as one"),
        (film_results.Call("torch.storage", "_load_from_bytes", b""), "not a readable pickle"),
        (film_results.Call("torch.serialization", "load", "x"), r"torch\.serialization\.load"),
        (film_results.Call("joblib.numpy_pickle", "NDArrayWrapper"), "NDArrayWrapper, which is"),
        (np.array([{}], object), "objects of joblib's, which are refused"),
    ],
)
def test_forged_tensors_and_arrays_behind(tmp_path, content, fault):
    path = tmp_path / "evil.pkl"
    path.write_bytes(film_results.pickled(content))
    with pytest.raises(BadInput, match=rf"evil\.pkl: .*{fault}"):
        pickles.read_pickle(path)


def test_arrays_behind_that_are_cut_off(tmp_path):
    path = tmp_path / "a.pkl"
    path.write_bytes(film_results.pickled([np.zeros(1000)])[:-500])
    with pytest.raises(BadInput, match=r"a\.pkl: .*it is cut off"):
        pickles.read_pickle(path)


def test_the_numbers_of_tensors_are_bounded_by_the_file(tmp_path):
    """The same bytes may be asked for again and again."""
    numbers = torch_files.storage_row(np.zeros(2**18, np.uint8))
    path = tmp_path / "a.pkl"
    path.write_bytes(film_results.pickled([call_of_numbers(numbers, (1,)) for _ in range(1000)]))
    with pytest.raises(BadInput, match=r"a\.pkl: .*far more than its own size"):
        pickles.read_pickle(path)
