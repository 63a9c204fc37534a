"""What other programs leave of a person in a film comes back as that person's movement."""

import dataclasses
import shutil

import numpy as np
import pytest

from tests.helpers import film_results, torch_files
from tests.helpers.film_results import WRITERS
from tests.helpers.made_up import made_up_motion
from vimogen_jax import formats
from vimogen_jax.body.axes import UPS
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.skeleton import JOINT_NAMES
from vimogen_jax.errors import BadInput
from vimogen_jax.formats import World, look, mhr, settle, tram, visual_mocap
from vimogen_jax.formats.mhr import _HERE, NUM_KEYPOINTS
from vimogen_jax.motion.motion import Motion

FRAMES = 30
EXACT = [name for name in WRITERS if name != "SAM 3D Body"]
CAMERA_ALONE = ("SMPLest-X", "SMPLer-X", "SAM 3D Body")


@pytest.fixture(scope="module")
def motion() -> Motion:
    return made_up_motion("turn", np.random.default_rng(0), FRAMES)


def apart(joints: np.ndarray, truth: np.ndarray, frames=slice(None)) -> np.ndarray:
    """Metres between joints and the true ones `[t 22]`, whose heading and place are theirs."""
    ours, theirs = joints[frames], truth[frames]
    a, b = (x - x.mean((0, 1)) for x in (ours, theirs))
    sine = (a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]).sum()
    heading = np.arctan2(sine, (a[..., :2] * b[..., :2]).sum())
    return np.linalg.norm(a @ axis_angle_to_matrix(np.array([0, 0, heading])).T - b, axis=-1)


@pytest.mark.parametrize("view", ["world", "camera"])
@pytest.mark.parametrize("program", EXACT)
def test_the_motion_comes_back(tmp_path, motion, program, view):
    found = look(WRITERS[program](tmp_path, motion), World(view=view))
    read = settle(found, World(fps=motion.fps)).motion()
    assert read.num_frames == FRAMES and read.fps == motion.fps
    assert apart(read.joints(), motion.joints()).max() < 1e-5
    assert np.ptp(read.joints()[..., 2]) > 1  # upright, not only turned as a whole
    np.testing.assert_allclose(read.rotations[:, 1:], motion.rotations[:, 1:], atol=1e-5)
    if view == "camera":
        assert not found.floor


def test_keypoints_of_sam_3d_body_give_the_body(tmp_path, motion):
    read = formats.read(film_results.sam3d(tmp_path, motion), fps=20)
    seen = [JOINT_NAMES.index(name) for name in _HERE]
    off = apart(read.joints(), motion.joints())
    assert off[:, seen].max() < 0.03 and off.mean() < 0.02


@pytest.mark.parametrize(
    "name",
    ["hmr4d_results.pt", "dance.npz", "smpl_params.pt", "v_params.pt", "wham_output.pkl"]
    + ["results.pkl", "hps_track_0.npy", "hps_track_1.npy", "smplx"],
)
def test_files_as_the_programs_write_them(shared, name):
    """Of one take, with its joints; frames in which nobody was seen are filled in, and told."""
    folder = shared / "priors" / "ingest"
    with np.load(folder / "expected.npz") as expected:
        truth, fps = expected["joints"], float(expected["fps"])
    found = look(folder / name, World())
    read = settle(found, World(fps=fps)).motion()
    frames = 45 if name == "smplx" else 60
    seen = np.ones(frames, bool) if found.seen is None else found.seen
    assert read.num_frames == frames
    lost = {"wham_output.pkl": 5, "hps_track_0.npy": 3, "hps_track_1.npy": 3, "smplx": 1}
    assert (~seen).sum() == lost.get(name, 0)
    assert apart(read.joints(), truth[:frames], seen).max() < 1e-5
    assert apart(read.joints(), truth[:frames]).max() < 0.15


