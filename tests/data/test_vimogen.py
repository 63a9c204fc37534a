"""ViMoGen-228K: what its JSON may say, and channels that reach the dataset bit for bit."""

import json
import re

import numpy as np
import pytest

from data.build import build
from data.sources.vimogen import read_vimogen
from tests.helpers.made_up import made_up_motion
from tests.helpers.tiny_package import Letters
from tests.helpers.torch_files import save, save_program
from vimogen_jax.errors import BadInput
from vimogen_jax.formats import pickles
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.motion.representation import encode

SUBSETS = {"optical": "Optical MoCap", "wild": "In-the-Wild Video", "synthetic": "Synthetic Video"}


def entry(id: int, folder: str = "optical", **changed) -> dict:
    """An entry with the keys of the release."""
    fields = {
        "id": id,
        "subset": SUBSETS[folder],
        "split": "AMASS",
        "motion_text_annot": f"a person does {id}.",
        "video_text_annot": f"A woman in grey does {id}, seen from the side.",
        "motion_path": f"motions/{folder}/{id}.pt",
    } | changed
    return {name: value for name, value in fields.items() if value is not ...}


def write(folder, entries) -> str:
    path = folder / "ViMoGen-228K.json"
    path.write_text(json.dumps(entries), encoding="utf-8")
    return str(path)


def channels(seed: int, frames: int = 45, width: int = 276) -> np.ndarray:
    motion = made_up_motion("walk", np.random.default_rng(seed), frames + 1)
    return np.pad(encode(motion).astype(np.float32), ((0, 0), (0, 150)))[:, :width]


def test_entries_become_takes(tmp_path):
    archive = write(
        tmp_path,
        [
            entry(0),
            entry(1, "wild", split="Val", video_text_annot=["He waves.", "He greets."]),
            entry(2, "synthetic", split="test", video_text_annot=None),
            entry(3, subset="Visual MoCap", video_text_annot=[]),
        ],
    )
    takes = read_vimogen(archive)
    assert [take.id for take in takes] == list("0123")
    assert [take.source for take in takes] == [*SUBSETS.values(), "Visual MoCap"]
    assert [take.quality for take in takes] == ["high", "low", "low", "low"]
    assert [take.split for take in takes] == [None, "validation", "test", None]
    texts = ["A woman in grey does 0, seen from the side.", "He waves.", "", ""]
    assert [take.caption for take in takes] == texts
    assert takes[0].path == tmp_path / "motions/optical/0.pt"
    (tmp_path / "elsewhere").mkdir()
    moved = read_vimogen(archive, tmp_path / "elsewhere", "motion")[0]
    assert moved.path == tmp_path / "elsewhere/motions/optical/0.pt"
    assert moved.caption == "a person does 0."


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (entry(1, subset=...), '"subset" is missing'),
        (entry(1, video_text_annot=...), '"video_text_annot" is missing'),
        (entry(1, motion_path=...), '"motion_path" is missing'),
        (entry(1, motion_path=7), '"motion_path" is not a string'),
        (entry(1, video_text_annot=7), '"video_text_annot" is not a string'),
        (entry(1, subset="Cartoons"), "\"subset\" is 'Cartoons', neither optical"),
        (entry(1, motion_path="/motions/1.pt"), "/motions/1.pt leads outside the dataset's folder"),
        (entry(1, motion_path="a/../../1.pt"), "a/../../1.pt leads outside the dataset's folder"),
        ("walk", "not a JSON object"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path, bad, fault):
    archive = write(tmp_path, [entry(0), bad])
    with pytest.raises(BadInput, match=re.escape(f"{archive}, entry 1: {fault}")):
        read_vimogen(archive)


