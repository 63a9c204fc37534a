"""A judge asked many questions: cached answers, retries, giving up, nothing asked twice."""

import dataclasses
import json
import signal
import subprocess
import sys
import threading
import time

import pytest

from data.adapters.vlm.chat import Chat
from data.adapters.vlm.judge import Item, Judge, Reply, RetryPolicy
from data.adapters.vlm.question import Question
from tests.helpers.judge_server import OPENAI_KEY
from tests.helpers.repository import ROOT
from tests.helpers.videos import write_video
from vimogen_jax.errors import BadInput

QUICK = RetryPolicy(tries=3, wait=0.001, longest=0.05)


@pytest.fixture
def model(server):
    return Chat("tiny", f"{server.url}/v1", 30.0)


def asking(text):
    return Question(f"Is it this? {text}", {"yes": "yes", "no": "no"}, "yes")


@pytest.fixture
def ask(model, video, tmp_path):
    """`ask(n)` asks the first n of twelve questions about one video."""

    def ask(count=12, retry=QUICK):
        items = [Item(asking(f"text {id}."), video) for id in range(count)]
        replies = Judge(model, tmp_path / "answers", retry)(items)
        return replies.items, replies.counts

    return ask


def text_of(request):
    return request["messages"][0]["content"][0]["text"]


def test_a_finished_run_asks_nothing(server, ask, capsys):
    server.answer = lambda request: f"{text_of(request)[-80:]} Answer: yes"
    replies, counts = ask()
    assert counts == dict(known=0, asked=12, failed=0, unanswered=0)
    assert len(server.requests) == 12
    again, counts = ask()
    assert again == replies and len(server.requests) == 12
    assert counts == dict(known=12, asked=0, failed=0, unanswered=0)
    assert capsys.readouterr().out.endswith("openai:tiny: 0 of 12 questions are to be asked\n")


def test_only_what_is_not_known_is_asked(server, ask, model, video, tmp_path):
    ask(5)
    assert ask()[1]["known"] == 5 and len(server.requests) == 12

    def count(*items):
        return Judge(model, tmp_path / "answers", QUICK)(items).counts["asked"]

    item = Item(asking("text 0."), video)
    other = write_video(tmp_path / "other.mp4", shade=40)
    assert count(dataclasses.replace(item, video=other)) == 1
    assert count(dataclasses.replace(item, question=asking("Really?"))) == 1
    for name, value in dict(name="openai:larger", server="https://b", preface="Look.\n").items():
        setattr(model, name, value)
        assert count(item) == 1
    # The same file by another name is the same video.
    assert count(*[dataclasses.replace(item, video=video.rename(tmp_path / "b.mp4"))] * 2) == 0


def test_a_damaged_answer_is_asked_anew(server, ask, tmp_path):
    replies, _ = ask(4)
    first, second, third, _ = sorted((tmp_path / "answers").iterdir())
    first.write_bytes(first.read_bytes()[:20])
    second.write_bytes(b"")
    third.write_text(json.dumps(json.loads(third.read_text()) | {"question": "another"}))
    again, counts = ask(4)
    assert again == replies and counts["asked"] == 3
    assert ask(4)[1]["asked"] == 0


def test_failures_are_retried_and_counted(server, ask):
    server.turns = [429, 500, "half", "torn", "empty"]
    replies, counts = ask()
    assert replies == [Reply("Answer: yes")] * 12
    assert counts == dict(known=0, asked=12, failed=5, unanswered=0)


def test_what_stays_unanswered_is_told_and_asked_again_next_time(server, ask, capsys):
    bad = lambda request: 500 if "text 3." in text_of(request) else "Answer: no"
    server.answer = bad
    replies, counts = ask()
    assert "1 got no answer, the first: Error code: 500" in capsys.readouterr().out
    assert replies[3].text is None and "500" in replies[3].fault
    assert [reply.text for reply in replies].count("Answer: no") == 11
    assert counts == dict(known=0, asked=12, failed=3, unanswered=1)
    server.answer = lambda request: "Answer: yes"
    replies, counts = ask()
    assert replies[3] == Reply("Answer: yes") and counts["asked"] == 1


def test_what_cannot_pass_is_not_tried_again(server, ask):
    server.answer = lambda request: 400
    _, counts = ask(4)
    assert counts == dict(known=0, asked=4, failed=4, unanswered=4)


def test_nonsense_is_asked_for_once_more_and_then_stands(server, ask):
    server.turns = ["I like turtles."]
    assert ask(1)[0] == [Reply("Answer: yes")]
    server.answer = lambda request: "I like turtles."
    assert ask(2)[0] == [Reply("Answer: yes"), Reply("I like turtles.")]
    assert len(server.requests) == 4
    ask(2)
    assert len(server.requests) == 4


