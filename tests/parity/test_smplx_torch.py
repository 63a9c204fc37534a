"""Our licensed bodies agree with the package smplx on synthetic models of the right shapes."""

import numpy as np
import pytest

from tests.helpers.smplx_files import SMPLH_PARENTS, SMPLX_PARENTS, save, synthetic_model
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.smplx import load_smplx

torch = pytest.importorskip("torch", reason="agreement with PyTorch needs torch")
smplx = pytest.importorskip("smplx", reason="the reference is the package smplx")

FRAMES = 3
# The package takes the number of vertices from the real models: it names some of them.
MODELS = {"SMPLX": (SMPLX_PARENTS, 10475), "SMPLH": (SMPLH_PARENTS, 6890)}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("flat_hand_mean", [False, True])
def test_vertices_and_joints_agree(tmp_path, kind, flat_hand_mean):
    rng = np.random.default_rng(0)
    parents, vertices = MODELS[kind]
    model = synthetic_model(parents, vertices)
    model |= {f"hands_components{side}": rng.normal(size=(45, 45)) for side in "lr"}
    model |= {
        "lmk_faces_idx": rng.integers(0, 2 * vertices, 51),
        "lmk_bary_coords": rng.dirichlet(np.ones(3), 51),
    }
    path = save(tmp_path / f"{kind}_NEUTRAL.npz", model)
    betas, transl = rng.normal(size=10), rng.normal(size=(FRAMES, 3))
    angles = 0.5 * rng.normal(size=(FRAMES, 22, 3))

    options = {"use_face_contour": False} if kind == "SMPLX" else {}
    theirs = getattr(smplx, kind)(
        str(path),
        ext="npz",
        gender="neutral",
        use_pca=False,
        flat_hand_mean=flat_hand_mean,
        num_betas=10,
        batch_size=FRAMES,
        dtype=torch.float64,
        **options,
    )
    with torch.no_grad():
        result = theirs(
            betas=torch.tensor(np.tile(betas, (FRAMES, 1))),
            global_orient=torch.tensor(angles[:, 0]),
            body_pose=torch.tensor(angles[:, 1:].reshape(FRAMES, 63)),
            transl=torch.tensor(transl),
        )
    body = load_smplx(path, betas, flat_hand_mean)
    ours = body.pose(axis_angle_to_matrix(angles), transl + body.rest_joints[0])
    np.testing.assert_allclose(ours, result.vertices.numpy(), atol=1e-5, rtol=0)
    np.testing.assert_allclose(
        transl + body.rest_joints[0], result.joints[:, 0].numpy(), atol=1e-5, rtol=0
    )
    np.testing.assert_array_equal(body.faces, theirs.faces.astype(np.int64))
