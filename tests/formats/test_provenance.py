"""What is written says how it came about, where programs for motion leave it alone."""

import json

import av
import numpy as np
import pygltflib
import pytest

from vimogen_jax import formats
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.errors import BadInput
from vimogen_jax.formats.provenance import read_provenance
from vimogen_jax.motion.motion import Motion
from vimogen_jax.viewer.video import write_mp4

ABOUT = {"prompt": 'a person says "ça va?"\n走る', "seed": 7, "sampler": {"steps": 30}}


@pytest.fixture(scope="module")
def motion():
    pose = np.zeros((6, 22, 3))
    pose[:, 0] = [0, np.pi / 2**0.5, np.pi / 2**0.5]
    return Motion(axis_angle_to_matrix(pose), np.zeros((6, 3)), 20.0)


def from_npz(path):
    with np.load(path) as arrays:
        return json.loads(arrays["provenance"].item())


def from_glb(path):
    model = pygltflib.GLTF2.load(path)
    assert model is not None
    return model.asset.extras["provenance"]


def from_beside(path):
    return json.loads(path.with_name(f"{path.name}.json").read_text("utf-8"))


def from_mp4(path):
    with av.open(path) as container:
        return json.loads(container.metadata["comment"])


@pytest.mark.parametrize(
    ("extension", "found"),
    [(".npz", from_npz), (".glb", from_glb), (".bvh", from_beside), (".npy", from_beside)],
)
def test_motion_files_say_it_and_hold_the_same_motion(motion, tmp_path, extension, found):
    path, plain = tmp_path / f"a{extension}", tmp_path / f"b{extension}"
    formats.write(motion, path, ABOUT)
    assert found(path) == read_provenance(path) == ABOUT
    formats.write(motion, plain)
    assert read_provenance(plain) == {}
    assert not plain.with_name(f"{plain.name}.json").exists()
    if extension in (".bvh", ".npy"):
        assert path.read_bytes() == plain.read_bytes()
    else:
        np.testing.assert_array_equal(formats.read(path).joints(), formats.read(plain).joints())


def test_a_film_says_it(motion, tmp_path):
    write_mp4(motion, tmp_path / "a.mp4", "a person", size=64, provenance=ABOUT)
    assert from_mp4(tmp_path / "a.mp4") == ABOUT


def test_provenance_that_is_damaged_is_named(motion, tmp_path):
    formats.write(motion, tmp_path / "a.bvh", ABOUT)
    (tmp_path / "a.bvh.json").write_text("{no")
    with pytest.raises(BadInput, match=r"a\.bvh\.json: its provenance is"):
        read_provenance(tmp_path / "a.bvh")