def test_all_wait_when_the_server_says_so(server, ask):
    server.turns, server.refusal_headers = [429], {"Retry-After": "1"}
    start = time.monotonic()
    _, counts = ask(2, RetryPolicy(tries=2, wait=60.0, longest=0.3))
    assert 0.3 <= time.monotonic() - start < 30
    assert counts["failed"] == 1 and counts["unanswered"] == 0


def test_a_dead_server_is_given_up(server, ask):
    server.answer = lambda request: 503
    replies, counts = ask(12, RetryPolicy(tries=2, wait=0.001, give_up=3))
    assert counts["unanswered"] == 12
    not_asked = [reply for reply in replies if reply.fault.startswith("not asked")]
    assert 1 <= len(not_asked) <= 9 and len(server.requests) <= 2 * 11


def test_a_video_that_cannot_be_read_is_its_own_items_fault(server, model, video, tmp_path):
    items = [Item(asking(f"text {id}."), tmp_path / f"none-{id}.mp4") for id in range(12)]
    for item in items[1:]:
        item.video.write_bytes(b"no video")
    judge = Judge(model, tmp_path / "answers", RetryPolicy(tries=2, wait=0.001, give_up=3))
    replies = judge([*items, Item(asking("whole"), video)])
    assert replies.items[-1] == Reply("Answer: yes")
    assert "none-0.mp4 cannot be read: No such file" in replies.items[0].fault
    faults = [reply.fault for reply in replies.items[1:12]]
    assert all(f"none-{n}.mp4 is damaged" in fault for n, fault in enumerate(faults, 1))
    assert replies.counts["unanswered"] == 12 and len(server.requests) == 1


def test_a_wrong_key_ends_at_once_and_keeps_what_was_answered(server, ask, tmp_path):
    server.turns = ["Answer: yes"] * 2
    server.answer = lambda request: 401
    with pytest.raises(BadInput, match="refuses the key"):
        ask()
    assert len(server.requests) <= 2 + 8
    server.answer = lambda request: "Answer: yes"
    assert ask()[1]["known"] == 2


def test_a_server_that_drips_has_a_time_limit_on_the_whole_answer(server, ask, model):
    model.timeout = 0.5
    server.answer = lambda request: "drip"
    start = time.monotonic()
    replies, counts = ask(2, RetryPolicy(tries=2, wait=0.001))
    assert time.monotonic() - start < 5
    assert [reply.fault for reply in replies] == ["no whole answer in 0.5 s"] * 2
    assert counts == dict(known=0, asked=2, failed=4, unanswered=2)


DRIPPED = """
import signal, sys
from pathlib import Path
from data.adapters.vlm.chat import Chat
from data.adapters.vlm.judge import Item, Judge, RetryPolicy
from data.adapters.vlm.question import Question
from launch import cli
def main():
    url, video, cache = sys.argv[1:]
    model = Chat("tiny", url)
    questions = [Question(f"Is it {id}?", {"yes": "yes"}, "yes") for id in range(12)]
    items = [Item(question, Path(video)) for question in questions]
    Judge(model, Path(cache), RetryPolicy(grace=0.5))(items)
argv, sys.argv[1:] = sys.argv[1:], []
def start():
    sys.argv[1:] = argv
    main()
cli.run(start)
"""


def test_the_first_ctrl_c_ends_it_and_what_was_answered_is_kept(server, video, tmp_path):
    server.answer = lambda request: "drip" if " 7?" in text_of(request) else "Answer: yes"
    arguments = [f"{server.url}/v1", str(video), str(tmp_path / "answers")]
    with subprocess.Popen([sys.executable, "-c", DRIPPED, *arguments], cwd=ROOT) as process:
        answers = tmp_path / "answers"
        until = time.monotonic() + 600
        while len(list(answers.glob("*.json"))) < 11 and time.monotonic() < until:
            time.sleep(0.1)
        assert len(list(answers.glob("*.json"))) == 11
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=300) == 130


def test_several_at_once(server, ask):
    together = threading.Barrier(8, timeout=20)
    server.answer = lambda request: f"{together.wait()} Answer: yes"
    assert ask(8)[1]["unanswered"] == 0


def test_the_key_is_in_no_file(server, ask, tmp_path, capsys):
    server.turns = [429]
    server.refusal = {"message": f"{OPENAI_KEY} asks too much"}
    server.answer = lambda request: f"You are {OPENAI_KEY}. Answer: yes"
    replies, _ = ask(3, RetryPolicy(tries=1))
    files = list((tmp_path / "answers").iterdir())
    assert len(files) == 2 and {path.suffix for path in files} == {".json"}
    said = [*(path.read_text() for path in files), *map(str, replies), *capsys.readouterr()]
    assert not any(OPENAI_KEY in each for each in said)
    assert any("[key]" in each for each in said)
