"""Systems' motions in the layouts that their code writes."""

import pickle
import shlex

import numpy as np
import pytest

from eval.humanml3d.prompts import write_prompts
from eval.humanml3d.split import CaptionedClip, Split
from eval.humanml3d.systems import read_system
from vimogen_jax import formats
from vimogen_jax.errors import BadInput
from vimogen_jax.formats.humanml3d_captions import Caption
from vimogen_jax.motion import humanml3d


@pytest.fixture(scope="module")
def few(split):
    """The first clips of the split: a part, and two whole ones."""
    clips = dict(list(split.clips.items())[:3])
    return Split(split.folder, clips, 3, {})


def features(split, id, repetition=0):
    """As a system would make them: as long as the prompt, and different each time."""
    (prompt,) = (prompt for prompt in split.prompts if prompt.id == id)
    return split.clips[id].features[: prompt.frames] * (1 + 0.01 * repetition)


def joints(split, id):
    return humanml3d.joints_from_positions(split.clips[id].features[:40])


def encoded(joints):
    """As many frames as there are joints: the last velocities go on."""
    return humanml3d.encode(np.concatenate([joints, 2 * joints[-1:] - joints[-2:-1]]))


def check_features(system, split, repetitions=1):
    assert system.faults == {}
    assert [*system.made] == [*split.clips]
    for prompt in split.prompts:
        made = system.made[prompt.id]
        assert made.caption == prompt.caption
        assert len(made.motions) == repetitions
        for i, motion in enumerate(made.motions):
            expected = features(split, prompt.id, i)
            np.testing.assert_allclose(motion, expected, rtol=1e-6)


def check_joints(system, split):
    assert system.faults == {} and system.kinds == {"joints": len(split.clips)}
    for prompt in split.prompts:
        (motion,) = system.made[prompt.id].motions
        np.testing.assert_allclose(motion, encoded(joints(split, prompt.id)), atol=1e-5)


@pytest.mark.parametrize("batched", [False, True])
def test_features_by_id(few, tmp_path, batched):
    for id in few.clips:
        made = features(few, id)
        np.save(tmp_path / f"{id}.npy", made[None] if batched else made)
    check_features(read_system("ours", tmp_path, few), few)


def test_repetitions_by_id(few, tmp_path):
    for id in few.clips:
        for i in range(11):
            np.save(tmp_path / f"{id}_{i}.npy", features(few, id, i))
    check_features(read_system("ours", tmp_path, few), few, repetitions=11)


def test_t2m_gpt_and_its_letters_for_parts(few, tmp_path):
    for id in few.clips:
        name = id.replace("A_", "Q_")
        np.save(tmp_path / f"{name}_pred.npy", joints(few, id)[None])
        np.save(tmp_path / f"{name}_gt.npy", np.zeros(3))
    check_joints(read_system("T2M-GPT", tmp_path, few), few)


def test_momask(few, tmp_path):
    for line, id in enumerate(few.clips):
        folder = tmp_path / "joints" / str(line)
        folder.mkdir(parents=True)
        np.save(folder / f"sample{line}_repeat0_len40.npy", joints(few, id))
        np.save(folder / f"sample{line}_repeat0_len40_ik.npy", np.zeros(3))
    check_joints(read_system("MoMask", tmp_path, few), few)


def test_mld(few, tmp_path):
    """Of a demo by line and text; of a test by id, with the number of the repetition."""
    for line, prompt in enumerate(few.prompts):
        name = f"Example_{prompt.frames}_batch0_{line}"
        np.save(tmp_path / f"{name}.npy", joints(few, prompt.id))
        (tmp_path / f"{name}.txt").write_text(prompt.caption.text)
    check_joints(read_system("MLD", tmp_path, few), few)


