"""Fine-tuning by LoRA, from a base to an adapter: it learns, goes on, and comes back as weights."""

import dataclasses
import json
import shutil
import signal

import numpy as np
import pytest
from flax import traverse_util

from tests.helpers.commands import run_command
from tests.helpers.experiments import changed
from tests.helpers.runs import STEPS, reported, saved_arrays
from tests.helpers.synthetic import ENCODER, make_record, write_dataset
from tests.helpers.tiny_package import tiny_package
from vimogen_jax.adapter import apply_adapter
from vimogen_jax.errors import BadInput
from vimogen_jax.experiment import Experiment
from vimogen_jax.package import load_package, save_package
from vimogen_jax.train.loop import train
from vimogen_jax.train.run import load_run, load_run_adapter

CONFIG = ("--config=configs/finetune.py",)


@pytest.fixture(scope="module")
def action(tmp_path_factory):
    """A dataset of takes of one action, and a package of random weights as the base."""
    folder = tmp_path_factory.mktemp("action")
    rng = np.random.default_rng(0)
    take = make_record(rng, 0, 50)
    noise = lambda: rng.normal(0, 0.01, take.motion.shape).astype(np.float32)
    texts = dict(text=take.text, caption=take.caption)
    takes = [make_record(rng, i, 50, motion=take.motion + noise(), **texts) for i in range(20)]
    write_dataset(folder / "dataset", takes[:16], takes[16:])
    package = tiny_package(text_encoder=ENCODER, text_dim=ENCODER["width"])
    save_package(folder / "base", dataclasses.replace(package, licence="CC BY-NC 4.0"))
    return folder


def flags(action, **changes):
    return [
        f"--config.data.path={action / 'dataset'}",
        f"--config.init_from={action / 'base'}",
        "--config.data.batch_size=8",
        "--config.finetune.lora_rank=4",
        "--config.optim.learning_rate=0.02",
        "--config.train.accumulate=2",
        *(f"--config.{name}={value}" for name, value in changes.items()),
    ]


def asked(stored, **changes):
    """The experiment of a run's config.json, as its user might have asked for it, with changes."""
    names = [field.name for field in dataclasses.fields(Experiment)]
    return Experiment.from_config(changed({name: stored[name] for name in names}, changes))


@pytest.fixture(scope="module")
def tuned(runs, action, tmp_path_factory):
    """The folder of a LoRA run from start to end."""
    workdir = tmp_path_factory.mktemp("tuned") / "run"
    status, _, err = runs.finish(workdir, *flags(action), config=CONFIG)
    assert status == 0, err
    return workdir


def test_lora_lowers_the_held_out_loss_of_an_action(tuned):
    lines = reported(tuned)
    losses = [lines[step]["validation_loss"] for step in (0, 6, STEPS)]
    assert losses[0] > losses[1] > losses[2]
    assert losses[2] < 0.9 * losses[0]


def test_checkpoints_hold_adapters_alone(tuned):
    names = [name for name in saved_arrays(tuned) if "checksums" not in name]
    assert len(names) > 50
    assert all("adapter" in name for name in names if "'step'" not in name and "count" not in name)


def test_the_adapter_on_its_base_is_the_run(tuned, action, tmp_path):
    run, base = load_run(tuned), load_package(action / "base")
    assert run.step == STEPS
    np.testing.assert_array_equal(run.statistics.mean, base.statistics.mean)
    before, after = (traverse_util.flatten_dict(x.params, sep=".") for x in (base, run))
    changed = {name for name in before if (before[name] != after[name]).any()}
    assert changed == {name for name in before if "attention" in name and "kernel" in name}

    for name, more in (("whole", []), ("adapter", ["--adapter"])):
        done = run_command("export", f"--run={tuned}", f"--out={tmp_path / name}", *more)
        assert done.returncode == 0, done.stderr
    whole = traverse_util.flatten_dict(load_package(tmp_path / "whole").params, sep=".")
    added = traverse_util.flatten_dict(apply_adapter(base, tmp_path / "adapter").params, sep=".")
    for name, value in after.items():
        np.testing.assert_array_equal(whole[name], value, err_msg=name)
        np.testing.assert_array_equal(added[name], value, err_msg=name)

    with pytest.raises(BadInput, match="is an adapter to other weights"):
        apply_adapter(run, tmp_path / "adapter")
    config = json.loads((tmp_path / "adapter" / "config.json").read_text())
    del config["lora"]["rank"]
    (tmp_path / "adapter" / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadInput, match="config.lora.rank is not set"):
        apply_adapter(base, tmp_path / "adapter")


