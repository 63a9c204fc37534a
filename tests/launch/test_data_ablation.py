"""The ablation on data, walked at a tiny size: runs that see ever more sources, and a table."""

import json

import pytest

from eval.data_ablation import rows
from tests.helpers.commands import run_command
from tests.helpers.made_up import ACTIONS, made_up_dataset
from tests.helpers.tiny_package import Letters
from vimogen_jax.errors import BadInput

SOURCES = ("capture", "real_video", "synthetic_video")
SMALL = dict(dim=16, ffn_dim=16, num_heads=2, num_layers=1, text_dim=8, freq_dim=8, reference_dim=0)


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    """A dataset of three sources, and files of the actions of takes and of sentences."""
    folder = tmp_path_factory.mktemp("ablation")
    dataset, actions = made_up_dataset(folder / "dataset", sources=SOURCES)
    lines = [json.dumps(dict(id=id, action=action)) for id, action in actions.items()]
    (folder / "actions.jsonl").write_text("\n".join(lines))
    lines = [json.dumps(dict(caption=f"do {action}.", action=action)) for action in ACTIONS]
    (folder / "sentences.jsonl").write_text("\n".join(lines))
    return dataset, folder


def test_rows_add_one_kind_of_source_each(made_up):
    dataset, _ = made_up
    found = rows(dataset, "real_video", "synthetic_video")
    assert found == {
        "optical": dict(capture=6, real_video=0, synthetic_video=0),
        "with_real_video": dict(capture=6, real_video=6, synthetic_video=0),
        "with_synthetic_video": dict(capture=6, real_video=6, synthetic_video=6),
    }
    with pytest.raises(BadInput, match="no source 'films' to train on; it has capture, real_video"):
        rows(dataset, "films", "synthetic_video")


@pytest.mark.slow  # three runs are compiled
def test_three_runs_one_after_the_other_and_their_table(made_up, tmp_path, monkeypatch):
    monkeypatch.setattr("vimogen_jax.generator.load_text_encoder", lambda spec: Letters())
    dataset, folder = made_up
    said = (
        *("--config=configs/tiny.py", f"--config.data.path={dataset.folder}"),
        *(f"--config.model.{name}={value}" for name, value in SMALL.items()),
        *("--config.data.buckets=(60,)", "--config.data.batch_size=8", "--config.train.steps=2"),
        *("--config.train.preview_every=9", "--config.train.eval_every=9"),
        *("--config.sampler.steps=2", "--per_action=2", f"--out={tmp_path / 'out'}"),
        f"--captions={folder / 'actions.jsonl'}",
        f"--sentences={folder / 'sentences.jsonl'}",
    )
    ended = run_command("data_ablation", *said)
    assert ended.returncode == 0, ended.stderr
    report = json.loads((tmp_path / "out/report.json").read_text())
    weights = [*report["weights"].values()]
    runs = [json.loads((tmp_path / f"out/{n}/config.json").read_text()) for n in report["weights"]]
    assert [run["data"]["weights"] for run in runs] == weights and len(set(map(str, weights))) == 3
    table = (tmp_path / "out/report.md").read_text()
    assert "| with real video | 12 |" in table and table in ended.stdout
    assert all(
        each["action_following"]["generated_motions"] == 6 for each in report["reports"].values()
    )
    ended = run_command("data_ablation", *said, "--config.data.weights={'capture': 1.0}")
    assert ended.returncode == 1 and "leave it empty" in ended.stderr
