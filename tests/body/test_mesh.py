"""The built-in body is a closed, well-formed, smoothly skinned mesh that bends without collapse."""

import numpy as np
import pytest

from vimogen_jax.body.mesh import ASSET, Body, builtin_body, pack, vertex_normals
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.skeleton import JOINT_NAMES, REST_JOINTS


@pytest.fixture(scope="module")
def body():
    return builtin_body()


def volume(vertices, faces):
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return np.einsum("fx,fx->", a, np.cross(b, c)) / 6


def winding(points, vertices, faces):
    """How often the surface encloses each point (van Oosterom and Strackee 1983)."""
    a, b, c = (vertices[faces[:, k]] - points[:, None] for k in range(3))
    la, lb, lc = (np.linalg.norm(x, axis=-1) for x in (a, b, c))
    dot = lambda x, y: (x * y).sum(-1)
    solid = dot(a, np.cross(b, c))
    below = la * lb * lc + dot(a, b) * lc + dot(b, c) * la + dot(c, a) * lb
    return (2 * np.arctan2(solid, below)).sum(-1) / (4 * np.pi)


def bent(joint, axis, angle):
    rotations = np.tile(np.eye(3), (1, 22, 1, 1))
    rotations[0, JOINT_NAMES.index(joint)] = axis_angle_to_matrix(np.eye(3)[axis] * angle)
    return rotations


def test_every_edge_joins_two_faces_that_agree_on_the_outside(body):
    directed = np.concatenate([body.faces[:, [k, (k + 1) % 3]] for k in range(3)])
    once, counts = np.unique(directed, axis=0, return_counts=True)
    assert counts.max() == 1
    np.testing.assert_array_equal(once, np.unique(directed[:, ::-1], axis=0))


def test_is_one_sphere_without_holes(body):
    edges = 3 * len(body.faces) // 2
    assert len(body.vertices) - edges + len(body.faces) == 2
    np.testing.assert_array_equal(np.unique(body.faces), np.arange(len(body.vertices)))
    label = np.arange(len(body.vertices))
    for _ in range(len(label)):  # spread the least index until nothing changes
        spread = label.copy()
        np.minimum.at(spread, body.faces, label[body.faces].min(axis=1, keepdims=True))
        if (spread == label).all():
            break
        label = spread
    assert (label == 0).all()


def test_faces_are_sound_triangles_that_look_outwards(body):
    assert 0.05 < volume(body.vertices, body.faces) < 0.075  # m^3
    corners = body.vertices[body.faces]
    sides = np.roll(corners, -1, axis=1) - corners
    doubled = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=-1)
    longest = np.linalg.norm(sides, axis=-1).max(1)
    assert (doubled / longest**2).min() > 0.05
    assert 5000 < len(body.vertices) < 8000


def test_encloses_every_joint(body):
    np.testing.assert_allclose(winding(REST_JOINTS, body.vertices, body.faces), 1, atol=1e-6)
    assert abs(winding(np.array([[0.0, 1, 0]]), body.vertices, body.faces)) < 1e-6


def test_is_a_person_facing_forward(body):
    low, high = body.vertices.min(0), body.vertices.max(0)
    assert 1.7 < high[1] - low[1] < 1.85
    wrist, foot = (np.abs(REST_JOINTS[JOINT_NAMES.index(j)]) for j in ("left_wrist", "left_foot"))
    assert 0.13 < high[0] - wrist[0] < 0.20  # hands reach beyond the wrists
    soles = body.vertices[body.vertices[:, 1] < low[1] + 0.03]
    assert soles[:, 2].max() > foot[2] + 0.06  # toes reach beyond the ball
    head = body.vertices[body.vertices[:, 1] > 0.25]
    nose = head[head[:, 2].argmax()]
    assert abs(nose[0]) < 0.01
    assert 0.27 < nose[1] < 0.33


def test_weights_are_smooth_shares_of_at_most_four_joints(body):
    assert body.weights.min() >= 0
    np.testing.assert_allclose(body.weights.sum(1), 1, atol=1e-12)
    assert (body.weights > 0).sum(1).max() <= 4
    assert (body.weights.max(0) > 0.4).all()  # every joint moves some flesh
    a, b = body.faces[:, 0], body.faces[:, 1]
    change = np.abs(body.weights[a] - body.weights[b]).max(1)
    length = np.linalg.norm(body.vertices[a] - body.vertices[b], axis=-1)
    assert (change / length).max() < 30  # per metre: no jump from one joint to the next


def test_rest_pose_is_the_mesh_itself(body):
    posed = body.pose(np.tile(np.eye(3), (2, 22, 1, 1)), np.tile(REST_JOINTS[0], (2, 1)))
    np.testing.assert_allclose(posed, np.tile(body.vertices, (2, 1, 1)), atol=1e-12)


def test_root_moves_the_body_rigidly(body):
    rotations = bent("pelvis", 1, 0.7)
    pelvis = np.array([[1.0, 2, 3]])
    expected = (body.vertices - REST_JOINTS[0]) @ rotations[0, 0].T + pelvis[0]
    np.testing.assert_allclose(body.pose(rotations, pelvis)[0], expected, atol=1e-12)


@pytest.mark.parametrize(
    ("joint", "axis", "angle"),
    [
        ("left_elbow", 1, -np.pi / 2),
        ("right_elbow", 1, np.pi / 2),
        ("left_knee", 0, np.pi / 2),
        ("right_knee", 0, np.pi / 2),
    ],
)
def test_bends_by_a_right_angle_without_collapse(body, joint, axis, angle):
    rest = REST_JOINTS[JOINT_NAMES.index(joint)]
    posed = body.pose(bent(joint, axis, angle), REST_JOINTS[:1])[0]
    thickness = np.linalg.norm(body.vertices - rest, axis=-1).min()
    assert np.linalg.norm(posed - rest, axis=-1).min() > 0.6 * thickness
    assert abs(volume(posed, body.faces) / volume(body.vertices, body.faces) - 1) < 0.02


def test_is_small():
    assert ASSET.stat().st_size < 250_000


def test_a_packed_body_is_the_same_to_a_step():
    rng = np.random.default_rng(0)
    weights = np.zeros((300, 55))
    for row in weights:
        row[rng.choice(55, 4, replace=False)] = rng.dirichlet(np.ones(4))
    vertices, faces = 3 * rng.normal(size=(300, 3)), rng.integers(0, 300, (500, 3))
    other = Body(vertices, faces, weights, np.zeros((55, 3)), held=np.zeros((33, 3, 3)))
    packed = pack(other)
    assert {array.dtype.itemsize for name, array in packed.items() if name != "box"} <= {1, 2}
    low, high = packed["box"]
    vertices = low + packed["vertices"] / 65535 * (high - low)
    np.testing.assert_allclose(vertices, other.vertices, atol=(high - low).max() / 130_000)
    np.testing.assert_array_equal(packed["faces"], other.faces)
    np.testing.assert_array_equal(packed["shares"].sum(axis=1), 65535)
    again = np.zeros_like(weights)
    np.add.at(again, (np.arange(300)[:, None], packed["joints"]), packed["shares"] / 65535)
    np.testing.assert_allclose(again, weights, atol=3 / 65535)


def test_normals_are_those_of_the_surface(body):
    normals = vertex_normals(body.vertices, body.faces)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1, atol=1e-12)
    crown = body.vertices[:, 1].argmax()
    assert normals[crown, 1] > 0.99
