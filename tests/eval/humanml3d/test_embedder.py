"""The published space: what it is made of, and that texts and motions come to it as published."""

import shutil

import numpy as np
import pytest

from eval.humanml3d.embedder import STATISTICS, PublishedEmbedder
from eval.humanml3d.words import Words
from tests.helpers.humanml3d_files import write_evaluator
from vimogen_jax.convert.humanml3d_evaluator import load_evaluator
from vimogen_jax.errors import BadInput
from vimogen_jax.formats.humanml3d_captions import Caption

WALK = Caption("a person walks.", ("a/DET", "person/NOUN", "walk/VERB"))


def test_the_statistics_are_the_published_ones(shared):
    with np.load(shared / "humanml3d" / "statistics.npz") as theirs, np.load(STATISTICS) as ours:
        for name in ("mean", "std"):
            np.testing.assert_array_equal(ours[name], theirs[f"evaluator_{name}"])


def test_published_embeddings(shared):
    """Through files, words and statistics, at small sizes; each word of the batch has a vector."""
    folder = shared / "humanml3d"
    with np.load(folder / "evaluator_small_io.npz") as arrays, np.load(STATISTICS) as statistics:
        io, mean, std = dict(arrays), statistics["mean"], statistics["std"]
    rows = {"sos": 0, "eos": 1, "unk": 2}
    embedder = PublishedEmbedder(
        load_evaluator(folder / "finest_small_legacy.tar"), Words(np.zeros((3, 300)), rows), ""
    )
    motions = [
        motion[:length] * std + mean
        for motion, length in zip(io["motions"], io["m_lens"], strict=True)
    ]
    embedded = embedder.motions(motions)
    np.testing.assert_allclose(embedded, io["motion_embedding"], atol=5e-5, rtol=0)


def test_words_and_their_tags_make_the_text_and_not_its_spelling(embedder):
    other_tags = Caption("a person walks.", ("a/DET", "person/VERB", "walk/VERB"))
    texts = [WALK, Caption("he", WALK.tokens), Caption("he", WALK.tokens[:2]), other_tags]
    same, spelt, fewer, tagged = embedder.texts(texts)
    np.testing.assert_array_equal(same, spelt)
    for other in (fewer, tagged):
        assert np.abs(same - other).max() > 1e-3


def test_embeddings_do_not_depend_on_the_batch(split, embedder):
    motions = [clip.features for clip in split.clips.values()] * 2  # more than a batch
    together = embedder.motions(motions)
    assert together.shape == (82, 6)
    np.testing.assert_allclose(together[41:], together[:41], atol=1e-5)
    np.testing.assert_allclose(embedder.motions(motions[7:8])[0], together[7], atol=1e-5)


def test_a_caption_without_tokens_is_refused(embedder):
    with pytest.raises(BadInput, match="the caption 'a person walks.' has no tokens, such as walk"):
        embedder.texts([WALK, Caption("a person walks.")])


def test_the_files_are_found_where_archives_put_them(tmp_path, shared):
    folder = write_evaluator(tmp_path / "files")
    place = folder / "t2m" / "text_mot_match" / "model"
    place.mkdir(parents=True)
    shutil.copy(shared / "humanml3d" / "finest_small_zip.tar", place / "finest.tar")
    (folder / "kit" / "model").mkdir(parents=True)
    (folder / "kit" / "model" / "finest.tar").write_bytes(b"another's")
    assert PublishedEmbedder.open(folder).name == "HumanML3D's evaluator, finest.tar"
    (folder / "copy").mkdir()
    shutil.copy(place / "finest.tar", folder / "copy" / "finest.tar")
    with pytest.raises(BadInput, match=r"holds 2 files finest\.tar; leave the one that is meant"):
        PublishedEmbedder.open(folder)


@pytest.mark.parametrize(
    ("missing", "fault"),
    [
        ("evaluator.safetensors", r"holds no finest\.tar or \*\.safetensors; docs/humanml3d\.md"),
        ("glove/our_vab_data.npy", r"holds no our_vab_data\.npy"),
        ("glove/our_vab_idx.pkl", r"holds no our_vab_idx\.pkl"),
    ],
)
def test_a_file_that_is_missing_is_named(tmp_path, missing, fault):
    folder = write_evaluator(tmp_path / "files")
    (folder / missing).unlink()
    with pytest.raises(BadInput, match=fault):
        PublishedEmbedder.open(folder)
