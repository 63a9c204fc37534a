"""A film becomes a motion, a page and a word on what was seen and assumed."""

import json

from tests.helpers.commands import run_command
from vimogen_jax import formats
from vimogen_jax.formats.provenance import read_provenance
from vimogen_jax.mocap.film import frames, open_film, sha256


def test_a_film_is_read(shared, tmp_path):
    video = shared / "priors/filmed/raise.mp4"
    kinds = ("npz", "glb", "bvh", "npy", "mp4")
    asked = "--seconds=1", f"--formats=html,{','.join(kinds)}"
    ended = run_command("mocap", "--video", video, "--out", tmp_path / "out", *asked)
    assert ended.returncode == 0, ended.stderr
    names = {f"raise.{kind}" for kind in (*kinds, "bvh.json", "npy.json")}
    names |= {"reading.json", "raise-film.mp4", "index.html"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    for kind in ("npz", "glb", "bvh"):
        path = tmp_path / f"out/raise.{kind}"
        film = dict(address=str(video), sha256=sha256(video), start=0, end=1)
        assert read_provenance(path)["film"] == film
        assert formats.read(path).num_frames == 20
    (facts,) = json.loads((tmp_path / "out/reading.json").read_text())["motions"].values()
    assert facts["found"] == 1 and facts["people"] == 1 and facts["gaps"] == []
    assert facts["focal"]["how"] == "assumed" and len(facts["confidence"]) == 20
    page = (tmp_path / "out/index.html").read_text()
    assert "1 s from 0 s; person 0, 1 in the picture; focal length 614.4 px (assumed)" in page
    assert 'src="raise-film.mp4"' in page
    shown = open_film(tmp_path / "out/raise-film.mp4")
    assert (shown.fps, shown.width, len(list(frames(shown)))) == (20, 512, 20)


def test_a_film_of_nobody_is_one_sentence(shared, tmp_path):
    video = shared / "priors/filter_clips/empty.mp4"
    ended = run_command("mocap", "--video", video, "--out", tmp_path / "out", "--seconds=0.6")
    assert ended.returncode == 1
    assert "empty.mp4: no person is seen" in ended.stderr and not (tmp_path / "out").exists()
