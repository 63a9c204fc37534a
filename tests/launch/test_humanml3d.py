"""The command that scores by HumanML3D's protocol, on made-up motions and random weights."""

import dataclasses
import json

import numpy as np
import pytest

from data.build import build
from data.sources.humanml3d import read_humanml3d
from eval.humanml3d.split import read_split
from tests.helpers.commands import run_command
from tests.helpers.humanml3d_files import write_data, write_evaluator
from tests.helpers.tiny_package import tiny_package
from vimogen_jax import formats
from vimogen_jax.motion.humanml3d import POSITIONS
from vimogen_jax.motion.layouts import HUMANML3D
from vimogen_jax.package import save_package
from vimogen_jax.text.encoder import load_text_encoder
from vimogen_jax.text.spec import EncoderSpec


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data") / "HumanML3D")


@pytest.fixture(scope="module")
def evaluator(tmp_path_factory):
    return write_evaluator(tmp_path_factory.mktemp("evaluator") / "t2m")


@pytest.fixture
def motions(data, tmp_path):
    """Of two systems: the real motions, and these in noise."""
    random = np.random.default_rng(0)
    split = read_split(data)
    for name, noise in (("real", 0.0), ("noisy", 0.5)):
        (tmp_path / name).mkdir()
        for prompt in split.prompts:
            made = split.clips[prompt.id].features[: prompt.frames].copy()
            made[:, POSITIONS] += noise * random.standard_normal(made[:, POSITIONS].shape)
            np.save(tmp_path / name / f"{prompt.id}.npy", made.astype(np.float32))
    return tmp_path


def humanml3d(*arguments):
    return run_command("humanml3d", *arguments)


def test_systems_from_their_files(data, evaluator, motions, tmp_path):
    arguments = (
        f"--data={data}",
        f"--evaluator={evaluator}",
        f"--motions={motions / 'real'}",
        f"--compare=noisy={motions / 'noisy'}",
        f"--out={tmp_path / 'out'}",
        "--repetitions=2",
    )
    ended = humanml3d(*arguments)
    assert ended.returncode == 0, ended.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert list(report["systems"]) == ["real motions", "ours", "noisy"]
    scores = {name: each["scores"]["fid"]["mean"] for name, each in report["systems"].items()}
    assert scores["noisy"] > 20 * scores["ours"] > 0
    assert (tmp_path / "out" / "report.md").read_text() in ended.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "report.json",
        "report.md",
        "index.html",
    }

    (motions / "noisy" / "000003.npy").write_bytes(b"")
    ended = humanml3d(*arguments)
    assert ended.returncode == 2, ended.stderr
    assert "| noisy | 000003 | no motion |" in ended.stdout


def test_a_checkpoint_generates_first_and_goes_on_where_it_stopped(data, evaluator, tmp_path):
    spec = EncoderSpec.of(load_text_encoder("minilm"))
    package = tiny_package(text_encoder=dataclasses.asdict(spec), text_dim=spec.width)
    save_package(tmp_path / "model", package)
    arguments = (
        f"--data={data}",
        f"--evaluator={evaluator}",
        f"--checkpoint={tmp_path / 'model'}",
        f"--out={tmp_path / 'out'}",
        "--repetitions=1",
        "--modes_of=2",
    )
    ended = humanml3d(*arguments)
    assert ended.returncode == 0, ended.stderr
    folder = tmp_path / "out" / "motions"
    files = sorted(folder.glob("*.npz"))
    assert len(files) == 41 + 2 * 29
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert "multimodality" in report["systems"]["ours"]["scores"]
    assert report["systems"]["ours"]["other_lengths"] == 0

    motion = formats.read(files[0]).rotations
    written = {path: path.stat().st_mtime_ns for path in files[20:]}
    files[0].unlink()
    ended = humanml3d(*arguments)
    assert ended.returncode == 0, ended.stderr
    np.testing.assert_array_equal(formats.read(files[0]).rotations, motion)
    kept = [path for path, time in written.items() if path.stat().st_mtime_ns == time]
    assert len(kept) > 60

    ended = humanml3d(*arguments, "--seed=1")
    assert ended.returncode == 1
    assert "motions of another checkpoint, sampler, seed or set of prompts" in ended.stderr


