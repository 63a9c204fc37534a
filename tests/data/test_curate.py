"""From films to a dataset, with the filters that need no network and motions from a folder."""

import json
import shutil
import sys

import numpy as np
import pytest
from etils import epath
from fsspec.implementations.memory import MemoryFileSystem

from data import curate
from data.adapters.mocap import open_mocap
from data.adapters.mocap.model import Captured
from data.adapters.vlm.judge import Judge
from data.adapters.vlm.question import DESCRIBE
from data.filters.film import FilterSettings, Range
from data.result_cache import Cached
from tests.helpers.commands import run_command
from tests.helpers.made_up import made_up_motion
from tests.helpers.played_store import played_by
from vimogen_jax import formats
from vimogen_jax.formats.provenance import read_provenance
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.mocap.film import frames, open_film
from vimogen_jax.viewer.mp4 import encode

PAGE = """
from ml_collections import ConfigDict
from configs import curate

def get_config():
    config = curate.get_config()
    limits = config.limits.to_dict()
    config.limits = ConfigDict({name: limits[name] for name in ("duration", "cut", "camera")})
    return config
"""
NAMES = ("walk", "wave", "cut", "short", "again", "unsaid", "lost", "tremor")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with films and captions, and one with their motions."""
    folder = tmp_path_factory.mktemp("curate")
    (folder / "films").mkdir()
    (folder / "motions").mkdir()
    rng = np.random.default_rng(0)
    for number, name in enumerate(NAMES):
        greys = [20 + number] * 46
        if name == "cut":
            greys[20:] = [220] * 26
        frames = greys[:12] if name == "short" else greys
        path = folder / "films" / f"{name}.mp4"
        encode((np.full((32, 32, 3), grey, np.uint8) for grey in frames), path, fps=20)
        motion = made_up_motion("walk", rng, 46)
        if name == "tremor":
            motion.transl[::2] += 0.1
        if name != "lost":
            formats.write(motion, folder / "motions" / f"{name}.npz")
    shutil.copy(folder / "films/walk.mp4", folder / "films/again.mp4")
    (folder / "films/damaged.mp4").write_bytes(b"no film")
    lines = [
        dict(path=f"{name}.mp4", caption=f"a person does {name}.", licence="CC0")
        | (dict(action=name) if name == "wave" else {})
        for name in NAMES
        if name != "unsaid"
    ]
    captions = folder / "films" / curate.CAPTIONS
    captions.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    (folder / "page.py").write_text(PAGE)
    return folder


def run(made, out, *arguments):
    return run_command(
        "curate",
        f"--films={made / 'films'}",
        f"--out={out}",
        f"--config={made / 'page.py'}",
        f"--mocap=folder:{made / 'motions'}",
        "--workers=1",
        *arguments,
    )


def records(folder):
    """Each record once: a single one in training is held out too."""
    splits = Dataset.open(folder).records.values()
    read = [split.read(i) for split in splits for i in range(len(split))]
    found = [record for record in read if record is not None]
    return {record.id: record for record in found}.values()


def test_films_become_records_and_a_report(made, tmp_path):
    ended = run(made, tmp_path / "out", "--source=street")
    assert ended.returncode == 2, ended.stderr  # one film was damaged
    kept = {record.film.address: record for record in records(tmp_path / "out") if record.film}
    # Of two films alike the first of the list is taken.
    assert sorted(kept) == ["again.mp4", "wave.mp4"]
    record = kept["wave.mp4"]
    assert (record.action, kept["again.mp4"].action) == ("wave", "")
    assert record.film is not None
    assert (record.caption, record.source, record.quality, record.licence) == (
        "a person does wave.",
        "street",
        "low",
        "CC0",
    )
    assert record.id == f"street/{record.film.sha256[:24]}"
    assert record.film.end - record.film.start == pytest.approx(2.3, abs=0.05)

    report = json.loads((tmp_path / "out.work/report.json").read_text())
    left = {name: each["left"] for name, each in report["filters"].items()}
    assert left == dict(duration=1, decoding=0, cut=1, camera=0)
    assert report["filters"]["camera"]["clips"] == 5
    ends = {"damaged": 1, "repeated": 1, "no caption": 1, "no motion": 1, "bad motion": 1}
    assert report["left"] == ends and report["kept"] == 2
    assert (report["films"], report["split"], report["clips"]) == (9, 0, 9)
    assert report["chain"]["ms_a_frame_of_one_that_passes"] > 0
    (tremor,) = [why for film, why in report["clips_left"].items() if "tremor" in film]
    assert tremor.startswith("bad motion jitter")
    assert "damaged.mp4: not a film that can be read" in ended.stderr
    assert "| cut | 6 | 1 | 16.7% |" in ended.stdout

    # Its caption file takes the same records into a dataset of several sources.
    work = tmp_path / "out.work"
    said = f"--captions={work / curate.CAPTIONS}"
    ended = run_command("build_data", f"--motions={work}", said, f"--out={tmp_path / 'several'}")
    assert ended.returncode == 0, ended.stderr
    several = {record.id: record for record in records(tmp_path / "several")}
    for record in kept.values():
        other = several.pop(record.id)
        np.testing.assert_array_equal(other.motion, record.motion)
        about = lambda of: (of.caption, of.source, of.quality, of.licence, of.action, of.film)
        assert about(other) == about(record)
    assert not several

    # What was stopped after the work goes on without doing any of it again.
    found = [path for path in work.iterdir() if len(path.stem) == 32]
    before = {path: path.stat().st_mtime_ns for path in found}
    again = run(made, tmp_path / "out", "--source=street", "--overwrite")
    assert again.returncode == 2
    assert before and before == {path: path.stat().st_mtime_ns for path in before}
    same = {record.id: record.motion.tobytes() for record in kept.values()}
    assert {each.id: each.motion.tobytes() for each in records(tmp_path / "out")} == same


def test_beam_makes_the_same_dataset(made, tmp_path):
    pytest.importorskip("apache_beam", reason="needs apache-beam, as in `make test-beam`")
    assert run(made, tmp_path / "out").returncode == 2
    ended = run(made, tmp_path / "beam", "--beam=--runner=DirectRunner")
    assert ended.returncode == 2, ended.stderr
    mine, theirs = ({r.id: r for r in records(tmp_path / name)} for name in ("out", "beam"))
    assert mine.keys() == theirs.keys()
    for id, record in mine.items():
        np.testing.assert_array_equal(record.motion, theirs[id].motion)
        assert (record.caption, record.film) == (theirs[id].caption, theirs[id].film)
    assert not list((tmp_path / "beam.beam").iterdir())


def test_a_dataset_of_films_on_a_store(made, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    with played_by(MemoryFileSystem):
        url = "gs://bucket/films"
        refused = run(made, url)
        assert refused.returncode == 1 and "say with --work" in refused.stderr
        ended = run(made, url, f"--work={tmp_path / 'work'}")
        assert ended.returncode == 2, ended.stderr
        assert len(records(url)) == 2
        again = run(made, url, f"--work={tmp_path / 'work'}")
        assert again.returncode == 1 and f"{url} exists already" in again.stderr
        epath.Path(url).rmtree()


def test_a_list_of_films_and_what_is_refused(made, tmp_path):
    (made / "films/list.txt").write_text("walk.mp4\n\nwave.mp4\ngone.mp4\n")
    ended = run(made, tmp_path / "out", f"--films={made / 'films/list.txt'}")
    assert ended.returncode == 2 and "gone.mp4 cannot be read" in ended.stderr
    assert len(records(tmp_path / "out")) == 2
    (made / "films/round.mp4").symlink_to("round.mp4")  # no film, but a caption may name it
    (tmp_path / "round.jsonl").write_text('{"path": "round.mp4", "caption": "a person turns."}')
    assert len(curate.read_film_captions(tmp_path / "round.jsonl", made / "films")) == 1
    (made / "films/round.mp4").unlink()
    for flags, fault in [
        (["--films=NOWHERE"], "NOWHERE is missing"),
        (["--captioner=oracle"], "a judge is gemini"),
        (["--captioner_url=http://localhost"], "say with --captioner who"),
        (["--config.limits.duration.least=9.0"], "none of the 9 films can be used"),
        (["--config.limits.duration.lest=9.0"], "--config.limits.duration.lest is unknown"),
        (["--captions=NOWHERE"], "NOWHERE is missing"),
    ]:
        ended = run(made, tmp_path / "refused", *flags)
        assert ended.returncode == 1 and fault in ended.stderr, ended.stderr
    assert not (tmp_path / "refused").exists()


class Teller:
    """A `VisionLanguageModel` that sees the same in every film."""

    name, at_once = "teller", 1
    server = preface = ""
    timeout: float | None = None

    def __init__(self, says):
        self.says = says

    def ask(self, question, video):
        return self.says


def test_a_long_film_is_split_at_its_cuts_and_its_parts_know_their_times(tmp_path):
    shots = ((40, 60), (200, 10), (90, 140), (30, 40))  # greys, frames: the third is too long
    path, motions, work = tmp_path / "long.mp4", tmp_path / "motions", tmp_path / "work"
    pictures = (np.full((32, 34, 3), grey, np.uint8) for grey, count in shots for _ in range(count))
    encode(pictures, path, fps=20)
    settings = FilterSettings(
        32, 2, 10, 2.0, 3, dict(duration=Range(2.5, 5.0), cut=Range(most=0.1))
    )

    def curated():
        takes = curate.curate(
            [path],
            settings,
            open_mocap(f"folder:{motions}", 1.0),
            work,
            captions={},
            captioner=Judge(Teller("Caption: A person stands."), tmp_path / "answers"),
            source="street",
            licence="unknown",
            workers=1,
            report=(report := curate.CurationReport()),
        )
        return takes, report.facts()

    motions.mkdir()
    takes, report = curated()
    assert takes == [] and report["left"] == {"no motion": 2}
    assert (report["films"], report["split"], report["clips"]) == (1, 1, 5)
    assert {
        clip.split("long.mp4 ")[1]: why.split()[0] for clip, why in report["clips_left"].items()
    } == {
        "from 0.00 s": "no",
        "from 3.00 s": "duration",
        "from 3.50 s": "no",
        "from 8.50 s": "duration",
        "from 10.50 s": "duration",
    }
    # Those that pass lie as films in the work folder, where other programs can read them.
    for clip, (grey, count) in zip(sorted(work.glob("*.mp4")), [(40, 60), (90, 100)], strict=True):
        seen = list(frames(open_film(clip)))
        assert len(seen) == count and seen[0].shape == (32, 34, 3)
        assert abs(seen[-1].mean() - grey) < 3
        motion = made_up_motion("walk", np.random.default_rng(grey), 46)
        formats.write(motion, motions / f"{clip.stem}.npz")
    takes, report = curated()
    assert report["kept"] == 2 and len({take.id for take in takes}) == 2
    times = [(take.film.address, take.film.start) for take in takes if take.film]
    assert times == [("long.mp4", 0.0), ("long.mp4", 3.5)]
    # Where the work folder lies among the films, they are no films of their own.
    assert curate.find_films(tmp_path, work) == ([path], tmp_path)


@pytest.mark.parametrize(
    "says, caption", [("It stands. Caption: A person stands.", True), ("?", False)]
)
def test_films_without_a_caption_are_told_of_by_a_model(made, tmp_path, says, caption):
    report = curate.CurationReport()
    takes = curate.curate(
        [made / "films/unsaid.mp4"],
        FilterSettings(32, 2, 10, 2.0, 3, dict(cut=Range(most=0.5))),
        open_mocap(f"folder:{made / 'motions'}", 1.0),
        tmp_path,
        captions={},
        captioner=Judge(Teller(says), tmp_path / "answers"),
        source="street",
        licence="unknown",
        workers=1,
        report=report,
    )
    assert [take.caption for take in takes] == ["A person stands."] * caption
    assert report.facts()["left"] == ({} if caption else {"no caption": 1})
    told = f"{made / 'films/unsaid.mp4'}: the answer holds no caption"
    assert report.facts()["told"] == ([] if caption else [told])


class Stands:
    """A `VideoToMotion` that reads the same of every film."""

    def __init__(self):
        self.settings = dict(name="stands")

    def given(self, name):
        return ""

    def __call__(self, name, film, folder):
        return Captured(made_up_motion("walk", np.random.default_rng(0), 46), dict(start=0.0))


def test_a_film_of_another_name_is_read_as_that(tmp_path):
    film = tmp_path / "old.mp4"
    film.write_bytes(b"a film")
    capture = Cached(curate.Capture(Stands()), tmp_path)
    for name in ("old.mp4", "new.mp4"):
        (file,) = capture(film := film.rename(tmp_path / name)).files
        assert read_provenance(file)["film"]["address"] == name


def test_what_a_program_takes_is_counted(tmp_path):
    film, result = tmp_path / "a.mp4", tmp_path / "result.npz"
    film.write_bytes(b"a film")
    formats.write(made_up_motion("walk", np.random.default_rng(0), 46), result)
    program = tmp_path / "program.py"
    program.write_text(
        "import shutil, sys, time\nwhile time.process_time() < 0.5:\n    pass\n"
        f"shutil.copy({str(result)!r}, sys.argv[2])\n"
    )
    reader = open_mocap(f"command:{sys.executable} {program} {{video}} {{out}}", 60.0, 20.0)
    (tmp_path / "work").mkdir()
    assert Cached(curate.Capture(reader), tmp_path / "work")(film).facts["took"] >= 0.4


def test_the_caption_is_read_out_of_an_answer():
    assert DESCRIBE.read('They wave.\n**Caption:** "a person waves."') == "a person waves."
    assert DESCRIBE.read("I cannot see it. Caption:") is None
