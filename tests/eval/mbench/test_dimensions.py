"""The dimensions: the release's numbers when asked for them, and broken motions told from whole."""

# pyright: reportOptionalCall=false, reportCallIssue=false, reportOptionalContextManager=false

import json
import tarfile

import numpy as np
import pytest

from eval.bodies import Bodies
from eval.mbench.dimensions import BATCH_SIZE, motion_dimensions
from eval.mbench.pose import pose_dimensions
from eval.mbench.prompts import MBenchPrompt, asked
from eval.mbench.scoring import score
from eval.score_cache import ScoreCache
from eval.systems import Clip, System, read_system
from vimogen_jax import formats
from vimogen_jax.body.axes import Y_UP_TO_Z_UP
from vimogen_jax.body.skeleton import JOINT_NAMES
from vimogen_jax.formats import World
from vimogen_jax.generator import Generator
from vimogen_jax.metrics.motion_quality import FEET
from vimogen_jax.motion.canonical import canonicalize
from vimogen_jax.motion.resample import resample

PUBLISHED_NAMES = {
    "jitter_degree": "Jitter_Degree",
    "ground_penetration": "Ground_Penetration",
    "foot_floating": "Foot_Floating",
    "foot_sliding": "Foot_Sliding",
    "dynamic_degree": "Dynamic_Degree",
}


def read_all(folder, count, velocities=False, **world):
    prompts = {id: MBenchPrompt(id, "motion_quality", f"prompt {id}", 5.0) for id in range(count)}
    return read_system("ours", folder, asked(prompts), World(**world), velocities=velocities)


def write_all(folder, motions):
    for id, joints in enumerate(motions):
        np.save(folder / f"{id}.npy", np.asarray(joints, np.float32))


def means(folder, count, columns):
    system = read_all(folder, count, up="z", units="m")
    assert system.faults == []
    clips = list(system.clips.values())
    return np.array([column.score(clips, ()).values.mean() for column in columns])


@pytest.mark.parametrize("as_released", [False, True])
def test_published_values_and_their_summary(as_released, shared):
    """The release takes its joints for y up but reads z: so does `as_released`, of z-up clips."""
    world = Y_UP_TO_Z_UP.T if as_released else np.eye(3)
    with np.load(shared / "golden" / "mbench_joints.npz") as loaded:
        published = dict(loaded)  # two of them are not shipped
    clips = [Clip("", (joints @ world).astype(np.float32)) for joints in published.values()]
    names = list(published)
    prompts = {id: MBenchPrompt(id, "motion_quality", name, 5.0) for id, name in enumerate(names)}
    system = System("released", dict(enumerate(clips)), [], {})
    expected = json.loads((shared / "golden" / "mbench_expected.json").read_text())
    for dimension in motion_dimensions(as_released):
        scored = score(system, prompts, dimension)
        name = PUBLISHED_NAMES[dimension.name]
        published = [expected["per_motion"][clip][name] for clip in names]
        assert list(scored["values"].values()) == pytest.approx(published, rel=1e-5, abs=1e-6)
        for key, of in (("mean", "mean"), ("std", "std"), ("motions", "num_samples")):
            assert scored[key] == pytest.approx(expected["aggregate"][name][of], rel=1e-5, abs=1e-6)


def test_a_published_clip_and_its_export_agree_when_z_is_up(golden, tmp_path):
    """The release scores these two differently: the export is y up, and its floor a wall."""
    clips = golden("mbench_joints")
    values = []
    for name, up in (("walk", "z"), ("walk_yup", "y")):
        folder = tmp_path / name
        folder.mkdir()
        write_all(folder, [clips[name]])
        clip = read_all(folder, 1, up=up).clips[0]
        values.append(
            [float(dimension.score([clip]).values[0]) for dimension in motion_dimensions()]
        )
    np.testing.assert_allclose(values[0], values[1], rtol=1e-4, atol=1e-6)


