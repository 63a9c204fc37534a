"""A run from config to package: what it leaves behind, and how it refuses to go on."""

import itertools
import json
import re
import shutil

import numpy as np
import pytest
from etils import epath

from configs import tiny
from tests.helpers.commands import run_command
from tests.helpers.experiments import experiment_of
from tests.helpers.runs import STEPS
from tests.helpers.tiny_package import described
from vimogen_jax import formats
from vimogen_jax.errors import BadInput
from vimogen_jax.generator import Generator
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.package import load_package
from vimogen_jax.train.clock import PHASES
from vimogen_jax.train.log import TIMED
from vimogen_jax.train.loop import _newest_previews, train
from vimogen_jax.train.run import load_run


def test_metrics_reach_terminal_file_and_tensorboard(undisturbed):
    workdir, out = undisturbed
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    names = {"loss", "loss_text", "loss_reference", "grad_norm", "learning_rate"}
    for line in lines:
        assert names < line.keys()
        assert np.isfinite([value for name, value in line.items() if name not in TIMED]).all()
        assert ("validation_loss_text" in line) == (line["step"] % 6 == 0)
    assert lines[0]["learning_rate"] > 0
    for step in range(1, STEPS + 1):
        assert f"step {step}/{STEPS}  loss " in out
    assert list((workdir / "tensorboard").glob("events.out.tfevents.*"))


def test_its_time_is_told_by_phase_and_adds_up(undisturbed):
    workdir, out = undisturbed
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    for one, next_ in itertools.pairwise(lines):
        assert list(next_["seconds"]) == list(PHASES)
        passed = sum(next_["seconds"].values()) - sum(one["seconds"].values())
        assert passed == pytest.approx(next_["time"] - one["time"], abs=0.05)
        assert next_["seconds"]["step"] > one["seconds"]["step"]
    last = lines[-1]["seconds"]
    assert last["evaluation"] > 0 and last["checkpoint"] > 0 and last["lost"] == 0
    assert re.search(r"^time: \d+% \w+, ", out, re.MULTILINE)


def test_its_end_says_what_was_reached_and_how_to_see_it(undisturbed):
    workdir, out = undisturbed
    last = json.loads((workdir / "metrics.jsonl").read_text().splitlines()[-1])
    loss, previews = last["validation_loss"], workdir / "previews" / str(STEPS)
    assert out.splitlines()[-3:] == [
        f"{workdir}: all {STEPS} steps are done, held-out loss {loss:.4g}, previews in {previews}",
        f"to see its previews: python -m launch.view {previews}/*.npz",
        f'to try it: python -m launch.sample "a person walks." --checkpoint {workdir}',
    ]


def test_previews_are_what_a_generator_makes_of_validation_captions(undisturbed, runs, monkeypatch):
    workdir, _ = undisturbed
    folder = workdir / "previews" / str(STEPS)
    captions = list(json.loads((folder / "captions.json").read_text()).values())
    dataset = Dataset.open(runs.dataset)
    validation = dataset.records["validation"]
    known = {validation[i].caption: validation[i] for i in range(len(validation))}
    assert len(captions) == 4

    class Encoder:
        null_text = dataset.null_text

        def __call__(self, texts):
            return [known[text].text for text in texts]

    monkeypatch.setattr("vimogen_jax.generator.load_text_encoder", lambda spec: Encoder())
    seconds = [len(known[caption].motion) / dataset.fps for caption in captions]
    expected = Generator(load_run(workdir))(captions, seconds)
    for i, motion in enumerate(expected):
        written = formats.read(folder / f"{i}.npz")
        np.testing.assert_allclose(written.rotations, motion.rotations, atol=1e-3)
        np.testing.assert_allclose(written.transl, motion.transl, atol=1e-3)
        np.testing.assert_allclose(np.load(folder / f"{i}.npy"), written.joints(), atol=1e-4)


def test_the_newest_previews_are_found_among_what_else_lies_there(tmp_path):
    run = epath.Path(tmp_path)
    assert _newest_previews(run) is None
    for name in ("9", "10", ".DS_Store"):
        (run / "previews" / name).mkdir(parents=True)
    assert _newest_previews(run) == run / "previews" / "10"


def test_a_run_is_exported_as_the_average_of_its_newest_checkpoint(undisturbed, tmp_path):
    workdir, _ = undisturbed
    run = load_run(workdir)
    assert run.step == STEPS
    for dtype in ("float32", "float16"):
        out = tmp_path / dtype
        done = run_command("export", f"--run={workdir}", f"--out={out}", f"--dtype={dtype}")
        assert done.returncode == 0, done.stderr
        package = load_package(out)
        assert described(package) == described(run)
        kernel = run.params["head"]["linear"]["kernel"].astype(dtype)
        np.testing.assert_array_equal(package.params["head"]["linear"]["kernel"], kernel)


def test_an_update_that_is_not_finite_ends_the_run(undisturbed, runs, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(undisturbed[0], workdir)
    shutil.rmtree(workdir / "checkpoints" / str(STEPS))
    before = sorted(p.name for p in (workdir / "checkpoints").iterdir())
    changed = "--config.optim.learning_rate=1e30", "--config.train.preview_every=100"
    status, out, err = runs.finish(workdir, *changed)
    assert status == 1
    (sentence,) = err.strip().splitlines()
    assert sentence.startswith("error: step 11 has a loss or a gradient that is not finite")
    batch = sentence.partition("held the records ")[2].split(", ")
    assert len(batch) == 8
    assert set(batch) <= set(Dataset.open(runs.dataset).index["train"].ids)
    assert "step 10/" in out
    assert "step 11/" not in out
    assert sorted(p.name for p in (workdir / "checkpoints").iterdir()) == before


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("model", dict(text_dim=7), "text_dim is 7, but the text of .* is from synthetic, 12 wide"),
        ("model", dict(motion_dim=263), "motion_dim is 263, but frames of .* are 276 wide"),
        ("model", dict(num_heads=3), "config.model.dim 32 must divide by num_heads 3"),
        ("model", dict(num_layers=1), "num_layers must be at least 1, and 2 with a reference"),
        ("train", dict(steps=0), "config.train.steps must be at least 1"),
        ("train", dict(save_evry=1), "config.train.save_evry is unknown; did you mean save_every"),
        ("sharding", dict(strategy="magic"), "strategy 'magic' is not one of"),
        ("data", dict(path="nowhere"), "nowhere"),
        ("data", dict(batch_size=9), "batch_size 9"),
        (
            "objective",
            dict(prediction="noise"),
            "config.objective.prediction 'noise' is neither",
        ),
    ],
)
def test_configs_that_do_not_fit_are_refused(runs, tmp_path, section, change, message):
    data, times = dict(path=str(runs.dataset), text_length=8), dict(workdir=str(tmp_path / "run"))
    config = dict(model=dict(text_dim=12), data=data, train=times)
    config[section] = config.get(section, {}) | change
    with pytest.raises(BadInput, match=message):
        train(experiment_of(tiny, **config))
    assert not (tmp_path / "run").exists(), "a run that never began would refuse the mended config"
