"""`launch.film` films motions and keeps the truth beside them."""

import av
import numpy as np
import pytest

from tests.helpers.commands import run_command
from tests.helpers.stride import stride
from vimogen_jax import formats


def test_each_motion_is_filmed_with_its_truth(tmp_path):
    for name, heading in (("a.npz", 0.0), ("b.bvh", 1.0)):
        formats.write(stride(5, heading=heading), tmp_path / name)
    files = [tmp_path / "a.npz", tmp_path / "b.bvh"]
    ended = run_command("film", *files, "--size", 96, "--turning", 30, "--out", tmp_path / "out")
    assert ended.returncode == 0, ended.stderr
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {"a.mp4", "a.npz", "b.mp4", "b.npz"}
    for name, heading in (("a", 0.0), ("b", 1.0)):
        with av.open(str(out / f"{name}.mp4"), mode="r") as video:
            pictures = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
        assert len(pictures) == 5 and pictures[0].shape == (96, 96, 3)
        with np.load(out / f"{name}.npz") as truth:
            joints = stride(5, heading=heading).joints()
            np.testing.assert_allclose(truth["joints"], joints, atol=1e-5)
            assert truth["axes"].shape == (5, 3, 3)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ([], "nothing to do"),
        (["a.npz", "--size", "97"], "--size 97 is odd"),
        (["a.npz", "--outfit", "tails"], "outfit"),
        (["none.bvh"], "none.bvh"),
    ],
)
def test_refuses_in_a_sentence(tmp_path, options, fault):
    formats.write(stride(5), tmp_path / "a.npz")
    within = [tmp_path / word if "." in word else word for word in options]
    ended = run_command("film", *within, "--out", tmp_path / "out")
    assert ended.returncode == 1
    assert fault in ended.stderr and ended.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
