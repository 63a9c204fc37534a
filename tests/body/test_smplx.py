"""Licensed body models, on synthetic files: posed as the papers say, refused where damaged."""

import numpy as np
import pytest

from tests.helpers.smplx_files import SMPLH_PARENTS, SMPLX_PARENTS, save, synthetic_model
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.smplx import load_smplx
from vimogen_jax.errors import BadInput


def evaluate(model, parents, betas, rotations, transl):
    """SMPL's equations for one frame, written out with 4 x 4 matrices."""
    shaped = model["v_template"] + np.einsum(
        "vxb,b->vx", model["shapedirs"][:, :, : len(betas)], betas
    )
    joints = model["J_regressor"] @ shaped
    feature = np.concatenate([(r - np.eye(3)).ravel() for r in rotations[1:]])
    posed = shaped + model["posedirs"] @ feature
    chain = []
    for j, parent in enumerate(parents):
        step = np.eye(4)
        step[:3, :3] = rotations[j]
        step[:3, 3] = joints[j] if parent < 0 else joints[j] - joints[parent]
        chain.append(step if parent < 0 else chain[parent] @ step)
    result = np.zeros_like(posed)
    for v, point in enumerate(posed):
        for j in range(len(parents)):
            carried = chain[j] @ np.append(point - joints[j], 1)
            result[v] += model["weights"][v, j] * carried[:3]
    return result + transl


@pytest.mark.parametrize("parents", [SMPLX_PARENTS, SMPLH_PARENTS], ids=["SMPL-X", "SMPL-H"])
@pytest.mark.parametrize("flat", [False, True])
def test_agrees_with_the_equations_written_out(tmp_path, parents, flat):
    model = synthetic_model(parents)
    rng = np.random.default_rng(1)
    betas, transl = rng.normal(size=10), rng.normal(size=3)
    angles = 0.6 * rng.normal(size=(22, 3))
    body = load_smplx(save(tmp_path / "model.npz", model), betas, flat_hand_mean=flat)
    posed = body.pose(axis_angle_to_matrix(angles)[None], (transl + body.rest_joints[0])[None])

    full = np.zeros((len(parents), 3))
    full[:22] = angles
    if not flat:
        full[-30:-15] = model["hands_meanl"].reshape(15, 3)
        full[-15:] = model["hands_meanr"].reshape(15, 3)
    expected = evaluate(model, parents, betas, axis_angle_to_matrix(full), transl)
    np.testing.assert_allclose(posed[0], expected, atol=1e-10)


def test_many_frames_are_each_posed_as_if_alone(tmp_path):
    body = load_smplx(save(tmp_path / "model.npz", synthetic_model(SMPLX_PARENTS)))
    rng = np.random.default_rng(2)
    rotations = axis_angle_to_matrix(rng.normal(size=(3, 22, 3)))
    pelvis = rng.normal(size=(3, 3))
    together = body.pose(rotations, pelvis)
    alone = [body.pose(rotations[t : t + 1], pelvis[t : t + 1])[0] for t in range(3)]
    np.testing.assert_allclose(together, alone, atol=1e-12)


def without(key):
    return lambda model: model.pop(key)


def changed(key, change):
    return lambda model: model.update({key: change(model[key])})


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (without("posedirs"), "posedirs"),
        (without("weights"), "weights"),
        (changed("weights", lambda x: x[:40]), r"weights has shape \[40, 55\]"),
        (changed("posedirs", lambda x: x[..., :207]), "posedirs has shape"),
        (changed("v_template", lambda x: x.astype(str)), "v_template"),
        (changed("v_template", lambda x: x * np.nan), "v_template holds NaN"),
        (changed("f", lambda x: x + 80), "f, the faces"),
        (changed("kintree_table", lambda x: x[:, ::-1]), "joints are not those of SMPL-X"),
        (changed("v_template", lambda x: np.array(None)), "model.npz"),
    ],
)
def test_refuses_a_damaged_model_by_name(tmp_path, damage, fault):
    model = synthetic_model(SMPLX_PARENTS)
    damage(model)
    with pytest.raises(BadInput, match=fault) as refusal:
        load_smplx(save(tmp_path / "model.npz", model))
    assert "model.npz" in str(refusal.value)


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04 cut short"])
def test_refuses_what_is_no_npz(tmp_path, content):
    path = tmp_path / "model.npz"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"model\.npz"):
        load_smplx(path)


def test_refuses_pickles_and_too_many_betas(tmp_path):
    (tmp_path / "model.pkl").write_bytes(b"\x80\x04N.")
    with pytest.raises(BadInput, match=r"model\.pkl: pickled body models are not read"):
        load_smplx(tmp_path / "model.pkl")
    path = save(tmp_path / "model.npz", synthetic_model(SMPLX_PARENTS))
    with pytest.raises(BadInput, match="betas must be a list of at most 20 numbers"):
        load_smplx(path, np.zeros(21))
