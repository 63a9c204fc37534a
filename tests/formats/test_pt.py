"""PyTorch's .pt without PyTorch: tensors come through bit for bit, all else is refused by name."""

import os
import pickle

import ml_dtypes
import numpy as np
import pytest

from tests.helpers.torch_files import STORAGES, save, save_program, save_row, tensor_program
from vimogen_jax.errors import BadInput
from vimogen_jax.formats import pickles

FORMS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "row"])


@FORMS
@pytest.mark.parametrize("dtype", STORAGES, ids=STORAGES.get)
def test_every_type_of_number(tmp_path, dtype, zipped):
    array = np.random.default_rng(0).integers(0, 2, (4, 3)).astype(dtype)
    back = pickles.read_pt(save(tmp_path / "a.pt", array, zipped))
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, array)


@FORMS
def test_views_and_dictionaries(tmp_path, zipped):
    whole = np.arange(60, dtype=np.float32).reshape(5, 12).copy()
    content = {"rows": whole[1:4], "columns": whole[:, 2:7:2], "turned": whole.T}
    content |= {"one": np.array(7.0), "none": np.zeros((0, 3), np.float32)}
    back = pickles.read_pt(save(tmp_path / "a.pt", content, zipped))
    assert list(back) == list(content)
    for name, array in content.items():
        np.testing.assert_array_equal(back[name], array)
        assert back[name].shape == array.shape
        assert back[name].flags.writeable


def test_the_published_files(shared):
    clip = pickles.read_pt(shared / "reference" / "dummy_motion.pt")
    shapes = {name: array.shape for name, array in clip.items()}
    assert shapes == {"motion": (80, 426), "extrinsic": (80, 9), "intrinsic": (3, 3)}
    text = pickles.read_pt(shared / "reference" / "text_embeddings" / "0.pt")
    assert text.shape == (104, 4096) and text.dtype == ml_dtypes.bfloat16


@pytest.mark.parametrize(
    ("program", "name"),
    [
        (b"cos\nsystem\n(X\x04\x00\x00\x00truetR", "os.system"),
        (b"ctorch\nload\n)R", "torch.load"),
        (b"c__builtin__\neval\n(X\x01\x00\x00\x001tR", "__builtin__.eval"),
    ],
)
def test_code_is_refused_by_name(tmp_path, program, name):
    path = tmp_path / "evil.pt"
    for write in (save_program, save_row):
        write(path, program, {})
        with pytest.raises(BadInput, match=rf"evil\.pt: .*asks for {name}, which is refused"):
            pickles.read_pt(path)


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (7,), (1,)),
        (1, (6,), (1,)),
        (-1, (3,), (1,)),
        (0, (2, 3), (4, 1)),
        (0, (2**30,), (0,)),
        (5, (2,), (-1,)),
        (0, (-2, -3), (3, 1)),
    ],
)
def test_a_tensor_beyond_its_storage_is_refused(tmp_path, offset, shape, strides):
    program = tensor_program("0", "Float", 6, offset, shape, strides)
    path = tmp_path / "a.pt"
    for write, storage in ((save_program, bytes(24)), (save_row, np.zeros(6, np.float32))):
        write(path, program, {"0": storage})
        with pytest.raises(BadInput, match=r"a\.pt: .*reaches beyond its storage"):
            pickles.read_pt(path)


@pytest.mark.parametrize(
    ("count", "storages", "fault"),
    [
        (2**30, {"0": np.zeros(6, np.float32)}, "a storage is larger than the file"),
        (-6, {"0": np.zeros(6, np.float32)}, "a storage is larger than the file"),
        (6, {"0": np.zeros(5, np.float32)}, "it is cut off"),
        (6, {"0": np.zeros(7, np.float32)}, "it is cut off"),
        (6, {}, "it is cut off"),
        (6, {"1": np.zeros(6, np.float32)}, "no tensor is in its storage '1'"),
    ],
)
def test_storages_in_a_row_are_those_that_tensors_name(tmp_path, count, storages, fault):
    program = tensor_program("0", "Float", count, 0, (2,), (1,))
    path = save_row(tmp_path / "a.pt", program, storages)
    with pytest.raises(BadInput, match=rf"a\.pt: not a readable PyTorch file: {fault}"):
        pickles.read_pt(path)


@FORMS
def test_damage_is_refused(tmp_path, zipped):
    arrays = {"motion": np.ones((9, 5), np.float32)}
    content = save(tmp_path / "a.pt", arrays, zipped).read_bytes()
    for length in range(0, len(content), 7):
        (tmp_path / "a.pt").write_bytes(content[:length])
        with pytest.raises(BadInput, match=r"a\.pt: not a readable PyTorch file"):
            pickles.read_pt(tmp_path / "a.pt")
    with pytest.raises(BadInput, match=r"none\.pt: cannot be read: No such file"):
        pickles.read_pt(tmp_path / "none.pt")


def test_a_bare_pickle(tmp_path):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"transl": np.eye(3), "fps": 30}))
    assert pickles.read_pickle(path)["transl"].tolist() == np.eye(3).tolist()
    path.write_bytes(pickle.dumps(os.system))
    with pytest.raises(BadInput, match=r"a\.pkl: not a readable pickle file: .*system, which is"):
        pickles.read_pickle(path)
