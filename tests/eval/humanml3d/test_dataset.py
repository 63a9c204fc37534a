"""The test takes of a dataset scored by the protocol: distinct captions, any system's files."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from eval.humanml3d.dataset import distinct_batches, read_takes
from eval.humanml3d.embedder import MatcherEmbedder
from eval.humanml3d.protocol import evaluate
from eval.humanml3d.report import to_markdown
from eval.humanml3d.systems import read_system
from tests.helpers.synthetic import ENCODER, NULL_TEXT, make_record, write_dataset
from vimogen_jax import formats
from vimogen_jax.errors import BadInput
from vimogen_jax.input_pipeline.dataset import DatasetWriter
from vimogen_jax.motion.representation import decode

CAPTIONS = 36


def place(number):
    return np.random.RandomState(number).standard_normal(40)


class Known:
    """A matcher that knows motions by their mean pose, and sentences by the number in them."""

    name = "known"

    def __init__(self, split):
        self.poses = [self.pose(decode(clip.features)) for clip in split.clips.values()]
        self.numbers = [self.number(clip.captions[0].text) for clip in split.clips.values()]

    def number(self, sentence):
        return int(sentence.split()[4])

    def pose(self, motion):
        return motion.rotations[:, 1:].mean(axis=0)

    def sentences(self, sentences):
        return np.stack([place(self.number(each)) for each in sentences])

    def motions(self, motions):
        apart = lambda motion: [np.square(self.pose(motion) - pose).sum() for pose in self.poses]
        nearest = [int(np.argmin(apart(motion))) for motion in motions]
        return np.stack([place(self.numbers[each]) for each in nearest])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A dataset with test takes of 36 captions, the first of them twice, one take too long."""
    folder, random = tmp_path_factory.mktemp("data") / "dataset", np.random.default_rng(0)
    with DatasetWriter(folder, text_encoder=ENCODER, null_text=NULL_TEXT) as writer:
        for split in ("train", "validation"):
            writer.add(split, make_record(random, 0, 40))
        for i in range(CAPTIONS + 2):
            frames = 210 if i == CAPTIONS else int(random.integers(40, 60))
            take = make_record(random, i, frames, caption=f"a person does thing {i % CAPTIONS} now")
            writer.add("test", take)
    return folder


@pytest.fixture(scope="module")
def split(folder):
    return read_takes(folder)


@pytest.fixture
def known(split) -> Any:
    return Known(split)


def test_batches_have_each_text_once_and_leave_out_as_few_as_they_can():
    random = np.random.RandomState(0)
    texts = np.repeat(np.eye(50), [12, *[1] * 19, *[4] * 30], axis=0)
    order = distinct_batches(texts, random)
    batches = np.argmax(texts[order], axis=1).reshape(-1, 32)
    assert len(batches) == 4 and len(set(order.tolist())) == len(order)
    assert all(len(set(batch.tolist())) == 32 for batch in batches)
    assert len(distinct_batches(np.eye(31), random)) == 0
    assert not np.array_equal(order, distinct_batches(texts, random))


def test_takes_of_other_lengths_are_left_out(split):
    assert len(split.clips) == CAPTIONS + 1 and split.listed == CAPTIONS + 2
    assert split.left_out == {"not 40 to 199 frames": 1}
    assert split.distinct and len(split.prompts) == CAPTIONS + 1


def test_files_named_by_takes_are_scored_beside_the_takes(split, known, tmp_path):
    for prompt in split.prompts:
        motion = decode(split.clips[prompt.id].features[: prompt.frames])
        formats.write(motion, tmp_path / f"{prompt.id}_0.npz")
    ours = read_system("ours", tmp_path, split)
    assert {len(made.motions[0]) for made in ours.made.values()} == {
        prompt.frames for prompt in split.prompts
    }
    report = evaluate(split, MatcherEmbedder(known), [ours], repetitions=2)
    for system in report["systems"].values():
        scores = system["scores"]
        assert scores["r_precision_top1"]["mean"] == 1 and scores["multimodal_dist"]["mean"] == 0
        assert "fid" not in scores and "kid" in scores  # 32 motions in 40 dimensions
    markdown = to_markdown(report)
    assert markdown.startswith("# Motions and texts of dataset\n")
    assert "in batches of 32 distinct captions" in markdown and "(published)" not in markdown
    assert "KID stands for FID" in markdown and "nobody else's" in markdown


def test_what_cannot_be_scored_is_refused(tmp_path, split, known):
    write_dataset(tmp_path / "trained", [make_record(np.random.default_rng(0), 0, 40)])
    with pytest.raises(BadInput, match="has no test takes"):
        read_takes(tmp_path / "trained")
    few = replace(split, clips=dict(list(split.clips.items())[:20]))
    with pytest.raises(BadInput, match="20 motions are fewer than a batch"):
        evaluate(few, MatcherEmbedder(known), [])
