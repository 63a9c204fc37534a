"""Datasets in parts: those of one machine, whatever was killed or done twice."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from data import parts, plain
from data.augment import mirrored
from data.beam import Beam
from data.build import build
from data.sources.captioned import read_captions
from tests.helpers.made_up import made_up_motion
from tests.helpers.tiny_package import Letters
from vimogen_jax import formats
from vimogen_jax.errors import BadInput
from vimogen_jax.input_pipeline.dataset import Dataset


@dataclasses.dataclass(frozen=True)
class Here(Beam):
    """Calls in this process, each twice; killed after some."""

    killed_after: int = 10**6

    def __call__(self, function, items) -> Iterator:
        for number, item in enumerate(items):
            if number == self.killed_after:
                raise KeyboardInterrupt
            said = plain.dumps(item)
            function(plain.loads(said))
            yield plain.loads(plain.dumps(function(plain.loads(said))))


@pytest.fixture
def takes(tmp_path, monkeypatch):
    """Seven takes and their mirror images, two takes a part; the fourth cannot be read."""
    monkeypatch.setattr(parts, "TAKES", 4)
    monkeypatch.setattr(parts, "load_text_encoder", lambda spec: Letters())
    (tmp_path / "motions").mkdir()
    lines = []
    for number in range(7):
        motion = made_up_motion("walk", np.random.default_rng(number), 45)
        formats.write(motion, tmp_path / f"motions/{number}.npz")
        lines.append(f'{{"path": "{number}.npz", "caption": "a person walks {number} steps."}}')
    (tmp_path / "motions/3.npz").write_bytes(b"no motion")
    (tmp_path / "captions.jsonl").write_text("\n".join(lines))
    takes = read_captions(tmp_path / "captions.jsonl", tmp_path / "motions")
    return [each for pair in zip(takes, mirrored(takes), strict=True) for each in pair]


def content(folder: Path) -> dict:
    dataset = Dataset.open(folder)
    return {
        split: {
            (each := records[i]).id: (each.motion.tobytes(), each.text.tobytes(), each.caption)
            for i in range(len(records))
        }
        for split, records in dataset.records.items()
    }


@pytest.mark.parametrize("holdout", [0.0, 0.4, 1.0])
def test_parts_make_the_dataset_of_one_machine(takes, tmp_path, holdout):
    one = build(takes, tmp_path / "one", Letters(), holdout=holdout)
    many = build(
        takes, tmp_path / "many", Letters(), holdout=holdout, workers=Here(f"{tmp_path / 'beam'}")
    )
    assert content(tmp_path / "one") == content(tmp_path / "many")
    for name in ("records", "frames", "cut", "notes"):
        assert getattr(one, name) == getattr(many, name)
    assert [(take.id, why.dropped) for take, why in many.dropped] == [
        ("3", "unreadable"),
        ("3#mirrored", "unreadable"),
    ]
    datasets = [Dataset.open(tmp_path / name) for name in ("one", "many")]
    np.testing.assert_allclose(datasets[0].statistics.mean, datasets[1].statistics.mean, atol=1e-6)
    assert datasets[0].max_text_length == datasets[1].max_text_length
    shards = [len(list(each.folder.glob("*.array_record"))) for each in datasets]
    assert shards[0] == 2 < shards[1]
    assert not list((tmp_path / "beam").iterdir())


def test_what_was_killed_goes_on_without_a_record_twice_or_none(takes, tmp_path):
    build(takes, tmp_path / "one", Letters())
    with pytest.raises(KeyboardInterrupt):
        build(takes, tmp_path / "many", Letters(), workers=Here(f"{tmp_path / 'beam'}", (), 3))
    assert not (tmp_path / "many").exists()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "beam/parts").glob("*.json")}
    assert len(kept) == 3
    (tmp_path / "beam" / "0123456789abcdef").mkdir()  # of a pipeline that was killed
    (tmp_path / "beam" / "mine").mkdir()
    damaged, lost, whole = sorted(kept)
    damaged.write_text("5")  # JSON, but no part
    for shard in lost.parent.glob(f"{lost.stem}-*"):
        shard.unlink()
    with pytest.raises(KeyboardInterrupt):
        build(takes, tmp_path / "many", Letters(), workers=Here(f"{tmp_path / 'beam'}", (), 3))
    again = {path: path.stat().st_mtime_ns for path in kept}
    assert [path for path in kept if kept[path] == again[path]] == [whole]
    build(takes, tmp_path / "many", Letters(), workers=Here(f"{tmp_path / 'beam'}"))
    assert content(tmp_path / "one") == content(tmp_path / "many")
    assert [path.name for path in (tmp_path / "beam").iterdir()] == ["mine"]


def test_other_takes_are_other_parts(takes, tmp_path):
    beam = Here(f"{tmp_path / 'beam'}", (), 3)
    with pytest.raises(KeyboardInterrupt):
        build(takes, tmp_path / "many", Letters(), workers=beam)
    other = [dataclasses.replace(take, caption=f"{take.caption} slowly.") for take in takes]
    build(other, tmp_path / "many", Letters(), workers=dataclasses.replace(beam, killed_after=99))
    (captions,) = {
        caption.endswith("slowly.")
        for records in content(tmp_path / "many").values()
        for _, _, caption in records.values()
    }
    assert captions


def test_nothing_but_what_is_known_comes_of_what_machines_hand_over(takes):
    found = plain.loads(plain.dumps([takes[1], {1: (None, 0.1)}, np.eye(2)]))
    assert found[0] == dataclasses.replace(takes[1], read=found[0].read)
    assert found[0].read([]).num_frames == 45 and found[1] == {1: (None, 0.1)}
    np.testing.assert_array_equal(found[2], np.eye(2))
    for wrong in (
        '{"system": {}}',
        '{"reader": ["system", [], {"dict": []}]}',
        "[",
        '{"Take": {}}',
    ):
        with pytest.raises(BadInput):
            plain.loads(wrong)
    with pytest.raises(TypeError, match="function is nothing"):
        plain.dumps(content)
