"""Mirrored takes and other wordings, from takes to the records of a dataset."""

import dataclasses
import json

import numpy as np
import pytest

from data.augment import mirrored, mirrored_actions, reworded
from data.build import build
from data.sources.captioned import read_captions
from data.sources.take import Take
from tests.helpers.made_up import made_up_motion
from tests.helpers.tiny_package import Letters
from vimogen_jax.formats import write
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.motion.representation import encode


@dataclasses.dataclass(frozen=True)
class Reads:
    content: object

    def __call__(self, notes=None):
        return self.content


def take(tmp_path, content=None, **fields):
    values = dict(
        id="wave", caption="a person waves with the left hand.", source="s", licence="CC0",
        path=tmp_path, read=Reads(content), wordings=("someone waves the left hand.",),
        action="wave-left-hand",
    )  # fmt: skip
    return Take(**values | fields)


def test_the_mirror_image_has_its_own_id_captions_and_motion(tmp_path):
    motion = made_up_motion("raise-left-hand", np.random.default_rng(0))
    (image,) = mirrored([take(tmp_path, motion)])
    assert image.id == "wave#mirrored" and image.twin_of == "wave"
    assert image.action == "wave-right-hand"
    assert image.captions == (
        "a person waves with the right hand.",
        "someone waves the right hand.",
    )
    assert np.abs(image.read().joints() - motion.joints()).max() > 0.1
    (of_channels,) = mirrored([take(tmp_path, encode(motion))])
    joints = of_channels.read().joints()
    np.testing.assert_allclose(joints, image.read().joints()[: len(joints)], atol=1e-4)


def test_an_action_is_mirrored_with_its_take():
    actions = {"a": "walk-turn-left", "b": "run"}
    assert mirrored_actions(actions) == {"a#mirrored": "walk-turn-right", "b#mirrored": "run"}


def test_wordings_are_added_to_each_caption_and_none_twice(tmp_path):
    given = take(tmp_path)
    (more,) = reworded([given], 5)
    assert more.caption == given.caption and more.wordings[0] == given.wordings[0]
    assert 6 <= len(more.captions) == len(set(more.captions)) <= 12
    assert all("left" in said for said in more.captions)
    assert reworded([given], 0) == [given]


@pytest.mark.parametrize("holdout", [0.3, 0.0])
def test_a_dataset_holds_both_in_one_split(holdout, tmp_path):
    rng = np.random.default_rng(0)
    lines = []
    for i in range(12):
        write(made_up_motion("raise-left-hand", rng), tmp_path / f"{i}.bvh")
        said = dict(path=f"{i}.bvh", caption="a person waves.", wordings=["she waves."])
        lines.append(json.dumps(said))
    (tmp_path / "captions.jsonl").write_text("\n".join(lines))
    takes = read_captions(tmp_path / "captions.jsonl", tmp_path)
    assert {each.wordings for each in takes} == {("she waves.",)}
    build([*takes, *mirrored(takes)], tmp_path / "dataset", Letters(), holdout=holdout)
    dataset = Dataset.open(tmp_path / "dataset")
    for split in ("train", "validation"):
        ids = set(dataset.index[split].ids.tolist())
        assert {f"{id}#mirrored" for id in ids if "#" not in id} == {i for i in ids if "#" in i}
    record = dataset.records["train"][0]
    assert [wording.caption for wording in record.wordings] == ["she waves."]
    assert len(record.texts) == 2