@pytest.fixture(scope="module")
def dataset(data, tmp_path_factory):
    """Of HumanML3D's features."""
    folder = tmp_path_factory.mktemp("features") / "dataset"
    build(read_humanml3d(data, HUMANML3D), folder, load_text_encoder("minilm"), layout=HUMANML3D)
    return folder


def train(config, folder, dataset, *flags, **model):
    """Two steps of a config."""
    ended = run_command(
        "train",
        f"--config=configs/{config}.py",
        *(f"--config.model.{name}={value}" for name, value in model.items()),
        f"--config.data.path={dataset}",
        "--config.data.batch_size=8",
        "--config.data.buckets=(60,)",
        "--config.sampler.steps=2",
        f"--config.train.workdir={folder}",
        *flags,
        *(f"--config.train.{name}=2" for name in ("steps", "save_every", "preview_every")),
    )
    assert ended.returncode == 0, ended.stderr


def score_features(run, data, evaluator, out):
    """Score a run by the protocol: its features, as it makes them."""
    ended = humanml3d(
        f"--data={data}",
        f"--evaluator={evaluator}",
        f"--checkpoint={run}",
        f"--out={out}",
        "--repetitions=1",
        "--modes_of=0",
    )
    assert ended.returncode == 0, ended.stderr
    made = sorted((out / "motions").glob("*.npy"))
    assert len(made) == 41 and np.load(made[0]).shape[1] == 263
    report = json.loads((out / "report.json").read_text())
    assert report["systems"]["ours"]["kinds"] == {"HumanML3D features": 41}
    assert report["systems"]["ours"]["other_lengths"] == 0


@pytest.mark.slow
def test_a_model_of_features_from_the_dataset_to_its_scores(dataset, data, evaluator, tmp_path):
    run = tmp_path / "run"
    train("tiny", run, dataset, motion_dim=263, reference_dim=0)
    assert len(list((run / "previews" / "2").glob("*.npz"))) == 4
    score_features(run, data, evaluator, tmp_path / "out")


@pytest.mark.slow
def test_a_model_of_latents_from_the_dataset_to_its_scores(dataset, data, evaluator, tmp_path):
    autoencoder = dict(tokens=2, dim=32, ffn_dim=64, num_heads=2, num_layers=3)
    sizes = {
        **dict(dim=16, ffn_dim=32, num_heads=2, num_layers=1, freq_dim=8),
        **{f"autoencoder.{name}": value for name, value in autoencoder.items()},
    }
    vae, run = tmp_path / "vae", tmp_path / "run"
    train("humanml3d_vae", vae, dataset, **sizes)
    train("humanml3d_latent", run, dataset, f"--config.init_from={vae}", **sizes)
    score_features(run, data, evaluator, tmp_path / "out")


def test_prompts_alone(data, tmp_path):
    ended = humanml3d(f"--data={data}", f"--prompts={tmp_path / 'prompts'}")
    assert ended.returncode == 0, ended.stderr
    assert "41 prompts written" in ended.stdout
    assert len((tmp_path / "prompts" / "momask.txt").read_text().splitlines()) == 41


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ([], "give --data"),
        (["--data=DATA"], "either --motions or --checkpoint"),
        (["--data=DATA", "--motions=."], "give --evaluator"),
        (["--data=DATA", "--motions=.", "--evaluator=DATA"], "holds no finest.tar"),
        (["--data=NOWHERE", "--motions=."], "NOWHERE: not HumanML3D"),
        (["--data=DATA", "--evaluator=EVAL", "--motions=NOWHERE"], "NOWHERE is no folder"),
        (
            ["--data=DATA", "--evaluator=EVAL", "--motions=.", "--compare=ours=."],
            "two systems are called 'ours'",
        ),
    ],
)
def test_bad_input(arguments, fault, data, evaluator, tmp_path):
    arguments = [
        each.replace("DATA", str(data)).replace("EVAL", str(evaluator)) for each in arguments
    ]
    ended = humanml3d(*arguments, f"--out={tmp_path / 'out'}")
    assert ended.returncode == 1
    (sentence,) = ended.stderr.strip().splitlines()
    assert sentence.startswith("error: ") and fault in sentence
    assert not (tmp_path / "out").exists()
