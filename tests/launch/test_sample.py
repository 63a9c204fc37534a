"""The sampling command: the files it writes, and bad input refused before anything is written."""

import dataclasses

import numpy as np
import pytest

from tests.helpers.commands import run_command
from tests.helpers.tiny_package import tiny_package
from vimogen_jax import formats
from vimogen_jax.package import save_package
from vimogen_jax.text.encoder import load_text_encoder
from vimogen_jax.text.spec import EncoderSpec


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    spec = EncoderSpec.of(load_text_encoder("minilm"))
    package = tiny_package(text_encoder=dataclasses.asdict(spec), text_dim=spec.width)
    folder = tmp_path_factory.mktemp("checkpoint")
    save_package(folder, package)
    return folder


def sample(*arguments):
    return run_command("sample", *arguments)


def test_sentences_then_a_reference(checkpoint, tmp_path):
    out = tmp_path / "deep" / "out"
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("A person waves!\n\na person walks.\n")
    common = "--checkpoint", checkpoint, "--out", out
    ended = sample(
        *common,
        *("--prompt", "a person waves", "--prompts", prompts, "--seconds", 2.5),
        *("--formats", "npz,glb,bvh,joints,html"),
    )
    assert ended.returncode == 0, ended.stderr
    names = ("a-person-waves-0", "a-person-waves-1", "a-person-walks-0")
    files = {f"{name}.{end}" for name in names for end in ("npz", "glb", "bvh", "npy")}
    assert {path.name for path in out.iterdir()} == files | {"index.html"}
    assert {line.rpartition("/")[2] for line in ended.stdout.splitlines()} == files | {"index.html"}
    motions = [formats.read(out / f"{name}.npz") for name in names]
    assert [motion.num_frames for motion in motions] == [50] * 3
    assert np.abs(motions[0].transl - motions[1].transl).max() > 0.01
    assert "A person waves!" in (out / "index.html").read_text()

    ended = sample(
        *common,
        *("--reference", out / "a-person-waves-1.npz", "--formats", "mp4,npz"),
        *("--sampler", "published", "--steps", 3),
    )
    assert ended.returncode == 0, ended.stderr
    refined = formats.read(out / "a-person-waves-1-refined-0.npz")
    assert refined.num_frames == 50
    assert (out / "a-person-waves-1-refined-0.mp4").read_bytes()[4:8] == b"ftyp"


@pytest.mark.parametrize(
    "arguments, fault",
    [
        ([], "--prompt"),
        (["--prompt", " "], "prompt 1 is empty"),
        (["--prompt=walk", "--formats=mp4,fbx"], "'fbx' is not one of"),
        (["--prompt=walk", "--seconds=11"], "11 s"),
        (["--prompt=walk", "--checkpoint=NOWHERE"], "NOWHERE"),
        (["--prompts=LONG"], "10,000 characters"),
        (["--reference=NOWHERE.npz"], "NOWHERE.npz"),
        (["--reference=LONG"], "a motion is read from"),
        (["--prompt=walk", "--body=NOWHERE.npz"], "NOWHERE.npz"),
        (["--prompt=walk", "--sampler=DDIM"], "--sampler=DDIM: value should be one of <published>"),
    ],
)
def test_bad_input(arguments, fault, checkpoint, tmp_path):
    (tmp_path / "long.txt").write_text("walk " * 2000)
    arguments = [argument.replace("LONG", str(tmp_path / "long.txt")) for argument in arguments]
    ended = sample("--checkpoint", checkpoint, "--out", tmp_path / "out", *arguments)
    assert ended.returncode == 1
    (sentence,) = ended.stderr.strip().splitlines()
    assert sentence.startswith("error: ")
    assert fault in sentence
    assert not (tmp_path / "out").exists()
