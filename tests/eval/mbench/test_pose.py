"""Poses that are known or fitted, what is measured of them, and what is cached of it."""

import numpy as np
import pytest

from eval.bodies import Bodies, to_motion
from eval.mbench import pose
from eval.mbench.pose import pose_dimensions
from eval.score_cache import ScoreCache
from eval.systems import Clip
from tests.helpers.made_up import made_up_motion
from tests.helpers.smplx_files import SMPLX_PARENTS, save, synthetic_model
from vimogen_jax.body.mesh import builtin_body
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.skeleton import JOINT_NAMES
from vimogen_jax.body.smplx import load_smplx
from vimogen_jax.convert.nrdf import load_nrdf
from vimogen_jax.errors import BadInput
from vimogen_jax.metrics.body_fit import PosePrior
from vimogen_jax.metrics.nrdf import pose_distance
from vimogen_jax.metrics.penetration import penetration


@pytest.fixture(scope="module")
def clips():
    """Two motions with their poses; then the same and one more with joints alone."""
    rng = np.random.default_rng(0)
    actions = ["raise-left-hand", "walk", "raise-right-hand"]
    motions = [made_up_motion(action, rng)[20 : 30 + i] for i, action in enumerate(actions)]
    elbow = JOINT_NAMES.index("left_elbow")  # so far that the forearm runs through the head
    motions[0].rotations[:, elbow] = axis_angle_to_matrix(np.array([0, 0, 1.6]))
    joints = [np.asarray(motion.joints(), np.float32) for motion in motions]
    known = [Clip("", at, motion) for at, motion in zip(joints[:2], motions[:2], strict=True)]
    return [*known, *(Clip("", at) for at in joints)]


@pytest.fixture
def weights(golden_file):
    return golden_file("nrdf_params.safetensors")


@pytest.fixture(scope="module")
def bodies():
    return Bodies()


def test_known_poses_are_taken_and_others_fitted_in_order(clips, bodies):
    motions = bodies(clips)
    assert motions[0] is clips[0].motion and motions[1] is clips[1].motion
    for motion, clip in zip(motions, clips, strict=True):
        assert motion.num_frames == len(clip.joints)
        assert np.linalg.norm(motion.joints() - clip.joints, axis=-1).mean() < 0.005
    assert bodies(clips)[2] is motions[2], "fitted once"
    (fitted,) = Bodies(from_joints=True)(clips[:1])
    assert fitted is not clips[0].motion
    np.testing.assert_allclose(fitted.rotations, motions[2].rotations, atol=1e-5)


def test_joints_alone_can_be_looked_at(clips):
    for clip in clips[1:3]:
        np.testing.assert_allclose(to_motion(clip).joints(), clip.joints, atol=0.02)


def test_fingerprints_tell_what_poses_come_from(clips):
    prior = PosePrior(np.zeros(1), np.zeros((1, 63)), np.eye(63)[None])  # type: ignore[arg-type]
    makers = Bodies(), Bodies(from_joints=True), Bodies(prior)
    found = {maker.fingerprint(clip) for clip in (clips[0], clips[2]) for maker in makers}
    # Poses as they are, with or without a prior; fitted joints, of the same motion; with a prior.
    assert len(found) == 3


def test_values_are_those_of_the_metrics(clips, bodies, weights, tmp_path):
    chosen = [clips[1], clips[0]]
    rotations = [clip.motion.rotations.astype(np.float32) for clip in chosen]
    network, body, cache = load_nrdf(weights), builtin_body(), ScoreCache(tmp_path / "poses.json")
    quality, through = pose_dimensions(bodies, cache, network, as_released=True)
    distances = pose_distance(network, np.concatenate(rotations), as_released=True)
    expected = [10 * x.mean() for x in np.split(distances, [len(rotations[0])])]
    np.testing.assert_allclose(quality.score(chosen, ()).values, expected, rtol=1e-5)
    posed = [body.pose(each, np.zeros((len(each), 3), np.float32)) for each in rotations]
    expected = [penetration(vertices, body.faces).mean() for vertices in posed]
    assert expected[0] == 0 and expected[1] > 0.5
    np.testing.assert_allclose(through.score(chosen, ()).values, expected, atol=0.02)
    assert "built-in" in through.note


def test_an_interrupted_run_goes_on_and_a_finished_one_measures_nothing(
    clips, tmp_path, monkeypatch
):
    path, measured = tmp_path / "poses.json", []

    def third_time_interrupted(vertices, faces):
        if len(measured) == 2:
            raise KeyboardInterrupt
        measured.append(len(vertices))
        return np.full(len(vertices), float(len(measured)))

    monkeypatch.setattr(pose, "penetration", third_time_interrupted)
    score = lambda: pose_dimensions(Bodies(), ScoreCache(path))[1].score(clips[:4], ())
    # Of four clips two have known poses, and two their joints alone, fitted.
    with pytest.raises(KeyboardInterrupt):
        score()
    assert len(ScoreCache(path).values) == 2
    monkeypatch.setattr(pose, "penetration", lambda vertices, faces: np.full(len(vertices), 7.0))
    np.testing.assert_allclose(score().values, [1, 2, 7, 7])
    monkeypatch.setattr(pose, "penetration", None)
    monkeypatch.setattr(Bodies, "_fit", lambda self, clips: [][len(clips)])
    np.testing.assert_allclose(score().values, [1, 2, 7, 7])


def test_another_mesh_is_measured_anew(clips, bodies, tmp_path, monkeypatch):
    monkeypatch.setattr(
        pose, "penetration", lambda vertices, faces: np.full(len(vertices), len(faces))
    )
    given = load_smplx(save(tmp_path / "SMPLX_NEUTRAL.npz", synthetic_model(SMPLX_PARENTS)))
    for mesh, faces in ((None, len(builtin_body().faces)), (given, 160)):
        (_, through) = pose_dimensions(bodies, ScoreCache(tmp_path / "poses.json"), mesh=mesh)
        assert through.score
        assert through.score(clips[:1], ()).values == [faces]
    assert "160 triangles" in through.note


def test_without_weights_pose_quality_says_where_they_are_published(bodies, tmp_path):
    quality, through = pose_dimensions(bodies, ScoreCache(tmp_path / "poses.json"))
    assert quality.score is None and through.score
    assert "checkpoint_epoch_best.tar" in quality.note and "github.com/hynann" in quality.note


def test_a_damaged_file_of_values_is_refused(tmp_path):
    for content in ("[1, 2", "[1]", '{"a": NaN}', '{"a": "x"}', '{"a": 1e999}'):
        (damaged := tmp_path / "poses.json").write_text(content)
        with pytest.raises(BadInput, match="holds no values"):
            ScoreCache(damaged)
