"""A stand-in for HumanML3D: its layout, which the protocol walks to the end."""

import json

import numpy as np
import pytest

from data.humanml3d_stand_in import _line, main, write_stand_in
from data.wordings import mirrored
from eval.humanml3d.embedder import PublishedEmbedder
from eval.humanml3d.protocol import evaluate, is_whole
from eval.humanml3d.report import to_markdown
from eval.humanml3d.split import read_split
from eval.humanml3d.systems import read_system
from tests.helpers.humanml3d_files import write_evaluator
from tests.helpers.made_up import made_up_dataset
from vimogen_jax.errors import BadInput
from vimogen_jax.motion import humanml3d


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return made_up_dataset(tmp_path_factory.mktemp("made up") / "dataset", train=28)[0]


@pytest.fixture(scope="module")
def folder(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stand-in") / "HumanML3D"
    write_stand_in(dataset, folder)
    return folder


def test_the_layout(folder):
    lists = {path.stem: path.read_text().split() for path in folder.glob("*.txt")}
    ids = lists["train"] + lists["val"] + lists["test"]
    assert sorted(lists["all"]) == sorted(ids) and len(set(ids)) == len(ids) == 2 * 90
    assert lists["train_val"] == lists["train"] + lists["val"]
    for kind, suffix in (("new_joint_vecs", "npy"), ("new_joints", "npy"), ("texts", "txt")):
        assert {path.name for path in (folder / kind).iterdir()} == {f"{x}.{suffix}" for x in ids}
    # Both of a pair are in one split.
    for split in ("train", "val", "test"):
        assert {f"M{id}" for id in lists[split] if id[0] != "M"} == {
            id for id in lists[split] if id[0] == "M"
        }
    said = lambda id: (folder / "texts" / f"{id}.txt").read_text().partition("#")[0]
    own = [id for id in lists["all"] if id[0] != "M"]
    assert any("left" in said(id) for id in own)
    assert all(said(f"M{id}") == mirrored(said(id)) for id in own)
    features = np.load(folder / "new_joint_vecs" / "000000.npy")
    joints = np.load(folder / "new_joints" / "000000.npy")
    np.testing.assert_allclose(humanml3d.joints_from_positions(features), joints, atol=1e-6)
    assert features.dtype == joints.dtype == np.float32
    trained = np.concatenate(
        [np.load(folder / "new_joint_vecs" / f"{id}.npy") for id in lists["train"]]
    )
    mean, std = np.load(folder / "Mean.npy"), np.load(folder / "Std.npy")
    np.testing.assert_allclose(mean, trained.mean(0, np.float64), atol=1e-5)
    np.testing.assert_allclose(std[4:67], trained[:, 4:67].std(0, np.float64).mean(), rtol=1e-4)


def test_the_protocol_walks_it(folder, tmp_path):
    """Its own test motions as a system's, from their joints."""
    split = read_split(folder)
    assert len(split.clips) >= 32
    for prompt in split.prompts:
        joints = np.load(folder / "new_joints" / f"{prompt.id}.npy")
        np.save(tmp_path / f"{prompt.id}.npy", joints[: prompt.frames])
    system = read_system("its own", tmp_path, split)
    embedder = PublishedEmbedder.open(write_evaluator(tmp_path / "evaluator"))
    report = evaluate(split, embedder, [system], repetitions=2)
    assert is_whole(report)
    real, own = (report["systems"][name]["scores"]["fid"]["mean"] for name in report["systems"])
    assert own < 20 * real
    assert "is another, so they do not compare" in to_markdown(report)
    json.dumps(report, allow_nan=False)


def test_captions():
    assert _line("A person  turns #2, left.") == (
        "A person turns 2, left.#a/X person/X turns/X left/X#0.0#0.0\n"
    )


def test_the_command(dataset, tmp_path, monkeypatch, capsys):
    arguments = ["stand_in", str(dataset.folder), str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", arguments)
    main()
    assert "motions to test" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"error: .*exists already"):
        main()
    monkeypatch.setattr("sys.argv", ["stand_in", "NOWHERE", "out"])
    with pytest.raises(SystemExit, match="error: .*NOWHERE"):
        main()


def test_too_few_motions_are_refused(tmp_path, monkeypatch):
    few, _ = made_up_dataset(tmp_path / "few", train=1, validation=1)
    monkeypatch.setattr("data.humanml3d_stand_in.SHARES", {"train": 0.0, "test": 1.0})
    with pytest.raises(BadInput, match="none of them is drawn for training"):
        write_stand_in(few, tmp_path / "out")
    assert not (tmp_path / "out").exists()