def test_a_real_frame_of_sam_3d_body(shared, tmp_path):
    path = shared / "priors" / "ingest" / "sam3d_img0.npz"
    read = formats.read(path, fps=20)
    with np.load(path) as content:
        points = content["pred_keypoints_3d"][list(_HERE.values())] + content["pred_cam_t"]
    seen = [JOINT_NAMES.index(name) for name in _HERE]
    off = np.linalg.norm(read.joints()[0, seen] - points @ UPS["-y"].T, axis=-1)
    assert off.max() < 0.06  # a person of another build
    shutil.copy(path, tmp_path / "00007.npz")
    again = formats.read(tmp_path, fps=20)
    np.testing.assert_allclose(again.joints(), read.joints(), atol=1e-9)


def test_lost_frames_are_filled_in_at_their_times(tmp_path, motion):
    frames = np.delete(np.arange(FRAMES), [10, 11, 12])
    path = film_results.wham_people(tmp_path, [film_results.wham_person(motion, frames)])
    found = look(path)
    assert found.seen is not None and np.flatnonzero(~found.seen).tolist() == [10, 11, 12]
    assert found.notes == ("3 frames without the person filled in from those around",)
    read = settle(found, World(fps=20)).motion().joints()
    assert apart(read, motion.joints(), found.seen).max() < 1e-5
    steps = np.linalg.norm(np.diff(read, axis=0), axis=-1)
    assert steps[9:13].max() < 2 * steps.max()


def test_tracks_are_joined_where_one_person_goes_on(tmp_path, motion):
    tracks = [np.arange(12), np.arange(14, FRAMES)]
    for path in (film_results.tram(tmp_path, motion, tracks), tmp_path):
        found = look(path)
        assert found.seen is not None and np.flatnonzero(~found.seen).tolist() == [12, 13]
        read = settle(found, World(fps=20)).motion()
        assert apart(read.joints(), motion.joints(), found.seen).max() < 1e-5


def test_worlds_that_begin_anew_are_brought_together(tmp_path, motion):
    first, second = (film_results.wham_person(motion, f) for f in np.split(np.arange(FRAMES), [14]))
    elsewhere = axis_angle_to_matrix(np.array([0, 2.0, 0]))
    turned = axis_angle_to_matrix(second["pose_world"][:, :3])
    second["pose_world"][:, :3] = film_results.matrix_to_axis_angle(elsewhere @ turned)
    pelvis = second["trans_world"] + film_results.SMPL_PELVIS
    second["trans_world"] = pelvis @ elsewhere.T + [3, 0.2, 1] - film_results.SMPL_PELVIS
    path = film_results.wham_people(tmp_path, [first, second])
    read = formats.read(path, fps=20)
    assert apart(read.joints(), motion.joints()).max() < 1e-5


def test_somebody_beside_is_somebody_else_and_chosen_by_number(tmp_path, motion):
    beside = dataclasses.replace(motion, transl=motion.transl + [1.5, 0, 0])
    people = [
        film_results.wham_person(beside, np.arange(10, 20)),
        film_results.wham_person(motion, np.arange(FRAMES)),
    ]
    path = film_results.wham_people(tmp_path, people)
    longest, other = look(path), look(path, World(person=1))
    assert (longest.num_frames, other.num_frames) == (FRAMES, 10)
    assert longest.notes == ("person 0 of 2, counted from 0 by frames seen",)
    with pytest.raises(BadInput, match=r"wham_output\.pkl: holds 2 people, so nobody is number 2"):
        look(path, World(person=2))


def test_files_of_frames_tell_people_by_where_they_are(tmp_path, motion):
    """Programs count people anew in every frame, so numbers may change places."""
    folder = film_results.smpler_x(tmp_path, motion)
    aside = tmp_path / "aside.npz"
    for frame in range(5, 15):
        path = folder / f"{frame:05d}_0.npz"
        with np.load(path) as content:
            one = dict(content)
        path.rename(aside)
        np.savez(path, **(one | dict(transl=one["transl"] + np.float32([1.5, 0, 0]))))
        aside.rename(folder / f"{frame:05d}_1.npz")
    (folder / "._00005.npz").touch()  # as macOS leaves on another's disk
    read = formats.read(folder, fps=20)
    assert apart(read.joints(), motion.joints()).max() < 1e-5


