"""A priors folder as a source of takes, and its branches as systems that MBench scores."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from data.priors.prompts import Prompt
from data.priors.store import StageOutput, Store
from data.sources.priors import read_priors
from tests.helpers.commands import run_command
from tests.helpers.made_up import made_up_motion
from tests.helpers.tiny_package import tiny_package
from tests.helpers.videos import write_video
from vimogen_jax import formats
from vimogen_jax.errors import BadInput
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.package import save_package
from vimogen_jax.text.encoder import load_text_encoder
from vimogen_jax.text.spec import EncoderSpec

# Sentence: what quality and judge say of its reference; None where they were not asked.
SAID = {
    "a person walks.": ([], True),
    "a person jogs.": ([], None),
    "a person bows.": ([], False),
    "a person hops.": (["jitter"], False),
    "a person swims.": None,
}
FACTS = {"note": "made up", "licence": "CC0"}


@pytest.fixture
def store(tmp_path):
    store, motion = Store(tmp_path / "priors"), made_up_motion("walk", np.random.default_rng(0))
    entries = store.add([Prompt(str(i), text, 2.5) for i, text in enumerate(SAID)])
    for entry, said in zip(entries, SAID.values(), strict=True):
        entry.keep(
            "texts", {}, StageOutput(dict(motion=f"{entry.prompt.text} detailed", video="")), 0
        )
        with entry.scratch() as folder:
            entry.keep("video", {}, StageOutput(FACTS, write_video(folder / "film.mp4")), 0)
            if said is None:
                entry.keep("reference", {}, BadInput("nobody is seen"), 0)
                continue
            film = dict(address="film.mp4", sha256="ab", start=0.0, end=2.0)
            formats.write(motion, folder / "reference.npz", dict(film=film))
            entry.keep("reference", {}, StageOutput({}, folder / "reference.npz"), 0)
        faults, matches = said
        entry.keep("quality", {}, StageOutput(dict(faults=faults)), 0)
        if matches is not None:
            entry.keep("verdict", {}, StageOutput(dict(matches=matches, words="so")), 0)
    return store


def test_takes_are_what_no_judge_refused(store, tmp_path):
    takes, faults = read_priors(store.folder)
    assert not faults
    assert [take.caption for take in takes] == ["a person walks.", "a person jogs."]
    assert {(take.quality, take.source, take.licence) for take in takes} == {
        ("low", "synthetic_video", "CC0")
    }
    (named, _), _ = read_priors(store.folder, "real_video")
    assert (named.source, named.id) == ("real_video", f"real_video/{takes[0].id.split('/')[1]}")
    with pytest.raises(BadInput, match="no priors folder"):
        read_priors(tmp_path)
    damaged = tmp_path / "damaged"
    shutil.copytree(store.folder, damaged)
    folder = damaged / takes[0].id.split("/")[1]
    next(folder.glob("quality-*.json")).write_text("{")
    others, (fault,) = read_priors(damaged)
    assert [take.caption for take in others] == ["a person jogs."] and "quality-" in fault
    out = tmp_path / "dataset"
    ended = run_command("build_data", "--priors", store.folder, "--out", out, "--workers=1")
    assert ended.returncode == 0, ended.stderr
    dataset = Dataset.open(out)
    assert "synthetic_video: " in ended.stdout
    record = dataset.records["train"][0]
    assert record.quality == "low" and record.film and record.film.address == "film.mp4"
    assert record.wordings[0].caption == f"{record.caption} detailed"


def test_branches_side_by_side(store, tmp_path):
    spec = EncoderSpec.of(load_text_encoder("minilm"))
    package = tiny_package(text_encoder=dataclasses.asdict(spec), text_dim=spec.width)
    save_package(tmp_path / "model", package)
    prompts, out = tmp_path / "prompts.jsonl", tmp_path / "out"
    rows = [
        dict(id=10 + i, category="motion_quality", text=text, seconds=2.5)
        for i, text in enumerate(SAID)
    ]
    prompts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = "--priors", store.folder, "--prompts", prompts, "--out", out
    ended = run_command("mbench", *said, "--checkpoint", tmp_path / "model")
    assert ended.returncode == 2, ended.stderr  # a film without a reading
    report = json.loads((out / "report.json").read_text())
    assert list(report["systems"]) == ["text", "video", "reference", "gated"]
    assert "2 no" in report["gate"][0] and report["gate"][1] == "made up"
    lengths = {
        branch: [formats.read(out / branch / f"{id}.npz").num_frames for id in (10, 12)]
        for branch in report["systems"]
    }
    assert lengths["text"] == [50, 50] and lengths["video"] == lengths["reference"]
    assert lengths["gated"] == [lengths["reference"][0], 50] != lengths["reference"]
    assert not (out / "video/14.npz").exists() and (out / "reference/14.npz").exists()
    for flags in ["--branch=best"], ["--motions", tmp_path]:
        refused = run_command("mbench", *said, *flags)
        assert refused.returncode == 1