def test_ctrl_c_saves_and_the_run_ends_as_an_undisturbed_one(runs, action, tuned, tmp_path):
    workdir = tmp_path / "run"
    unpreviewed = flags(action, **{"train.preview_every": STEPS + 1})
    process = runs.start(workdir, *unpreviewed, config=CONFIG)
    for line in process.stdout:
        if line.startswith("step 4/"):
            process.send_signal(signal.SIGINT)
            break
    rest, err = process.communicate()
    assert process.returncode == 0, err
    assert "stopped by SIGINT after step" in rest
    status, _, err = runs.finish(workdir, *unpreviewed, config=CONFIG)
    assert status == 0, err
    arrays, expected = saved_arrays(workdir), saved_arrays(tuned)
    assert arrays.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)
    assert reported(workdir) == reported(tuned)


def test_a_base_that_has_changed_is_refused(tuned, action, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tuned, run)
    base = load_package(action / "base")
    base.params["head"]["modulation"][0, 0] += 1
    save_package(tmp_path / "base", base)
    path = run / "config.json"
    stored = json.loads(path.read_text()) | dict(init_from=str(tmp_path / "base"))
    path.write_text(json.dumps(stored))
    with pytest.raises(BadInput, match="was trained on other weights than .*base has now"):
        load_run(run)
    with pytest.raises(BadInput, match="did not start from the weights of config.init_from"):
        train(asked(stored, train=dict(workdir=str(run))))
    path.write_text(json.dumps(stored | dict(init_from=str(tmp_path / "gone"))))
    with pytest.raises(BadInput, match="the base of the run in .* cannot be read: .*gone"):
        load_run(run)
    assert load_run_adapter(run).step == STEPS  # which needs no base


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("init_from", "", "config.init_from names none"),
        (
            "init_from",
            "nowhere",
            "there is no checkpoint nowhere: name its folder, or the shipped",
        ),
        ("init_from", "", "config.finetune freezes weights, but config.init_from names none"),
        ("model", dict(dim=32), "config.model.dim is 32, but that of config.init_from is 16"),
        ("objective", dict(prediction="velocity"), "config.init_from predicts the sample"),
        ("data", dict(path=""), "config.data.path is empty"),
        ("train", dict(accumulate=3), "batch_size 8 is not divisible by 24 shards"),
        (
            "finetune",
            dict(lora_rnk=1),
            "config.finetune.lora_rnk is unknown; did you mean lora_r",
        ),
    ],
)
def test_what_does_not_fit_the_base_is_refused(tuned, tmp_path, section, change, message):
    stored = json.loads((tuned / "config.json").read_text())
    workdir = dict(train=dict(workdir=str(tmp_path / "run")))
    with pytest.raises(BadInput, match=message):
        train(asked(stored, **changed(workdir, {section: change})))


def test_weights_and_statistics_are_of_the_base_and_the_licence_of_both(runs, action, tmp_path):
    """Without LoRA too; and text encoder and frame rate must agree."""
    workdir = tmp_path / "run"
    changes = {"finetune.lora_rank": 0, "train.steps": 1, "optim.learning_rate": 0.0}
    status, _, err = runs.finish(workdir, *flags(action, **changes), config=CONFIG)
    assert status == 0, err
    run, base = load_run(workdir), load_package(action / "base")
    np.testing.assert_array_equal(run.statistics.std, base.statistics.std)
    after = traverse_util.flatten_dict(run.params)
    for path, value in traverse_util.flatten_dict(base.params).items():
        np.testing.assert_array_equal(after[path], value, err_msg=str(path))
    assert run.objective.prediction == base.objective.prediction
    assert base.licence == "CC BY-NC 4.0"
    assert run.licence == "CC BY-NC 4.0; CC0"
