"""A film becomes a motion, a page and a word on what was seen and assumed."""

import json

from tests.helpers.commands import run_command
from vimogen_jax import formats


def test_a_film_is_read(shared, tmp_path):
    video = shared / "priors/filmed/raise.mp4"
    ended = run_command("mocap", "--video", video, "--out", tmp_path / "out", "--seconds=1")
    assert ended.returncode == 0, ended.stderr
    assert formats.read(tmp_path / "out/raise.npz").num_frames == 20
    (facts,) = json.loads((tmp_path / "out/reading.json").read_text())["motions"].values()
    assert facts["found"] == 1 and facts["people"] == 1 and facts["gaps"] == []
    assert facts["focal"]["how"] == "assumed" and len(facts["confidence"]) == 20
    assert "raise: 1 s from 0 s" in (tmp_path / "out/index.html").read_text()


def test_a_film_of_nobody_is_one_sentence(shared, tmp_path):
    video = shared / "priors/filter_clips/empty.mp4"
    ended = run_command("mocap", "--video", video, "--out", tmp_path / "out", "--seconds=0.6")
    assert ended.returncode == 1
    assert "empty.mp4: no person is seen" in ended.stderr and not (tmp_path / "out").exists()
