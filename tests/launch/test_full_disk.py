"""A disk that fills while a command works: one sentence says so and where, and nothing is left."""

import contextlib
import dataclasses
import json
import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.commands import run_command
from tests.helpers.disks import small_disk
from tests.helpers.made_up import made_up_motion
from tests.helpers.tiny_package import tiny_package
from tests.helpers.tiny_umt5 import tiny_umt5
from vimogen_jax import formats
from vimogen_jax.convert.checkpoint import to_package
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.package import load_package, save_package
from vimogen_jax.text.encoder import load_text_encoder
from vimogen_jax.text.spec import EncoderSpec


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, golden_file):
    """What the commands read: takes with captions, weights, checkpoints."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "takes").mkdir()
    lines = []
    for i in range(3):
        motion = made_up_motion("walk", np.random.default_rng(i), 60)
        formats.write(motion, folder / "takes" / f"{i}.npz")
        lines.append(json.dumps({"path": f"{i}.npz", "caption": "a person walks."}) + "\n")
    prompt = {"id": 0, "category": "motion_quality", "text": "a person walks.", "seconds": 3.0}
    (folder / "prompts.jsonl").write_text(json.dumps(prompt))
    (folder / "captions.jsonl").write_text("".join(lines))
    tiny_umt5(folder / "umt5")
    spec = EncoderSpec.of(load_text_encoder("minilm"))
    package = tiny_package(text_encoder=dataclasses.asdict(spec), text_dim=spec.width)
    save_package(folder / "checkpoint", package)
    weights = golden_file("tm2m_micro_full_state.safetensors")
    to_package(weights, golden_file("mean.npy").parent, folder / "published", num_heads=2)
    return folder


CONVERT = ["convert", "--weights"]
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
        (
            [*CONVERT, "WEIGHTS", "--statistics=GOLDEN", "--num_heads=2", "--out=DISK/out"],
            "DISK/out",
        ),
        (
            [*CONVERT, "IN/published", "--to=reference", "--out=DISK/out/a.safetensors"],
            "DISK/out/a.safetensors",
        ),
    ],
)
def test_a_disk_that_fills_is_told_and_nothing_half_is_left(
    arguments, named, inputs, tmp_path, golden_file
):
    weights = golden_file("tm2m_micro_full_state.safetensors")
    golden = golden_file("mean.npy").parent
    names = {"IN": inputs, "WEIGHTS": weights, "GOLDEN": golden}
    with small_disk(tmp_path, "4k") as disk:
        ends_in_a_sentence(arguments, named, names, disk)
    assert not (inputs / "out").exists()


TINY = "--config=configs/tiny.py"
MBENCH = ["mbench", "--prompts=IN/prompts.jsonl", "--motions=IN/takes"]


@pytest.mark.parametrize(
    ("work", "result", "arguments", "named"),
    [
        (
            "vimogen_jax.train.run.load_run",
            "PACKAGE",
            ["export", "--run=IN", "--out=DISK/out"],
            "DISK/out",
        ),
        (
            "eval.model.evaluate",
            {},
            ["evaluate", "--dataset=IN", "--out=DISK/a.json"],
            "DISK/a.json",
        ),
        ("eval.mbench.scoring.evaluate", {}, [*MBENCH, "--out=DISK/out"], "DISK/out/report.json"),
        (
            "vimogen_jax.planning.plan.plan",
            [],
            ["plan", TINY, "--topology=cpu:1", "--out=DISK/out"],
            "DISK/out/plan.json",
        ),
        (
            "vimogen_jax.bench.kernels.bench_kernels",
            [],
            ["bench", TINY, "--measure=attention", "--out=DISK/out"],
            "DISK/out/attention.json",
        ),
    ],
)
def test_a_disk_that_fills_during_the_work_is_told(
    work, result, arguments, named, inputs, tmp_path, monkeypatch
):
    """The work itself is left out: in its stead the disk is filled."""
    with small_disk(tmp_path, "4k") as disk:

        def fill(*_, **__):
            with contextlib.suppress(OSError), (disk / "filler").open("wb", 0) as filler:
                while True:
                    filler.write(bytes(2**12))
            return load_package(inputs / "checkpoint") if result == "PACKAGE" else result

        module, _, name = work.rpartition(".")
        monkeypatch.setattr(import_module(module), name, fill)
        monkeypatch.setattr(Dataset, "open", lambda folder: None)
        monkeypatch.setattr("eval.model_report.to_markdown", str)
        ends_in_a_sentence(arguments, named, {"IN": inputs}, disk)


def ends_in_a_sentence(arguments: list[str], named: str, names: dict[str, Path], disk: Path):
    """Run a command that is to end with the sentence on a full disk, and to leave nothing."""
    for name, path in (names | {"DISK": disk}).items():
        arguments = [re.sub(rf"\b{name}\b", str(path), each) for each in arguments]
    ended = run_command(*arguments)
    assert ended.returncode == 1, ended.stdout
    (sentence,) = (x for x in ended.stderr.splitlines() if x.startswith("error: "))
    assert sentence.startswith(f"error: {named.replace('DISK', str(disk))}")
    assert sentence.endswith("cannot be written: the disk is full")
    assert "Traceback" not in ended.stderr
    assert {path.name for path in disk.rglob("*") if path.is_file()} <= {"filler"}
