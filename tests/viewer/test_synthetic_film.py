"""Dressed people: front and back differ, and the truth beside a film is what the film shows."""

import av
import numpy as np
import pytest

from tests.helpers.stride import stride
from vimogen_jax.body.mesh import builtin_body
from vimogen_jax.body.skeleton import JOINT_NAMES
from vimogen_jax.viewer.camera import film
from vimogen_jax.viewer.synthetic_film import write_film
from vimogen_jax.viewer.wardrobe import OUTFITS, dress


def near(joint, reach, offset=(0, 0, 0)):
    body = builtin_body()
    place = body.rest_joints[JOINT_NAMES.index(joint)] + offset
    return np.linalg.norm(body.vertices - place, axis=1) < reach


@pytest.mark.parametrize("name", OUTFITS)
def test_each_part_of_the_body_is_dressed(name):
    outfit, colours = OUTFITS[name], dress(builtin_body(), OUTFITS[name])
    assert colours.min() >= 0 and colours.max() <= 1
    for side in ("left", "right"):
        assert np.allclose(colours[near(f"{side}_foot", 0.05)], outfit.shoes, atol=0.02)
        outwards = np.array([0.1 if side == "left" else -0.1, 0, 0])
        assert np.allclose(colours[near(f"{side}_wrist", 0.04, outwards)], outfit.skin, atol=0.02)
        down = (0, -0.15, 0)
        assert np.allclose(colours[near(f"{side}_hip", 0.1, down)], outfit.trousers, atol=0.02)
    assert np.allclose(colours[near("spine3", 0.12)], outfit.shirt, atol=0.02)
    assert np.allclose(colours[near("head", 0.06, (-0.011, 0.16, -0.05))], outfit.hair, atol=0.02)


def test_both_sides_are_alike_but_front_and_back_are_not():
    body, colours = builtin_body(), dress(builtin_body(), OUTFITS["office"])
    x, y, z = body.vertices.T
    head = y > body.rest_joints[JOINT_NAMES.index("head"), 1]
    face, back = colours[head & (z > 0.04) & (y < 0.36)], colours[head & (z < -0.06)]
    assert face.mean() > 5 * back.mean()
    left, right = colours[x > 0.01].mean(axis=0), colours[x < -0.01].mean(axis=0)
    np.testing.assert_allclose(left, right, rtol=0.03)
    for side in (-1, 1):
        eye = near("head", 0.012, (0.033 * side - 0.0111, 0.062, 0.09))
        assert eye.any() and colours[eye].min() < 0.1


@pytest.mark.parametrize("turning", [0.0, 0.8])
def test_the_truth_is_where_the_film_shows_it(tmp_path, turning):
    motion = stride(8, speed=2.0, heading=0.4)
    shot = film(motion, builtin_body(), "never", turning=turning)
    write_film(motion, tmp_path / "walk.mp4", OUTFITS["sports"], shot, size=192)
    assert {path.name for path in tmp_path.iterdir()} == {"walk.mp4", "walk.npz"}
    with np.load(tmp_path / "walk.npz") as file:
        truth = dict(file)
    np.testing.assert_allclose(truth["joints"], motion.joints())
    np.testing.assert_allclose(truth["rot"], motion.rotations)
    np.testing.assert_allclose(truth["transl"], motion.transl)
    assert truth["axes"].shape == ((8, 3, 3) if turning else (3, 3))
    with av.open(tmp_path / "walk.mp4") as video:
        shown = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(shown) == len(truth["eyes"]) == 8
    axes = np.broadcast_to(truth["axes"], (8, 3, 3))
    for frame, joints, eye, turn in zip(shown, truth["joints"], truth["eyes"], axes, strict=True):
        across, down, ahead = ((joints - eye) @ turn.T).T
        columns = (96 + truth["focal"] * across / ahead).astype(int)
        rows = (96 + truth["focal"] * down / ahead).astype(int)
        at = lambda name, rows=rows, columns=columns, frame=frame: frame[
            rows[JOINT_NAMES.index(name)], columns[JOINT_NAMES.index(name)]
        ].astype(int)
        red, _, blue = at("spine3")
        assert red > blue + 60  # the shirt
        assert at("left_hip").max() < 110  # the trousers
        assert at("left_foot").min() > 110  # the shoes
