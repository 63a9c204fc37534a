"""The test split: which motions count, their captions, and how each look at them differs."""

from collections import Counter

import numpy as np
import pytest

from eval.humanml3d.split import CaptionedClip, look, read_split
from tests.helpers.humanml3d_files import write_data
from vimogen_jax.errors import BadInput
from vimogen_jax.formats.humanml3d_captions import Caption


def test_motions_and_parts_of_them(split):
    assert [*split.clips][:3] == ["A_000000", "000000", "000001"]
    assert (split.listed, len(split.clips)) == (43, 41)
    assert split.left_out == {
        "part of not 40 to 199 frames": 1,
        "not 40 to 199 frames": 2,
        "no such file": 1,
    }
    whole, part = split.clips["000000"], split.clips["A_000000"]
    np.testing.assert_array_equal(part.features, whole.features[2:42])
    assert [caption.text for caption in part.captions] == ["a person steps."]
    assert len(whole.captions) == 2


def test_every_part_has_a_name_of_its_own(tmp_path):
    folder = write_data(tmp_path / "data", 1)
    with (folder / "texts" / "000000.txt").open("a") as file:
        file.write("a person steps.#a/DET person/NOUN step/VERB#0.0#2.0\n" * 27)
    ids = [*read_split(folder).clips]
    assert [ids[i] for i in (0, 25, 26, 27, 28)] == [
        *("A_000000", "Z_000000", "AA_000000", "AB_000000", "000000")
    ]


def test_looks_as_published():
    clip = CaptionedClip("1", np.zeros((47, 263)), (Caption("a"), Caption("b"), Caption("c")))
    looks = [look(clip, np.random.RandomState(seed)) for seed in range(3000)]
    share = lambda values: {key: n / 3000 for key, n in Counter(values).items()}
    assert share(caption.text for caption, _ in looks) == pytest.approx(
        dict.fromkeys("abc", 1 / 3), abs=0.04
    )
    lengths = share(crop.stop - crop.start for _, crop in looks)
    assert lengths == pytest.approx({44: 2 / 3, 40: 1 / 3}, abs=0.04)
    for length, starts in ((44, 4), (40, 8)):
        drawn = [crop.start for _, crop in looks if crop.stop - crop.start == length]
        counts = np.bincount(drawn)
        assert len(counts) == starts and counts.min() > 0.7 * len(drawn) / starts


def test_prompts_are_one_a_clip_and_always_the_same(split):
    prompts = split.prompts
    assert prompts == split.prompts
    assert [prompt.id for prompt in prompts] == [*split.clips]
    texts = {prompt.caption.text.split()[0] for prompt in prompts}
    assert texts == {"a", "somebody"}  # not the first captions alone
    for prompt in prompts:
        assert prompt.frames % 4 == 0
        assert 0 <= len(split.clips[prompt.id].features) - prompt.frames < 4


@pytest.mark.parametrize(
    ("file", "content", "fault"),
    [
        ("test.txt", None, r"test\.txt"),
        ("test.txt", "../000001\n", r"\.\./000001\.npy leads outside"),
        ("texts/000001.txt", "a man walks.\n", r"000001\.txt, line 1: not of the form"),
        ("texts/000001.txt", None, r"000001\.txt"),
        ("new_joint_vecs/000001.npy", "a", r"000001\.npy: not a readable NumPy file"),
    ],
)
def test_faults_are_named(tmp_path, file, content, fault):
    folder = write_data(tmp_path / "data", clips=2)
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_text(content)
    with pytest.raises(BadInput, match=fault):
        read_split(folder)


def test_another_folder_is_named(tmp_path):
    with pytest.raises(BadInput, match="not HumanML3D: it has no folder new_joint_vecs"):
        read_split(tmp_path)
