"""Archives of arrays are read within bounds, and nothing in them runs."""

import io
import pickle
import zipfile

import numpy as np
import pytest

from vimogen_jax.errors import BadInput
from vimogen_jax.npz import read_npz


def member(array, **how):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **how)
    return file.getvalue()


def archive(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


def test_named_arrays_are_read(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", a=np.arange(6).reshape(2, 3), b=["x"], c=1.5)
    arrays = read_npz(tmp_path / "a.npz", ["b", "a"])
    assert list(arrays) == ["b", "a"]
    np.testing.assert_array_equal(arrays["a"], [[0, 1, 2], [3, 4, 5]])


def test_optional_arrays_are_read_where_they_are(tmp_path):
    np.savez(tmp_path / "a.npz", a=1, b=2)
    assert list(read_npz(tmp_path / "a.npz", ["a"], optional=["b", "c"])) == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "not a readable .npz file"),
        (pickle.dumps([1]), "not a readable .npz file"),
        (member(np.array([None]), allow_pickle=True), "not a readable .npz file: Object arrays"),
        (member(np.zeros(3)).replace(b"(3,)", b"(9,)"), "not a readable .npz file"),
        (member(np.zeros(3)).replace(b"(3,), }" + b" " * 11, b"(10**11,), }".ljust(18)), "not a"),
        (bytes(2**28), "not a readable .npz file: a.npy in it would unfold to 0.3 GB"),
    ],
)
def test_what_is_no_array_is_refused(tmp_path, content, fault):
    with pytest.raises(BadInput, match=f"x.npz is {fault}"):
        read_npz(archive(tmp_path / "x.npz", a=content), ["a"])


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(BadInput, match="none.npz is missing"):
        read_npz(tmp_path / "none.npz", ["a"])
    with pytest.raises(BadInput, match=r"x.npz is not what it should be: .*b\.npy"):
        read_npz(archive(tmp_path / "x.npz", a=member(np.zeros(2))), ["b"])
    (tmp_path / "bare.npz").write_bytes(member(np.zeros(2)))
    with pytest.raises(BadInput, match="bare.npz is not a readable .npz file"):
        read_npz(tmp_path / "bare.npz", ["a"])
