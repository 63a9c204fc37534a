"""Videos of judged motions: drawn once each, whole or not at all."""

import os
import signal

import av
import numpy as np
import pytest

from eval.systems import Clip
from eval.videos import SIZE, render
from tests.helpers.made_up import made_up_motion
from vimogen_jax.errors import BadInput
from vimogen_jax.viewer import video


@pytest.fixture(scope="module")
def clips():
    """One motion with its poses, one with joints alone."""
    rng = np.random.default_rng(0)
    first, second = (made_up_motion("walk", rng)[:4] for _ in range(2))
    at = [np.asarray(motion.joints(), np.float32) for motion in (first, second)]
    return {7: Clip("", at[0], first), 12: Clip("", at[1])}


def killed(*args, **options):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_video_for_each_prompt_drawn_once(clips, tmp_path):
    paths = render(clips, tmp_path / "videos")
    assert [path.name.partition("-")[0] for path in paths.values()] == ["7", "12"]
    assert sorted(tmp_path.glob("videos/*")) == sorted(paths.values())
    for path in paths.values():
        with av.open(path) as video:
            pictures = [each.to_ndarray(format="rgb24") for each in video.decode(video=0)]
            assert video.streams.video[0].average_rate == 20
        assert len(pictures) == 4 and pictures[0].shape == (SIZE, SIZE, 3)

    first = paths[7].stat().st_mtime_ns
    paths[12].write_bytes(paths[12].read_bytes()[:-300])
    assert render(clips, tmp_path / "videos") == paths
    with av.open(paths[12]) as video:
        assert len(list(video.decode(video=0))) == 4
    paths[12].unlink()
    moved = {7: clips[7], 12: Clip("", clips[12].joints[::-1])}
    again = render(moved, tmp_path / "videos")
    assert again[7] == paths[7] and again[7].stat().st_mtime_ns == first
    assert again[12] != paths[12] and again[12].is_file()


def test_a_killed_process_is_said_and_leaves_nothing(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(video, "write_mp4", killed)
    with pytest.raises(BadInput, match="was killed"):
        render(clips, tmp_path)
    assert list(tmp_path.iterdir()) == []
