"""The judged dimensions: what counts, what does not, and the command that asks."""

import dataclasses
import json

import numpy as np
import pytest

from data.adapters.vlm.chat import Chat
from data.adapters.vlm.judge import Judge
from eval.mbench import judged
from eval.mbench.judged import judged_dimensions, workload
from eval.mbench.prompts import MBenchPrompt
from eval.mbench.scoring import evaluate, is_whole
from eval.systems import Clip, System
from tests.helpers.commands import run_command
from tests.helpers.judge_server import OPENAI_KEY
from tests.helpers.made_up import made_up_motion
from tests.helpers.videos import write_video
from vimogen_jax import formats
from vimogen_jax.errors import BadInput
from vimogen_jax.motion.motion import Motion

OTHERS = tuple(f"a person does thing {n}." for n in range(9))
PROMPTS = {
    id: MBenchPrompt(id, "consistency", f"a person walks {id} steps.", 2.5, distractors=OTHERS)
    for id in range(3)
} | {id: MBenchPrompt(id, "generalizability", f"walking {id} steps", 2.5) for id in range(3, 7)}


def text_of(request):
    return request["messages"][0]["content"][0]["text"]


def number(request, text):
    """Of a text in the list of a question."""
    (line,) = (line for line in text_of(request).splitlines() if line.endswith(f". {text}"))
    return line.split(".")[0]


def judge(server, folder):
    return Judge(Chat("tiny", f"{server.url}/v1"), folder / "answers")


@pytest.fixture
def system():
    clips = {id: Clip(f"{id}.npy", np.zeros((50, 22, 3), np.float32)) for id in PROMPTS}
    return System("ours", clips, [], {})


@pytest.fixture
def drawn(monkeypatch):
    """Greys instead of people; -> the ids whose videos were drawn, as they are."""
    ids = []

    def render(clips, folder):
        folder.mkdir(exist_ok=True)
        ids.extend(clips)
        return {id: write_video(folder / f"{id}.mp4", shade=8 * id) for id in clips}

    monkeypatch.setattr(judged, "render", render)
    return ids


def test_right_wrong_and_neither(server, system, drawn, tmp_path):
    def answer(request):
        text = text_of(request)
        if PROMPTS[0].text in text:
            return f"It walks. Answer: {number(request, PROMPTS[0].text)}"
        if PROMPTS[1].text in text:
            return f"Answer: {number(request, OTHERS[4])}"
        if PROMPTS[3].text in text:
            return "Answer: yes"
        if PROMPTS[4].text in text:
            return "Answer: no"
        return "I like turtles." if PROMPTS[5].text in text else 400

    server.answer = answer
    columns = judged_dimensions(judge(server, tmp_path), tmp_path)
    report = evaluate([system], PROMPTS, columns)
    consistency, generalizability = report["systems"]["ours"]["scores"].values()
    assert consistency["values"] == {"0": 1.0, "1": 0.0} and consistency["mean"] == 0.5
    assert consistency["unscored"]["2"].startswith("unanswered: Error code: 400")
    assert consistency["words"]["1"].startswith(f"Chose {OTHERS[4]!r}. Answer: ")
    assert consistency["counts"] == dict(known=0, asked=3, failed=1, unanswered=1, unreadable=0)
    assert generalizability["values"] == {"3": 1.0, "4": 0.0}
    assert generalizability["unscored"]["5"] == "unreadable answer: I like turtles."
    assert generalizability["counts"]["unreadable"] == 1
    assert generalizability["videos"]["4"] == "videos/4.mp4"
    assert not is_whole(report) and drawn == list(PROMPTS)
    assert json.loads(json.dumps(report)) == report
    assert "7 motions, 18 s in all, 88 frames" in workload([system], PROMPTS)

    asked = len(server.requests)
    server.answer = lambda request: "Answer: yes"
    report = evaluate([system], PROMPTS, columns)
    # What was answered stands, nonsense too; what was not is asked now: a number is wanted there.
    scores = report["systems"]["ours"]["scores"]
    assert scores["consistency"]["values"] == consistency["values"]
    assert scores["generalizability"]["values"] == {"3": 1.0, "4": 0.0, "6": 1.0}
    assert len(server.requests) == asked + 3


def test_a_wrong_key_shows_before_all_is_drawn(server, system, drawn, tmp_path):
    server.answer = lambda request: 401
    with pytest.raises(BadInput, match="refuses the key"):
        evaluate([system], PROMPTS, judged_dimensions(judge(server, tmp_path), tmp_path))
    assert (drawn, len(server.requests)) == ([0], 1)


def test_without_a_judge_nothing_is_made_up(system, tmp_path):
    report = evaluate([system], PROMPTS, judged_dimensions(None, tmp_path))
    for dimension in report["dimensions"]:
        assert "openai:MODEL" in dimension["note"]
        assert report["systems"]["ours"]["scores"][dimension["name"]]["mean"] is None
    assert is_whole(report) and not any(tmp_path.iterdir())


def test_the_command(server, tmp_path):
    prompts = [PROMPTS[0], PROMPTS[3]]
    lines = [json.dumps(dataclasses.asdict(prompt)) for prompt in prompts]
    (tmp_path / "prompts.jsonl").write_text("\n".join(lines))
    (tmp_path / "motions").mkdir()
    rng = np.random.default_rng(0)
    for prompt in prompts:
        walk = made_up_motion("walk", rng)
        short = Motion(walk.rotations[:8], walk.transl[:8], walk.fps)  # eight frames to draw
        formats.write(short, tmp_path / "motions" / f"{prompt.id}.npz")
    server.turns = [500, "half"]
    server.answer = lambda request: (
        f"{OPENAI_KEY}. Answer: yes"
        if '"Answer: yes"' in text_of(request)
        else f"Answer: {number(request, PROMPTS[0].text)}"
    )
    out = tmp_path / "out"
    ended = run_command(
        *("mbench", f"--motions={tmp_path / 'motions'}"),
        *("--judge=openai:tiny", f"--judge_url={server.url}/v1"),
        *(f"--prompts={tmp_path / 'prompts.jsonl'}", f"--out={out}"),
    )
    assert ended.returncode == 0, ended.stderr
    assert "to judge: 2 motions" in ended.stdout
    report = json.loads((out / "report.json").read_text())
    scores = report["systems"]["ours"]["scores"]
    assert [scores[name]["mean"] for name in ("consistency", "generalizability")] == [1.0, 1.0]
    assert scores["consistency"]["counts"]["failed"] == 2
    assert all((out / video).is_file() for video in scores["consistency"]["videos"].values())
    page = (out / "index.html").read_text()
    assert page.count("<video ") == 2 and "[key]. Answer: yes" in page
    written = [path for path in out.rglob("*") if path.is_file()]
    assert len(written) >= 7
    assert not any(OPENAI_KEY.encode() in path.read_bytes() for path in written)
    assert OPENAI_KEY not in ended.stdout + ended.stderr