def test_motionlcm(few, tmp_path):
    for line, prompt in enumerate(few.prompts):
        content = dict(
            joints=joints(few, prompt.id).astype(np.float32),
            text=prompt.caption.text,
            length=40,
            hint=None,
        )
        name = f"sample_id_{line}_length_{prompt.frames}_rep_0"
        (tmp_path / f"{name}.pkl").write_bytes(pickle.dumps(content))
        (tmp_path / f"{name}_ref.pkl").write_bytes(b"the real one")
    check_joints(read_system("MotionLCM", tmp_path, few), few)


def test_motiondiffuse(few, tmp_path):
    """Its command is given the files' names; it draws each motion, too."""
    for id in few.clips:
        np.save(tmp_path / f"{id}.npy", joints(few, id))
        (tmp_path / f"{id}.gif").write_bytes(b"GIF89a")
    check_joints(read_system("MotionDiffuse", tmp_path, few), few)


def test_mdm(few, tmp_path):
    """Shorter motions are padded; repetitions of all texts come after each other."""
    prompts = few.prompts
    motions = np.zeros((6, 22, 3, 60), np.float32)
    for i, motion in enumerate(motions):
        motion[..., :40] = np.moveaxis(joints(few, prompts[i % 3].id), 0, -1)
    results = dict(
        motion=motions,
        text=[prompt.caption.text for prompt in prompts] * 2,
        lengths=np.full(6, 40),
        num_samples=3,
        num_repetitions=2,
    )
    np.save(tmp_path / "results.npy", results)
    system = read_system("MDM", tmp_path, few)
    assert system.faults == {} and system.kinds == {"MDM results": 6}
    for prompt in prompts:
        first, second = system.made[prompt.id].motions
        np.testing.assert_allclose(first, encoded(joints(few, prompt.id)), atol=1e-4)
        np.testing.assert_array_equal(first, second)


def test_one_text_of_several_motions_falls_to_them_in_turn(few, tmp_path):
    walk = Caption("a person walks.")
    clips = {id: CaptionedClip(id, few.clips["000001"].features, (walk,)) for id in ("7", "8")}
    split = Split(few.folder, clips, 2, {})
    for number in range(12):  # so that 10 and 11 would come before 2 in the order of letters
        np.save(tmp_path / f"walk{number}.npy", features(split, "7", number))
        (tmp_path / f"walk{number}.txt").write_text("a person walks.\n")
    system = read_system("ours", tmp_path, split)
    for place, id in enumerate(("7", "8")):
        for i, motion in enumerate(system.made[id].motions):
            expected = features(split, "7", 2 * i + place)
            np.testing.assert_allclose(motion, expected, rtol=1e-6)


def test_a_text_that_was_not_asked_for_but_is_the_motions(few, tmp_path):
    prompt = few.prompts[2]
    (other,) = (x for x in few.clips[prompt.id].captions if x != prompt.caption)
    np.save(tmp_path / "a.npy", features(few, prompt.id))
    (tmp_path / "a.txt").write_text(other.text)
    system = read_system("ours", tmp_path, few)
    assert {id: made.caption for id, made in system.made.items()} == {prompt.id: other}


def test_our_own_files_have_rotations(few, tmp_path):
    np.save(tmp_path / "a.npy", few.clips["000001"].features)
    motion = formats.read(tmp_path / "a.npy")
    (tmp_path / "a.npy").unlink()
    formats.write(motion, tmp_path / "000001.npz")
    system = read_system("ours", tmp_path, few)
    assert sum(system.kinds.values()) == 1
    (made,) = system.made["000001"].motions
    assert len(made) == motion.num_frames // 4 * 4
    real = humanml3d.joints_from_positions(few.clips["000001"].features[: len(made)])
    np.testing.assert_allclose(humanml3d.joints_from_positions(made), real, atol=0.03)


def test_long_motions_are_cut_as_the_evaluator_cuts_them(few, tmp_path):
    long = np.concatenate([few.clips["000001"].features] * 6)
    np.save(tmp_path / "000001.npy", long)
    np.save(tmp_path / "000000.npy", long[:43])
    made = read_system("ours", tmp_path, few).made
    assert [len(made[id].motions[0]) for id in ("000001", "000000")] == [196, 40]


