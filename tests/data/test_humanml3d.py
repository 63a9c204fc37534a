"""HumanML3D: its folder as it is downloaded, one take for each caption, dealt as its lists say."""

import re

import numpy as np
import pytest

from data.build import build
from data.filters.jumps import longest_steady_stretch
from data.sources.humanml3d import read_humanml3d
from tests.helpers.made_up import made_up_motion
from tests.helpers.tiny_package import Letters
from vimogen_jax.body.axes import Y_UP_TO_Z_UP
from vimogen_jax.errors import BadInput
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.motion.humanml3d import encode, to_features
from vimogen_jax.motion.layouts import HUMANML3D

TEXTS = {
    "000001": "a man walks.#a/DET man/NOUN walk/VERB#0.0#0.0\nhe strolls.#he/PRON#nan#nan\n",
    "M000001": "a man turns.#a/DET man/NOUN turn/VERB#0.5#2.6\n\n",
    "000002": "someone walks on.#someone/PRON walk/VERB#0.0#0.0\n",
    "000003": "nobody saw this.#nobody/PRON see/VERB#0.0#0.0\n",
}
LISTS = {"train": ["000001", "M000001"], "val": ["000002"], "test": ["000003"]}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "HumanML3D"
    for name in ("new_joint_vecs", "texts"):
        (folder / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for clip, text in TEXTS.items():
        motions = [made_up_motion("walk", rng) for _ in range(2)]
        positions = np.concatenate([motion.joints() for motion in motions]) @ Y_UP_TO_Z_UP
        features = encode(positions).astype(np.float32)
        np.save(folder / "new_joint_vecs" / f"{clip}.npy", features)
        (folder / "texts" / f"{clip}.txt").write_text(text)
    for name, clips in LISTS.items():
        (folder / f"{name}.txt").write_text("\n".join(clips) + "\n")
    return folder


def test_takes_follow_the_captions_and_the_lists(folder):
    takes = {take.id: take for take in read_humanml3d(folder)}
    assert list(takes) == ["000001#0", "000001#1", "M000001#0", "000002#0", "000003#0"]
    assert [take.split for take in takes.values()] == ["train"] * 3 + ["validation", "test"]
    assert takes["000001#1"].caption == "he strolls."
    assert {take.quality for take in takes.values()} == {"high"}
    whole = np.load(folder / "new_joint_vecs" / "000001.npy")
    assert takes["000001#0"].read().num_frames == takes["000001#1"].read().num_frames == len(whole)
    assert takes["M000001#0"].read().num_frames == 42  # from 0.5 to 2.6 s


def test_a_dataset_of_it(folder, tmp_path):
    (folder / "new_joint_vecs" / "000001.npy").unlink()
    report = build(read_humanml3d(folder), tmp_path / "out", Letters())
    index = Dataset.open(tmp_path / "out").index
    assert index["train"].ids.tolist() == ["M000001#0"]
    assert index["validation"].ids.tolist() == ["000002#0"]
    assert "HumanML3D: 1 takes to train on, 1 held out" in str(report)
    assert "dropped, missing: 2 (000001#0, 000001#1)" in str(report)
    assert "dropped, test split: 1 (000003#0)" in str(report)


def test_a_dataset_of_its_features_as_they_are(folder, tmp_path):
    build(read_humanml3d(folder, HUMANML3D), tmp_path / "out", Letters(), layout=HUMANML3D)
    dataset = Dataset.open(tmp_path / "out")
    records = dataset.records["train"]
    found = {records[i].id: records[i].motion for i in range(len(records))}
    whole = np.load(folder / "new_joint_vecs" / "000001.npy")
    np.testing.assert_array_equal(found["000001#0"], whole)
    turning = np.load(folder / "new_joint_vecs" / "M000001.npy")
    np.testing.assert_array_equal(found["M000001#0"], turning[10:52])  # from 0.5 to 2.6 s
    assert dataset.statistics.mean.shape == (263,)


def test_a_dataset_of_features_of_any_motions(folder, tmp_path):
    takes = read_humanml3d(folder)  # as motions of our body
    build(takes, tmp_path / "out", Letters(), layout=HUMANML3D)
    records = Dataset.open(tmp_path / "out").records["train"]
    (found,) = (records[i].motion for i in range(len(records)) if records[i].id == "000001#0")
    expected = to_features(longest_steady_stretch(takes[0].read()))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    with pytest.raises(BadInput, match="features have 20 frames a second, not 30"):
        build(read_humanml3d(folder), tmp_path / "fast", Letters(), fps=30.0, layout=HUMANML3D)


@pytest.mark.parametrize(
    ("file", "content", "fault"),
    [
        ("texts/000002.txt", "a man walks.\n", "texts/000002.txt, line 1: not of the form"),
        ("texts/000002.txt", "a man walks.#a/DET#0.0#end\n", "line 1: not of the form"),
        ("texts/000002.txt", None, "texts/000002.txt is missing"),
        ("train.txt", None, "train.txt is missing"),
        ("val.txt", "../000002\n", "../000002.npy leads outside the dataset's folder"),
    ],
)
def test_a_bad_list_or_text_is_named(folder, file, content, fault):
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_text(content)
    with pytest.raises(BadInput, match=re.escape(fault)):
        read_humanml3d(folder)


def test_another_folder_is_named(tmp_path):
    with pytest.raises(BadInput, match="not HumanML3D: it has no folder new_joint_vecs"):
        read_humanml3d(tmp_path)
