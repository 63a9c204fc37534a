"""The folder of a run: what it records, with what it goes on, and how it refuses what differs."""

import hashlib
import json

import pytest

from configs import tiny
from tests.helpers.experiments import OF_BEFORE, begin, changed, experiment_of
from vimogen_jax.errors import BadInput
from vimogen_jax.experiment import Experiment
from vimogen_jax.files import locked
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.train.run import Run, alone, load_run

MODEL = dict(text_dim=12)


@pytest.fixture(scope="module")
def dataset(runs):
    return Dataset.open(runs.dataset)


def test_a_run_begins_and_goes_on_with_its_config(dataset, tmp_path):
    folder = tmp_path / "run"
    first = begin(folder, dataset)
    assert Run.read(folder) == first
    free = dict(path="b", workers=3, text_length=9)
    begin(
        *(folder, dataset),
        optim=dict(learning_rate=1e-4),
        data=free,
        model=dict(remat="full"),
    )
    stored = json.loads((folder / "config.json").read_text())
    assert stored["optim"]["learning_rate"] == 1e-4
    assert stored["text_encoder"] == dataset.text_encoder
    assert (folder / "statistics.safetensors").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(seed=1), "began with seed = 0, not 1"),
        (dict(model=dict(dim=64)), "began with model.dim = 32, not 64"),
        (dict(objective=dict(prediction="velocity")), "objective.prediction = sample, not vel"),
        (dict(optim=dict(optimizer="muon")), "began with optim.optimizer = adamw, not muon"),
        (dict(data=dict(buckets=(60,))), r"data.buckets = \(100, 200\), not \(60,\)"),
        (
            dict(objective=dict(corruption=dict(dropout_rate=0.1))),
            "objective.corruption.dropout_rate = 0.05, not 0.1",
        ),
    ],
)
def test_another_runs_folder_is_refused(dataset, tmp_path, change, message):
    begin(tmp_path, dataset)
    before = (tmp_path / "config.json").read_bytes()
    with pytest.raises(BadInput, match=message):
        begin(tmp_path, dataset, **change)
    assert (tmp_path / "config.json").read_bytes() == before


def test_another_dataset_is_told_by_the_paths(dataset, tmp_path):
    begin(tmp_path, dataset, data=dict(path="mine"))
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | dict(dataset="0")))
    with pytest.raises(BadInput, match="began with the dataset mine, which yours is not"):
        begin(tmp_path, dataset, data=dict(path="yours"))


@pytest.mark.parametrize("page", [tiny], ids=["tiny"])
def test_a_run_begun_before_goes_on(dataset, tmp_path, page):
    manifest = (dataset.folder / "manifest.json").read_bytes()
    begun = OF_BEFORE | dict(dataset=hashlib.sha256(manifest).hexdigest())
    (tmp_path / "config.json").write_text(json.dumps(begun))
    run = begin(tmp_path, dataset, data=dict(buckets=(60,)))
    assert Run.read(tmp_path) == run
    with pytest.raises(BadInput, match="began with model.ffn_dim = 64, not 32"):
        begin(tmp_path, dataset, data=dict(buckets=(60,)), model=dict(ffn_dim=32))


def test_what_a_run_wrote_before_means_what_it_meant():
    names = ("seed", "model", "objective", "data", "optim", "sharding", "train", "sampler")
    config = {name: OF_BEFORE[name] for name in names} | dict(init_from="")
    experiment = Experiment.recorded(config)
    data, times = (config[name] for name in ("data", "train"))
    now = experiment_of(tiny, model=MODEL | dict(remat="none"), data=data, train=times)
    for name in names:
        assert getattr(experiment, name) == getattr(now, name), name
    assert experiment.finetune.lora is None and not experiment.finetune.needs_base


def test_a_run_is_trained_by_one_process_at_a_time(dataset, tmp_path):
    run = begin(tmp_path / "run", dataset)
    refused = pytest.raises(BadInput, match="run is trained by another process")
    with locked(run.folder), refused, alone(run):
        pass
    with alone(run):  # once the other has ended
        pass


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"config.json is missing"):
        load_run(tmp_path)


def test_a_config_that_nobody_wrote_is_refused_by_file_and_key(dataset, tmp_path):
    begin(tmp_path, dataset)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(changed(json.loads(path.read_text()), dict(train=dict(steps=[])))))
    with pytest.raises(BadInput, match=r"config\.json: config\.train\.steps must be a whole"):
        load_run(tmp_path)