WRONG = [
    ("000001.npy", np.zeros((40, 262)), "an array [40, 262], neither joints [t, 22, 3] nor"),
    ("000001.npy", np.full((40, 263), np.nan), "holds NaN"),
    ("000001.npy", np.zeros((3, 263)), "has 3 frames, and 4 are needed"),
    ("777777.npy", np.zeros((40, 263)), "the test set has no motion '777777'"),
    ("walk.npy", np.zeros((40, 263)), "its name is no id of a test motion"),
    ("sample3_repeat0_len40.npy", np.zeros((40, 263)), "none on line 3, from 0"),
    ("000001.npy", {"motion": 1}, "not MDM's results: no motion, text and lengths"),
    ("000001.npy", np.zeros((5, 22, 3)), "its legs have no length"),
]


@pytest.mark.parametrize(("name", "content", "fault"), WRONG)
def test_a_file_that_is_wrong_is_named_and_the_others_read(few, tmp_path, name, content, fault):
    np.save(tmp_path / "000000.npy", features(few, "000000"))
    np.save(tmp_path / name, content)
    system = read_system("ours", tmp_path, few)
    assert [*system.made] == ["000000"]
    ((path, reason),) = system.faults.items()
    assert path.endswith(name) and fault in reason and path not in reason


@pytest.mark.parametrize("unit", [1, 1000])
def test_axes_and_units_are_found_out(few, tmp_path, unit):
    """As joints are written by this project, z up, and in millimetres too."""
    for id in few.clips:
        np.save(tmp_path / f"{id}.npy", unit * joints(few, id)[..., [0, 2, 1]] * [-1, 1, 1])
    check_joints(read_system("ours", tmp_path, few), few)


def test_features_that_contradict_themselves_are_scored_and_told(few, tmp_path):
    """A bad system would seem better without them; normalised ones are all like that."""
    for id in few.clips:
        made = features(few, id).copy()
        if id == "000001":
            made[:, humanml3d.CONTACTS] = 3.0
        np.save(tmp_path / f"{id}.npy", made)
    system = read_system("ours", tmp_path, few)
    assert system.faults == {} and [*system.made] == [*few.clips]
    assert (system.made["000001"].motions[0][:, humanml3d.CONTACTS] == 3.0).all()
    ((path, doubt),) = system.doubts.items()
    assert path.endswith("000001.npy")
    assert "contacts run from 3.00 to 3.00" in doubt and path not in doubt


def test_two_files_of_one_motion(few, tmp_path):
    np.save(tmp_path / "000001.npy", features(few, "000001"))
    np.save(tmp_path / "000001_pred.npy", features(few, "000001", 1))
    system = read_system("ours", tmp_path, few)
    assert list(system.faults.values()) == ["000001 has a motion 0 already"]


def test_folders_without_motions_are_refused(few, tmp_path):
    with pytest.raises(BadInput, match="no motion can be read: it holds no files of motions"):
        read_system("ours", tmp_path, few)
    with pytest.raises(BadInput, match="nowhere is no folder of motions"):
        read_system("ours", tmp_path / "nowhere", few)


def test_prompts_as_others_read_them(few, tmp_path):
    names = write_prompts(few.prompts, tmp_path / "prompts")
    lines = {name: (tmp_path / "prompts" / name).read_text().splitlines() for name in names}
    assert {len(each) for each in lines.values()} == {3}
    first = few.prompts[0]
    assert lines["momask.txt"][0] == "a person steps.#40"
    assert lines["mld_motionlcm.txt"][0] == "40 a person steps."
    assert shlex.split(lines["motiondiffuse.sh"][0])[4:] == [
        *("--text", first.caption.text, "--motion_length", "40"),
        *("--result_path", f"made/{first.id}.gif", "--npy_path", f"made/{first.id}.npy"),
    ]
    assert lines["mdm.txt"] == [prompt.caption.text for prompt in few.prompts]
    assert f'"id": "{first.id}"' in lines["ours.jsonl"][0]