def test_a_file_that_is_no_list_is_named(tmp_path):
    for content in ("{}", "[]", "[1"):
        (tmp_path / "bad.json").write_text(content)
        with pytest.raises(BadInput, match=r"bad\.json is not "):
            read_vimogen(tmp_path / "bad.json")
    with pytest.raises(BadInput, match=r"none\.json is missing"):
        read_vimogen(tmp_path / "none.json")
    with pytest.raises(BadInput, match="nowhere: no such folder"):
        read_vimogen(tmp_path / "bad.json", tmp_path / "nowhere")


def test_channels_reach_the_dataset_bit_for_bit_and_bad_ones_are_reported(tmp_path):
    for name in SUBSETS:
        (tmp_path / "motions" / name).mkdir(parents=True)
    place = tmp_path / "motions"
    for i in range(4):
        save(place / "optical" / f"{i}.pt", channels(i))
    camera = {"extrinsic": np.zeros((45, 9), np.float32), "intrinsic": np.eye(3, dtype=np.float32)}
    save(place / "wild" / "4.pt", {"motion": channels(4, width=426), **camera})
    save(place / "wild" / "5.pt", np.where(channels(5) > 0.5, np.float32(np.nan), channels(5)))
    save(place / "wild" / "6.pt", channels(6, width=270))
    save(place / "optical" / "12.pt", np.full((45, 276), 1e39))  # beyond float32
    save_program(place / "wild" / "7.pt", b"cos\nsystem\n(X\x04\x00\x00\x00truetR")
    save(place / "synthetic" / "8.pt", channels(8, frames=30))
    entries = [entry(i) for i in range(4)] + [entry(i, "wild") for i in range(4, 8)]
    entries += [entry(8, "synthetic"), entry(9, "synthetic"), entry(10, video_text_annot=None)]
    entries += [entry(11, split="test"), entry(12)]
    takes = read_vimogen(write(tmp_path, entries))
    report = build(takes, tmp_path / "out", Letters(), holdout=0.0)

    dataset = Dataset.open(tmp_path / "out")
    records = {
        record.id: record
        for split in ("train", "validation")
        for record in map(dataset.records[split].__getitem__, range(len(dataset.records[split])))
    }
    assert sorted(records) == list("01234")
    for id, record in records.items():
        np.testing.assert_array_equal(
            record.motion, channels(int(id), width=426 if id == "4" else 276)[:, :276]
        )
    assert (records["4"].source, records["4"].quality) == (SUBSETS["wild"], "low")
    assert (records["0"].source, records["0"].quality) == (SUBSETS["optical"], "high")
    reasons = {take.id: (prepared.dropped, prepared.detail) for take, prepared in report.dropped}
    assert {id: reason for id, (reason, _) in reasons.items()} == {
        "5": "unreadable",
        "6": "unreadable",
        "7": "unreadable",
        "8": "too short",
        "9": "missing",
        "10": "no caption",
        "11": "test split",
        "12": "unreadable",
    }
    assert "5.pt: motion holds NaN" in reasons["5"][1]
    assert "6.pt: motion has shape [45, 270], not [t, 276]" in reasons["6"][1]
    assert "7.pt: not a readable PyTorch file: the pickle asks for os.system" in reasons["7"][1]
    assert "In-the-Wild Video: " in str(report) and "dropped, unreadable: 3 (5, 6, 7)" in str(
        report
    )

    with pytest.raises(BadInput, match=r"0\.pt: its channels are at 20 fps, not at 30"):
        build(takes[:4], tmp_path / "other", Letters(), fps=30.0)
    assert not (tmp_path / "other").exists()


def test_the_published_clip(shared, tmp_path):
    clip = shared / "reference" / "dummy_motion.pt"
    entries = [entry(i, motion_path="dummy_motion.pt") for i in range(2)]
    takes = read_vimogen(write(tmp_path, entries), clip.parent)
    build(takes, tmp_path / "out", Letters())
    record = Dataset.open(tmp_path / "out").records["train"][0]
    np.testing.assert_array_equal(record.motion, pickles.read_pt(clip)["motion"][:, :276])
