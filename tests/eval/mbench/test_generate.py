"""Motions for prompts: the same wherever a run was stopped, and whatever else is asked for."""

import dataclasses
import json

import numpy as np
import pytest

from eval.generated import NOTE
from eval.mbench.generate import generate
from eval.mbench.prompts import MBenchPrompt
from tests.helpers.tiny_package import tiny_generator
from vimogen_jax import formats
from vimogen_jax.errors import BadInput
from vimogen_jax.generator import Generator

CATEGORIES = ("motion_quality", "consistency")
PROMPTS = {
    id: MBenchPrompt(id, CATEGORIES[id % 2], f"a person walks {id} steps.", 2.0 + id / 20)
    for id in range(4)
}


@pytest.fixture(scope="module")
def generator():
    with tiny_generator() as generator:
        yield generator


def paths(folder):
    return {id: folder / f"{id}.npz" for id in PROMPTS if (folder / f"{id}.npz").is_file()}


def test_further_categories_and_damaged_motions_are_made_later(generator, tmp_path):
    generate(generator, PROMPTS, CATEGORIES, tmp_path / "at once")
    folder = tmp_path / "in turn"
    generate(generator, PROMPTS, ["motion_quality"], folder)
    assert list(paths(folder)) == [0, 2]
    paths(folder)[2].write_bytes(paths(folder)[2].read_bytes()[:100])
    generate(generator, PROMPTS, CATEGORIES, folder)
    for id, path in paths(tmp_path / "at once").items():
        whole, later = formats.read(path), formats.read(paths(folder)[id])
        assert whole.seconds == PROMPTS[id].seconds
        np.testing.assert_array_equal(whole.rotations, later.rotations)
        np.testing.assert_array_equal(whole.transl, later.transl)
        with np.load(path) as arrays:
            assert json.loads(arrays["provenance"].item())["prompt"] == PROMPTS[id].text


def test_a_folder_that_was_begun_otherwise_is_refused(generator, tmp_path):
    generate(generator, PROMPTS, CATEGORIES, tmp_path)
    sampler = dataclasses.replace(generator.package.sampler, steps=3)
    other = Generator(dataclasses.replace(generator.package, sampler=sampler))
    longer = PROMPTS | {0: dataclasses.replace(PROMPTS[0], seconds=3.0)}
    for arguments in ((other, PROMPTS), (generator, longer)):
        with pytest.raises(BadInput, match="another checkpoint, sampler, seed or set of prompts"):
            generate(*arguments, CATEGORIES, tmp_path)
    with pytest.raises(BadInput, match="another checkpoint"):
        generate(generator, PROMPTS, CATEGORIES, tmp_path, seed=1)
    assert json.loads((tmp_path / NOTE).read_text())["seed"] == 0
    (tmp_path / NOTE).write_text("{")
    with pytest.raises(BadInput, match="another checkpoint"):
        generate(generator, PROMPTS, CATEGORIES, tmp_path)
