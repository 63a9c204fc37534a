"""Forward kinematics and skinning on poses that can be worked out by hand."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vimogen_jax.body.kinematics import forward_kinematics, skin
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.skeleton import JOINT_NAMES, NUM_JOINTS, PARENTS, REST_JOINTS


def joint(name: str) -> int:
    return JOINT_NAMES.index(name)


def random_pose(frames: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    rotations = axis_angle_to_matrix(rng.normal(size=(frames, NUM_JOINTS, 3)))
    return rotations, rng.normal(size=(frames, 3))


def test_the_tree_is_the_published_one(shared):
    published = json.loads((shared / "reference" / "rest_joints.json").read_text())
    assert list(JOINT_NAMES) == published["names"]
    assert list(PARENTS) == published["parents"]
    np.testing.assert_array_equal(REST_JOINTS, published["rest"])


def test_at_rest_the_pelvis_stands_at_transl_plus_its_rest_position():
    transl = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    rotations = np.broadcast_to(np.eye(3), (2, NUM_JOINTS, 3, 3))
    turned, joints = forward_kinematics(rotations, transl)
    np.testing.assert_allclose(joints, REST_JOINTS + transl[:, None], atol=1e-15)
    np.testing.assert_array_equal(turned, rotations)


def test_a_bent_elbow_moves_the_wrist_alone():
    rotations = np.tile(np.eye(3), (NUM_JOINTS, 1, 1))
    elbow, wrist = joint("left_elbow"), joint("left_wrist")
    rotations[elbow] = axis_angle_to_matrix(np.array([0.0, 0.0, np.pi / 2]))
    turned, joints = forward_kinematics(rotations, np.zeros(3))
    x, y, z = REST_JOINTS[wrist] - REST_JOINTS[elbow]
    np.testing.assert_allclose(joints[wrist], REST_JOINTS[elbow] + [-y, x, z], atol=1e-15)
    np.testing.assert_array_equal(turned[wrist], rotations[elbow])
    others = np.delete(np.arange(NUM_JOINTS), wrist)
    np.testing.assert_allclose(joints[others], REST_JOINTS[others], atol=1e-15)


def test_bones_keep_their_length_and_turn_with_their_parent():
    rotations, transl = random_pose()
    turned, joints = forward_kinematics(rotations, transl)
    for child in range(1, NUM_JOINTS):
        parent = PARENTS[child]
        bone = REST_JOINTS[child] - REST_JOINTS[parent]
        np.testing.assert_allclose(joints[:, child] - joints[:, parent], turned[:, parent] @ bone)
        relative = np.swapaxes(turned[:, parent], -1, -2) @ turned[:, child]
        np.testing.assert_allclose(relative, rotations[:, child], atol=1e-14)


def test_kinematics_batch_and_agree_between_numpy_and_jax():
    rotations, transl = random_pose()
    expected = forward_kinematics(rotations, transl)
    batched = forward_kinematics(rotations.reshape(2, 2, -1, 3, 3), transl.reshape(2, 2, 3))
    jitted = jax.jit(forward_kinematics)(jnp.asarray(rotations), jnp.asarray(transl))
    for out, one, many in zip(expected, jitted, batched, strict=True):
        assert out.dtype == np.float64 and one.dtype == jnp.float32
        np.testing.assert_array_equal(many.reshape(out.shape), out)
        np.testing.assert_allclose(one, out, atol=1e-5)


def test_gradients_flow_through_kinematics_at_rest():
    def reach(axis_angles):
        joints = forward_kinematics(axis_angle_to_matrix(axis_angles), jnp.zeros(3))[1]
        return joints[joint("left_wrist"), 1]

    gradient = jax.jit(jax.grad(reach))(jnp.zeros((NUM_JOINTS, 3)))
    assert jnp.isfinite(gradient).all()
    arm = REST_JOINTS[joint("left_wrist")] - REST_JOINTS[joint("left_shoulder")]
    np.testing.assert_allclose(gradient[joint("left_shoulder"), 2], arm[0], rtol=1e-5)


@pytest.fixture
def cloud():
    """Vertices about the body with random weights that sum to one."""
    rng = np.random.default_rng(1)
    weights = rng.dirichlet(np.ones(NUM_JOINTS), size=50)
    return rng.normal(size=(50, 3)), weights


def test_skinning_is_the_weighted_sum_of_where_joints_carry_a_vertex(cloud):
    vertices, weights = cloud
    turned, joints = forward_kinematics(*random_pose())
    local = vertices[:, None] - REST_JOINTS
    carried = np.einsum("tjab,vjb->tvja", turned, local) + joints[:, None]
    expected = np.einsum("vj,tvja->tva", weights, carried)
    out = skin(vertices, weights, turned, joints, REST_JOINTS)
    np.testing.assert_allclose(out, expected, atol=1e-13)
    one_shape_a_pose = np.broadcast_to(vertices, (4, 50, 3))
    again = skin(one_shape_a_pose, weights, turned, joints, REST_JOINTS)
    np.testing.assert_allclose(again, expected, atol=1e-13)
    jitted = jax.jit(skin)(vertices, weights, jnp.asarray(turned), jnp.asarray(joints), REST_JOINTS)
    np.testing.assert_allclose(jitted, expected, atol=2e-5)


def test_a_vertex_on_one_joint_moves_rigidly(cloud):
    vertices, _ = cloud
    head = np.zeros((50, NUM_JOINTS))
    head[:, joint("head")] = 1
    turned, joints = forward_kinematics(*random_pose(1))
    out = skin(vertices, head, turned, joints, REST_JOINTS)[0]
    rigid = (vertices - REST_JOINTS[joint("head")]) @ turned[0, joint("head")].T
    np.testing.assert_allclose(out, rigid + joints[0, joint("head")], atol=1e-13)
