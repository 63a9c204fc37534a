"""A disk that fills while a command works: one sentence says so and where, and nothing is left."""

import dataclasses
import json

import numpy as np
import pytest

from tests.helpers.commands import run_command
from tests.helpers.disks import small_disk
from tests.helpers.made_up import made_up_motion
from tests.helpers.tiny_package import tiny_package
from tests.helpers.tiny_umt5 import tiny_umt5
from vimogen_jax import formats
from vimogen_jax.package import save_package
from vimogen_jax.text.encoder import load_text_encoder
from vimogen_jax.text.spec import EncoderSpec


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """What the commands read: takes with captions, weights, a checkpoint."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "takes").mkdir()
    lines = []
    for i in range(3):
        motion = made_up_motion("walk", np.random.default_rng(i), 60)
        formats.write(motion, folder / "takes" / f"{i}.npz")
        lines.append(json.dumps({"path": f"{i}.npz", "caption": "a person walks."}) + "\n")
    (folder / "captions.jsonl").write_text("".join(lines))
    tiny_umt5(folder / "umt5")
    spec = EncoderSpec.of(load_text_encoder("minilm"))
    package = tiny_package(text_encoder=dataclasses.asdict(spec), text_dim=spec.width)
    save_package(folder / "checkpoint", package)
    return folder


SOURCES = ["--motions=IN/takes", "--captions=IN/captions.jsonl", "--workers=1"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["build_data", *SOURCES, "--out=DISK/out"], "DISK/out"),
        (["build_data", *SOURCES, "--out=IN/out", "--text_store=DISK/store"], "DISK/store"),
        (["convert_umt5", "--weights=IN/umt5", "--out=DISK/out"], "DISK/out"),
        (
            ["sample", "a person walks", "--checkpoint=IN/checkpoint", "--out=DISK/out"],
            "DISK/out/a-person-walks-0.",
        ),
        (["view", "IN/takes/0.npz", "--to=glb", "--out=DISK/out"], "DISK/out/0.glb"),
    ],
)
def test_a_disk_that_fills_is_told_and_nothing_half_is_left(arguments, named, inputs, tmp_path):
    with small_disk(tmp_path, "4k") as disk:
        given = [each.replace("IN", str(inputs)).replace("DISK", str(disk)) for each in arguments]
        ended = run_command(*given)
        assert ended.returncode == 1, ended.stdout
        (sentence,) = (x for x in ended.stderr.splitlines() if x.startswith("error: "))
        assert sentence.startswith(f"error: {named.replace('DISK', str(disk))}")
        assert sentence.endswith("cannot be written: the disk is full")
        assert "Traceback" not in ended.stderr
        assert [path for path in disk.rglob("*") if path.is_file()] == []
    assert not (inputs / "out").exists()