def test_who_is_long_away_is_somebody_else(tmp_path, motion):
    person = film_results.wham_person(motion, np.arange(FRAMES))
    person["frame_ids"] = np.concatenate([np.arange(20), np.arange(10**8, 10**8 + FRAMES - 20)])
    path = film_results.wham_people(tmp_path, [person])
    assert (look(path).num_frames, look(path, World(person=1)).num_frames) == (20, FRAMES - 20)


def test_without_its_camera_tram_has_no_world(tmp_path, motion):
    path = film_results.tram(tmp_path, motion)
    (tmp_path / tram.CAMERA).unlink()
    assert look(path).view == "camera"


def test_rates_that_programs_get_wrong_are_asked_for(tmp_path, motion):
    with pytest.raises(BadInput, match="does not say how many frames a second it has .*GVHMR's"):
        formats.read(film_results.gvhmr(tmp_path, motion))
    assert formats.read(film_results.gvhmr_npz(tmp_path, motion)).fps == motion.fps


def test_frames_that_were_repeated_are_told(tmp_path, motion):
    arrays = film_results.parameters(*film_results.views(motion)["camera"])
    twice = {name: values.repeat(2, axis=0) for name, values in arrays.items()}
    assert "51% of the frames repeat" in visual_mocap.find("a.pt", twice).notes[0]
    assert visual_mocap.find("a.pt", arrays).notes == ()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda p: p.pop("trans_world"), "trans_world of person 0 is missing"),
        (lambda p: p.update(pose=p["pose"][:, :60]), r"pose has shape \[30, 60\]"),
        (lambda p: p.update(trans=p["trans"][:5]), "30 frames of pose and 5 of its place"),
        (lambda p: p.update(frame_ids=p["frame_ids"][:7]), "7 frames, and 30 bodies"),
        (lambda p: p.update(frame_ids=p["frame_ids"][::-1]), "frame_ids are no numbers of frames"),
        (lambda p: p.update(pose=p["pose"] * np.nan), "pose holds NaN"),
        (lambda p: p.update({k: v[:0] for k, v in p.items()}), "holds no frame with a person"),
    ],
)
def test_faults_are_named(tmp_path, motion, change, fault):
    person = film_results.wham_person(motion, np.arange(FRAMES))
    change(person)
    path = film_results.wham_people(tmp_path, [person])
    with pytest.raises(BadInput, match=rf"wham_output\.pkl: .*{fault}"):
        look(path)


def test_matrices_that_are_no_rotations(tmp_path, motion):
    path = film_results.tram(tmp_path, motion)
    track = dict(pred_rotmat=np.zeros((3, 24, 3, 3)), pred_trans=np.zeros((3, 3)), frame=[0, 1, 2])
    np.save(path, np.array(track, object))
    with pytest.raises(BadInput, match=r"hps_track_0\.npy: pred_rotmat holds .* no rotations"):
        look(path)


def test_folders_of_something_else(tmp_path, motion):
    with pytest.raises(BadInput, match="a folder, but none of a motion"):
        look(tmp_path)
    np.savez(tmp_path / "00001.npz", weights=np.zeros(3))
    with pytest.raises(BadInput, match=r"00001\.npz: holds no frame of"):
        look(tmp_path)


def test_results_as_dictionaries_that_lack_a_body(tmp_path):
    for said, fault in (
        (dict(betas=np.zeros(3)), "global_orient is missing"),
        (np.zeros((30, 3)), "the parameters of a body are no dictionary"),
    ):
        path = torch_files.save(tmp_path / "a.pt", dict(smpl_params_incam=said))
        with pytest.raises(BadInput, match=rf"a\.pt: {fault}"):
            look(path)


def test_keypoints_in_one_place_are_no_body():
    keypoints = np.zeros((NUM_KEYPOINTS, 3))
    keypoints[_HERE["neck"]] = 1.0
    with pytest.raises(BadInput, match=r"a\.npz: pred_keypoints_3d are no body's"):
        mhr.to_bodies("a.npz", dict(pred_keypoints_3d=keypoints))
