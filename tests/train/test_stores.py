"""A run's folder on an object store: Google's, played by a server on this machine."""

import json

import jax
import numpy as np
import pytest
from etils import epath
from orbax.checkpoint._src.path import gcs_utils

from configs import tiny
from tests.helpers import fake_gcs
from tests.helpers.checkpoints import (
    assert_equal,
    flip_bits,
    numbers,
    plan,
    save_three,
    state_at,
)
from tests.helpers.experiments import begin, experiment_of
from tests.helpers.played_store import played_by
from tests.helpers.tiny_package import tiny_package
from vimogen_jax.errors import BadInput
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.package import save_package
from vimogen_jax.train.checkpoint import Checkpoints
from vimogen_jax.train.clock import Clock
from vimogen_jax.train.log import Log
from vimogen_jax.train.loop import train
from vimogen_jax.train.run import load_checkpoint

URL = "gs://bucket/runs/one"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """The folder of the run, as the server has it on disk."""
    root = tmp_path_factory.mktemp("store")
    with fake_gcs.serving(root) as server, played_by(fake_gcs.file_system(root)) as patch:
        patch.setattr(gcs_utils, "get_bucket", lambda name: object())  # a plain bucket
        patch.setenv("TENSORSTORE_GCS_HTTP_URL", f"http://localhost:{server.server_port}")
        patch.setenv("GOOGLE_AUTH_TOKEN_FOR_TESTING", "none")
        yield root / "bucket/runs/one"


def test_checkpoints_are_saved_restored_and_set_aside(store, capsys):
    save_three(URL, keep=2)
    assert sorted(path.name for path in (store / "checkpoints").iterdir()) == ["2", "3"]
    flip_bits(store / "checkpoints/3")
    iterator = numbers()
    with Checkpoints(URL, keep=2) as checkpoints:
        assert_equal(checkpoints.restore(plan(), iterator), state_at(2))
    assert next(iterator) == 2
    assert "gs://bucket/runs/one/checkpoints/3 cannot be read" in capsys.readouterr().err
    assert (store / "checkpoints/3.damaged").is_dir()


# TensorStore may still call back for some arrays when others have failed and nobody waits any more.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_store_that_refuses_for_a_while_costs_no_checkpoint(store, monkeypatch):
    url = "gs://bucket/runs/refused"
    save_three(url, keep=2)
    with Checkpoints(url, keep=2) as checkpoints, monkeypatch.context() as refusing:
        refusing.setattr(fake_gcs._Handler, "do_GET", lambda self: self._answer(403))
        with pytest.raises(BadInput, match=f"{url}/checkpoints/3 is out of reach .*DENIED"):
            checkpoints.restore(plan(), numbers())
    with Checkpoints(url, keep=2) as checkpoints:
        assert_equal(checkpoints.restore(plan(), numbers()), state_at(3))


def test_a_run_begins_and_reports(store, runs, capsys):
    dataset = Dataset.open(runs.dataset)
    first, again = begin(URL, dataset), begin(URL, dataset)
    assert first == again and first.folder == epath.Path(URL)
    assert json.loads((store / "config.json").read_text())["seed"] == 0
    assert (store / "statistics.safetensors").is_file()
    for begun in (0, 1):
        with Log(epath.Path(URL), begun, 2, Clock()) as log:
            log.write(1, dict(loss=1.0))
            log.write(2, dict(loss=0.5))
    lines = (store / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 1, 2]
    assert all(b"loss" in path.read_bytes() for path in (store / "tensorboard").iterdir())
    assert "lacks events" not in capsys.readouterr().err


def test_packages_are_written_and_loaded(store):
    package = tiny_package()
    url = "gs://bucket/package"
    save_package(url, package)
    got = load_checkpoint(url)
    assert got.model == package.model
    jax.tree.map(np.testing.assert_array_equal, got.params, package.params)


@pytest.mark.slow
def test_a_whole_run(store, runs):
    data = dict(path=str(runs.dataset), batch_size=16, text_length=8, buckets=(60,))
    url = "gs://bucket/runs/whole"
    for steps in (2, 3):
        times = dict(workdir=url, steps=steps, preview_every=2)
        train(experiment_of(tiny, model=dict(text_dim=12), data=data, train=times))
    assert load_checkpoint(url).step == 3
    previews = store.with_name("whole") / "previews/2"
    assert len(list(previews.glob("*.npz"))) == 4