def test_values_keep_their_order_over_batches():
    rng = np.random.default_rng(0)
    lengths = rng.integers(4, 30, size=BATCH_SIZE + 5)
    clips = [Clip("", rng.normal(size=(length, 22, 3)).astype(np.float32)) for length in lengths]
    for dimension in motion_dimensions():
        one_by_one = [dimension.score([clip]).values[0] for clip in clips]
        np.testing.assert_allclose(dimension.score(clips).values, one_by_one, rtol=1e-4)


WRISTS = [JOINT_NAMES.index(f"{side}_wrist") for side in ("left", "right")]

# What is done to joints [t 22 3], and which dimension must see it.
rng = np.random.default_rng(0)
drift = lambda joints: np.arange(len(joints))[:, None, None] * [0.04, 0.0, 0.0]


def skate(joints):
    """Push the body to and fro, and its feet twice as far: carried rigidly, it would float too."""
    to_and_fro = np.abs(np.arange(len(joints)) % 40 - 20) * 0.03
    share = np.ones(22)
    share[[7, 8, *FEET]] = 2
    return joints + to_and_fro[:, None, None] * share[:, None] * [1.0, 0.0, 0.0]


def fold(joints):
    """Put the hands into the trunk."""
    folded = joints.copy()
    folded[:, WRISTS] = joints[:, [JOINT_NAMES.index("spine2")]]
    return folded


BREAKS = {
    "jitter_degree": lambda joints: joints + rng.normal(size=joints.shape) * 0.005,  # shaken
    "ground_penetration": lambda joints: joints - [0, 0, 0.1],  # sunk
    "foot_floating": lambda joints: joints + drift(joints) + [0, 0, 0.3],  # floated
    "foot_sliding": skate,
    "dynamic_degree": lambda joints: np.repeat(joints[:1], len(joints), axis=0),  # frozen
    "body_penetration": fold,
}


def check_breaks(motions, folder, columns):
    """Each break worsens its own dimension, and no other break worsens that half as much."""

    def scored(name, change):
        (folder / name).mkdir()
        write_all(folder / name, [change(joints) for joints in motions])
        return means(folder / name, len(motions), columns)

    whole = scored("whole", lambda joints: joints)
    direction = np.array([-1 if column.higher_is_better else 1 for column in columns])
    worse = {name: direction * (scored(name, change) - whole) for name, change in BREAKS.items()}
    for i, column in enumerate(columns):
        own = worse[column.name][i]
        others = [values[i] for name, values in worse.items() if name != column.name]
        assert own > 0, column.name
        assert max(others) < own / 2, column.name


@pytest.fixture(scope="module")
def takes(shared):
    """Names and contents of the first eight real takes."""
    motions = []
    with tarfile.open(shared / "mocap" / "bandai1.tar.xz") as archive:
        for member in archive:
            if not member.name.endswith("_001.bvh"):
                continue
            with archive.extractfile(member) as file:
                motions.append((member.name.rpartition("/")[2], file.read()))
            if len(motions) == 8:
                return motions
    raise AssertionError("the archive has too few takes")


def read_takes(takes, folder, frames):
    """Their joints at 20 fps, so many frames of each."""
    motions = []
    for name, content in takes:
        (folder / name).write_bytes(content)
        motion = canonicalize(resample(formats.read(folder / name), 20.0))
        motions.append(motion.joints()[:frames])
    return motions


def test_broken_copies_of_real_motions(takes, tmp_path):
    check_breaks(read_takes(takes, tmp_path, 200), tmp_path, motion_dimensions())


def with_bodies(folder):
    """The dimensions that joints alone can break, bodies fitted to them."""
    _, through = pose_dimensions(Bodies(), ScoreCache(folder / "poses.json"))
    return *motion_dimensions(), through


@pytest.mark.slow
def test_broken_bodies_of_real_motions(takes, tmp_path):
    check_breaks(read_takes(takes[:4], tmp_path, 60), tmp_path, with_bodies(tmp_path))


@pytest.mark.slow
def test_broken_copies_of_the_shipped_models_motions(tmp_path):
    texts = ["a person walks forward.", "a person bows.", "a person waves with the right hand."]
    motions = Generator.from_checkpoint("small")(texts, seconds=3.0, samples=2)
    check_breaks([motion.joints() for motion in motions], tmp_path, with_bodies(tmp_path))
