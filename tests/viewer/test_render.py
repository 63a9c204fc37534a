"""Pictures show the body, its shadow and the floor where the camera should see them."""

import importlib
import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from tests.helpers.stride import body_pixels, stride
from vimogen_jax.body.mesh import builtin_body
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.viewer.camera import Camera, film, poses
from vimogen_jax.viewer.raster import draw
from vimogen_jax.viewer.render import render_frames, write_png


def test_every_frame_shows_the_whole_body():
    frames = list(render_frames(stride(), size=96))
    assert len(frames) == 30
    for frame in frames:
        assert frame.shape == (96, 96, 3)
        assert frame.dtype == np.uint8
        shown = body_pixels(frame)
        assert 0.03 < shown.mean() < 0.4
        assert not shown[[0, -1]].any()
        assert not shown[:, [0, -1]].any()


@pytest.mark.parametrize("heading", [0.0, 2.0])
def test_the_camera_sees_the_face_and_follows(heading):
    motion = stride(heading=heading)
    shot = film(motion, builtin_body())
    forward = axis_angle_to_matrix(np.array([0, 0, heading])) @ (0, 1, 0)
    assert (shot.axes[:, 2] @ forward < -0.6).all()
    assert (shot.axes[:, 2, 2] < 0).all()
    np.testing.assert_allclose(shot.axes @ shot.axes.mT, np.tile(np.eye(3), (30, 1, 1)), atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(shot.axes), 1, atol=1e-6)
    away = shot.eyes - motion.joints()[:, 0]
    assert np.abs(away - away[0]).max() < 0.05
    assert shot.floor == min(mesh[:, 2].min() for mesh in poses(builtin_body(), motion))


def test_a_camera_stands_still_for_whoever_stays_near_or_if_it_must():
    near, far = (film(stride(speed=speed), builtin_body(), "far") for speed in (1.0, 4.0))
    assert (near.eyes == near.eyes[0]).all()
    assert np.ptp(far.eyes, axis=0).max() > 4
    never = film(stride(speed=4.0), builtin_body(), "never")
    assert (never.eyes == never.eyes[0]).all()
    for motion, shot in ((stride(speed=1.0), near), (stride(speed=4.0), never)):
        frames = list(render_frames(motion, size=64, shot=shot))
        columns = [np.nonzero(body_pixels(frame))[1] for frame in frames]
        assert all(each.min() > 0 and each.max() < 63 for each in columns)
        assert abs(columns[0].mean() - columns[-1].mean()) > 10


@pytest.mark.parametrize("follow", ["always", "never"])
def test_a_camera_goes_round_and_keeps_the_body_in_view(follow):
    motion, body = stride(speed=0.5), builtin_body()
    shot = film(motion, body, follow, azimuth=0.3, turning=1.0)
    ahead = np.arctan2(-shot.axes[:, 2, 1], -shot.axes[:, 2, 0])
    facing = np.pi / 2  # of the person
    gone = np.unwrap(ahead) - facing
    np.testing.assert_allclose(gone, 0.3 + np.arange(30) / 20, atol=1e-6)
    for camera, mesh in zip(shot.cameras(100), poses(body, motion), strict=True):
        points = camera.project(mesh)[:, :2]
        assert points.min() > 0 and points.max() < 100


def test_motion_of_one_frame_can_be_filmed():
    assert len(list(render_frames(stride(1), size=48))) == 1


def test_pictures_repeat_exactly():
    first, second = (next(render_frames(stride(2), size=64)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_caption_is_drawn_below_the_body():
    plain = next(render_frames(stride(1), size=128))
    titled = next(render_frames(stride(1), size=128, caption="a person walks"))
    changed = (plain != titled).any(-1)
    assert changed.any()
    assert np.nonzero(changed)[0].min() > 100
    long = next(render_frames(stride(1), size=128, caption="word " * 2000))
    assert np.nonzero((plain != long).any(-1))[0].min() > 80


def test_a_sphere_is_drawn_where_perspective_puts_it():
    """Outline, shadow and shading of a ball, against the closed form."""
    turn = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    lift = np.linspace(-np.pi / 2, np.pi / 2, 60)
    ball = np.stack(
        [
            np.outer(np.cos(lift), np.cos(turn)),
            np.outer(np.cos(lift), np.sin(turn)),
            np.outer(np.sin(lift), np.ones(120)),
        ],
        axis=-1,
    )
    a = np.arange(59)[:, None] * 120 + np.arange(120)
    b = np.arange(59)[:, None] * 120 + (np.arange(120) + 1) % 120
    faces = np.concatenate([np.stack([a, b, b + 120], -1), np.stack([a, b + 120, a + 120], -1)])
    vertices = np.add(ball.reshape(-1, 3), (0, 0, 3)).astype(np.float32)
    axes = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32)  # looks along +y
    camera = Camera(np.array([0, -10.0, 3], np.float32), axes, 200, 300)
    colours = np.tile(np.float32([0.8, 0.1, 0.1]), (len(vertices), 1))
    picture = draw(camera, vertices, faces.reshape(-1, 3), colours, 0.0)

    shown = body_pixels(picture)
    radius = camera.focal * np.tan(np.arcsin(1 / 10))
    assert abs(np.sqrt(shown.sum() / np.pi) - radius) < 1
    rows, columns = np.nonzero(shown)
    assert abs(columns.mean() - 149.5) < 0.5
    assert abs(rows.mean() - 99.5) < 0.5
    # The light comes from above and from the left of the camera.
    light = picture.sum(-1).astype(float)
    assert light[80, 130] > light[120, 130]
    assert light[100, 130] > light[100, 170]
    # So the shadow falls on the floor to the right, and not to the left.
    bare = draw(camera, vertices + np.float32([0, 500, 0]), faces.reshape(-1, 3), colours, 0.0)
    darker = (bare.sum(-1).astype(int) - picture.sum(-1) > 30) & ~shown
    assert darker.any()
    assert np.nonzero(darker)[1].mean() > 160


def test_a_still_shows_poses_side_by_side(tmp_path):
    for motion in (stride(40), stride(40, speed=0.0)):
        path = tmp_path / "still.png"
        write_png(motion, path, size=(120, 360), moments=4)
        picture = np.asarray(Image.open(path))
        assert picture.shape == (120, 360, 3)
        assert list(tmp_path.iterdir()) == [path]
        inked = np.abs(np.diff(picture.astype(int), axis=-1)).max(-1) > 45
        columns = inked[: 120 * 3 // 4].any(0).astype(int)
        starts = [right > left for left, right in pairwise(columns)]
        assert sum(starts) >= 3  # apart from each other, but where one steps before the next


def test_without_numba_a_sentence_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "vimogen_jax.viewer.raster")
    with pytest.raises(
        ImportError, match="films and pictures are drawn with Numba.* pip install"
    ) as fault:
        importlib.import_module("vimogen_jax.viewer.raster")
    assert fault.value.name is None


def test_what_is_compiled_is_kept(tmp_path):
    code = """if True:
        import numpy as np
        from vimogen_jax.viewer import raster
        assert (raster._to_bytes(np.float32([[[0, 0.5, 1]]])) == [0, 186, 255]).all()
        print(sum(raster._to_bytes.stats.cache_hits.values()))
    """
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    run = lambda: subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    assert [run().stdout for _ in range(2)] == ["0\n", "1\n"]
