"""The way from sentences to gated motions as commands: what they write, refuse and leave out."""

import dataclasses
import json
import sys

import pytest

from tests.helpers.commands import run_command
from tests.helpers.judge_server import OPENAI_KEY, server  # noqa: F401, a fixture
from tests.helpers.tiny_package import tiny_package
from tests.helpers.videos import write_video
from vimogen_jax import formats
from vimogen_jax.formats.provenance import read_provenance
from vimogen_jax.package import save_package
from vimogen_jax.text.encoder import load_text_encoder
from vimogen_jax.text.spec import EncoderSpec

ANSWERS = {"waves": "They wave. Answer: yes", "walks": "They sit. Answer: no", "bows": 500}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    spec = EncoderSpec.of(load_text_encoder("minilm"))
    folder = tmp_path_factory.mktemp("checkpoint")
    package = tiny_package(text_encoder=dataclasses.asdict(spec), text_dim=spec.width)
    save_package(folder, package)
    return folder


@pytest.fixture
def films(tmp_path):
    (tmp_path / "films").mkdir()
    for i in range(1, 4):
        write_video(tmp_path / f"films/{i}.mp4", i)
    return tmp_path / "films"


def priors(*arguments):
    return run_command("priors", *arguments)


def write_prompts(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text("a person waves.\na person walks.\na person bows.\n")
    return path


@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        (["--prompts=NOWHERE"], "NOWHERE is missing"),
        (["--video=painted"], "films come from rendered"),
        (["--video=none"], "motions come from --mocap=folder:DIR"),
        (["--mocap=guessed"], "motions are read by embedded"),
        (["--judge=oracle"], "a judge is gemini"),
        (["--judge=gemini"], "needs a key in the environment"),
        (["--judge_url=http://localhost"], "say with --judge who it is"),
        (["--checkpoint=NOWHERE"], "NOWHERE"),
        (["--video=wan:2.1-1.3b"], "wan needs diffusers"),
    ],
)
def test_bad_input(flags, fault, tmp_path, monkeypatch):
    for key in ("GOOGLE_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setitem(sys.modules, "diffusers", None)
    video = (
        []
        if any("video" in flag or "checkpoint" in flag for flag in flags)
        else [f"--video=command:{sys.executable} {{prompt}} {{out}}"]
    )
    common = "--prompts", write_prompts(tmp_path), "--out", tmp_path / "out"
    ended = priors(*common, *video, *flags)
    assert ended.returncode == 1
    (sentence,) = ended.stderr.strip().splitlines()
    assert sentence.startswith("error: ") and fault in sentence
    assert not (tmp_path / "out").exists()


def test_a_judge_decides_and_the_rest_follows_the_text(server, films, checkpoint, shared, tmp_path):  # noqa: F811
    server.answer = lambda request: next(
        answer for word, answer in ANSWERS.items() if word in json.dumps(request)
    )
    result = shared / "priors/ingest/hmr4d_results.pt"
    (tmp_path / "read.py").write_text(
        f"import shutil, sys\nshutil.copy({str(result)!r}, sys.argv[2])\n"
    )
    out = tmp_path / "priors"
    said = [
        *("--prompts", write_prompts(tmp_path), "--out", out, f"--video=folder:{films}"),
        f"--mocap=command:{sys.executable} {tmp_path / 'read.py'} {{video}} {{out}}",
        *("--judge=openai:tiny", f"--judge_url={server.url}/v1", "--looks_at=video"),
    ]
    server.refusal = {"code": "insufficient_quota"}  # else it would be asked again and again
    ANSWERS["bows"] = "withheld"
    ended = priors(*said)
    assert ended.returncode == 2, ended.stderr
    report = json.loads((out / "report.json").read_text())
    assert report["verdicts"] == {"yes": 1, "no": 1, "not judged": 1}
    assert report["stages"]["verdict"]["failed"] == 1
    assert "1 yes, 1 no, 1 not judged" in ended.stdout
    page = (out / "index.html").read_text()
    assert page.count("<video") == 3 and "verdict: yes, They wave." in page
    asked = len(server.requests)
    assert priors(*said).returncode == 2 and len(server.requests) == asked
    files = [path for path in out.rglob("*") if path.is_file()]
    assert not any(OPENAI_KEY.encode() in path.read_bytes() for path in files)
    films.rename(tmp_path / "away")  # they are in the store

    ended = run_command("sample", "--priors", out, "--checkpoint", checkpoint)
    assert ended.returncode == 0, ended.stderr
    assert "waves-0 follows the reference; verdict: yes, They wave." in ended.stdout
    assert "walks-0 follows the text; verdict: no, They sit." in ended.stdout
    assert "bows-0 follows the text; verdict: not judged, verdict: an empty" in ended.stdout
    waves = out / "motions/a-person-waves-0.npz"
    assert formats.read(waves).num_frames == 60
    assert formats.read(out / "motions/a-person-walks-0.npz").num_frames == 100
    assert read_provenance(waves)["gate"]["follows"] == "the reference"
    page = (out / "motions/index.html").read_text()
    assert page.count("<figure") == 6 and page.count('src="../') == 3
    assert run_command("sample", "walk", "--priors", out).returncode == 1

    (tmp_path / "away").rename(films)
    # The folder's own page has sentence, film, reference, verdict and final motion, and keeps it.
    for _ in range(2):
        page = (out / "index.html").read_text()
        assert page.count("<figure") == 6 and page.count("<video") == 3
        assert page.count("final motion, follows the text") == 2
        assert page.index("verdict: yes") < page.index("final motion, follows the reference")
        assert priors(*said).returncode == 2
    assert json.loads((out / "report.json").read_text())["stages"]["motion"]["made"] == 3

    # Of a folder that is damaged in part the rest is sampled.
    next(out.glob("*/prompt.json")).write_text("{")
    some = "--out", tmp_path / "some", "--formats=npz"
    ended = run_command("sample", "--priors", out, "--checkpoint", checkpoint, *some)
    assert ended.returncode == 2 and "left out: " in ended.stderr, ended.stderr
    assert len(list((tmp_path / "some").iterdir())) == 2


@pytest.mark.slow  # films are drawn and read
def test_without_network_gpu_or_key(tmp_path):
    prompts, out = write_prompts(tmp_path), tmp_path / "priors"
    ended = priors("--prompts", prompts, "--out", out, "--seconds=2")
    assert ended.returncode == 0, ended.stderr
    report = json.loads((out / "report.json").read_text())
    assert report["stages"]["verdict"]["made"] == 3 and "adds no knowledge" in ended.stdout
    assert "adds no knowledge" in (out / "index.html").read_text()
    ended = run_command("sample", "--priors", out)
    assert ended.returncode == 0 and "adds no knowledge" in ended.stdout, ended.stderr
