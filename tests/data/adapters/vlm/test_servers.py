"""Judges behind servers: what they send, and what they make of each failure."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from data.adapters.vlm import open_model
from data.adapters.vlm.chat import Chat
from data.adapters.vlm.frames import frames
from data.adapters.vlm.gemini import Gemini
from data.adapters.vlm.model import Unanswered, Unwatchable
from tests.helpers.judge_server import GEMINI_KEY, OPENAI_KEY, closed_port
from vimogen_jax.errors import BadInput


def gemini(url, timeout=30.0):
    return Gemini("tiny", url, timeout)


def chat(url, timeout=30.0):
    return Chat("tiny", f"{url}/v1", timeout)


@pytest.fixture(params=[gemini, chat])
def judge(request, server):
    return request.param(server.url)


def test_a_judge_knows_its_server_but_not_by_its_secrets(server):
    host = server.url.removeprefix("http://")
    assert chat(f"http://me:secret@{host}").server == f"{server.url}/v1"
    assert gemini(f"http://me:secret@{host}/?key=secret").server == server.url
    assert gemini(None).server == ""


def test_frames_are_five_a_second(video):
    greys = [np.asarray(picture).mean() for picture in frames(video)]
    np.testing.assert_allclose(greys, np.arange(0, 30, 4) * 4, atol=3)


def test_a_damaged_video_is_named(video):
    content = video.read_bytes()
    for damaged in (b"", content[:100], b"no video"):
        video.write_bytes(damaged)
        with pytest.raises(Unwatchable, match=r"motion\.mp4 is damaged, or no video"):
            frames(video)


def test_gemini_gets_the_video(server, video):
    assert gemini(server.url).ask("What is it?", video) == "Answer: yes"
    (request,), (headers,) = server.requests, server.headers
    assert request["path"].endswith("/models/tiny:generateContent")
    (content,) = request["contents"]
    text, seen = content["parts"]
    assert text == {"text": "What is it?"}
    assert base64.urlsafe_b64decode(seen["inlineData"]["data"]) == video.read_bytes()
    assert "video/mp4" in seen["inlineData"].values()
    assert seen["videoMetadata"] == {"fps": 5}
    assert headers["x-goog-api-key"] == GEMINI_KEY


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.webm", "video/webm"), ("a.MOV", "video/quicktime"), ("a.mpeg", "video/mpeg")],
)
def test_gemini_is_told_what_kind_of_video_it_gets(server, video, name, kind):
    model = gemini(server.url)
    model.ask("What is it?", video.rename(video.with_name(name)))
    (content,) = server.requests[0]["contents"]
    assert kind in content["parts"][1]["inlineData"].values()
    for name in ("a.txt", "a"):
        with pytest.raises(Unwatchable, match="no video by its name"):
            model.ask("What is it?", video.with_name(name))
    assert len(server.requests) == 1


def test_chat_gets_pictures(server, video):
    assert chat(server.url).ask("What is it?", video) == "Answer: yes"
    (request,), (headers,) = server.requests, server.headers
    assert (request["path"], request["model"]) == ("/v1/chat/completions", "tiny")
    (message,) = request["messages"]
    text, *parts = message["content"]
    assert text["text"].endswith("5 a second.\nWhat is it?")
    urls = [part["image_url"]["url"].split(",") for part in parts]
    assert {start for start, _ in urls} == {"data:image/jpeg;base64"}
    pictures = [Image.open(io.BytesIO(base64.b64decode(content))) for _, content in urls]
    assert len(pictures) == 8 and {picture.size for picture in pictures} == {(32, 32)}
    assert headers["authorization"] == f"Bearer {OPENAI_KEY}"


@pytest.mark.parametrize(
    ("turn", "passing"),
    [(429, True), (500, True), (503, True), (400, False), (413, False), ("withheld", False)]
    + [(turn, True) for turn in ("half", "torn", "empty")],
)
def test_a_failure_is_one_questions(judge, server, video, turn, passing):
    server.turns = [turn]
    with pytest.raises(Unanswered) as raised:
        judge.ask("What is it?", video)
    assert raised.value.retryable is passing and str(raised.value)
    assert judge.ask("What is it?", video) == "Answer: yes"


@pytest.mark.parametrize("status", [429, 500])
@pytest.mark.parametrize("error", ["slow down", None, 5, {"details": ["a"]}, {"details": {}}])
def test_errors_that_are_none_of_the_protocol(judge, server, video, status, error):
    server.turns = [(status, {"error": error})]
    with pytest.raises(Unanswered) as raised:
        judge.ask("What is it?", video)
    assert raised.value.retryable and raised.value.retry_after is None


NONSENSE = [
    *(5, [], {}, None, "yes"),
    *({key: value} for key in ("candidates", "choices") for value in (5, "yes", [5], [{}])),
    *({"choices": [{"message": {"content": content}}]} for content in (5, True, [{"text": "a"}])),
]


@pytest.mark.parametrize("body", NONSENSE)
def test_answers_that_are_none_of_the_protocol(judge, server, video, body):
    server.turns = [(200, body)]
    with pytest.raises(Unanswered) as raised:
        judge.ask("What is it?", video)
    assert raised.value.retryable


@pytest.mark.parametrize("make", [gemini, chat])
def test_a_server_that_hangs_is_left(make, server, video):
    server.turns = ["hang"]
    with pytest.raises(Unanswered, match="timed out") as raised:
        make(server.url, 0.3).ask("What is it?", video)
    assert raised.value.retryable


def test_the_server_says_how_long_to_wait(judge, server, video):
    server.turns = [429]
    server.refusal = {"details": [{"@type": "RetryInfo", "retryDelay": "7.5s"}]}
    server.refusal_headers = {"Retry-After": "7"}
    with pytest.raises(Unanswered) as raised:
        judge.ask("What is it?", video)
    assert raised.value.retry_after in (7.0, 7.5)
    for delay, header in (("soon", "soon"), ("0s", "0"), ("infs", "inf")):
        server.turns = [429]
        server.refusal = {"details": [{"retryDelay": delay}]}
        server.refusal_headers = {"Retry-After": header}
        with pytest.raises(Unanswered) as raised:
            judge.ask("What is it?", video)
        assert raised.value.retry_after is None


@pytest.mark.parametrize(
    ("status", "fault"), [(401, "refuses the key in"), (403, "key"), (404, "no model 'tiny'")]
)
def test_a_wrong_key_or_model_ends_it(judge, server, video, status, fault):
    server.turns = [status]
    with pytest.raises(BadInput, match=fault):
        judge.ask("What is it?", video)


def test_other_words_for_no(server, video):
    # Google calls a wrong key an invalid argument, OpenAI an empty purse too many requests.
    server.turns = [400, 429]
    server.refusal = {"details": [{"reason": "API_KEY_INVALID"}], "code": "insufficient_quota"}
    with pytest.raises(BadInput, match="refuses the key in GOOGLE_API_KEY"):
        gemini(server.url).ask("What is it?", video)
    with pytest.raises(BadInput, match="quota"):
        chat(server.url).ask("What is it?", video)


def test_keys_are_in_no_words(judge, server, video):
    server.refusal = {"message": f"wrong: {GEMINI_KEY} {OPENAI_KEY}"}
    key = GEMINI_KEY if isinstance(judge, Gemini) else OPENAI_KEY
    for status in (400, 401, 404, 429):
        server.turns = [status]
        with pytest.raises((Unanswered, BadInput)) as raised:
            judge.ask("What is it?", video)
        assert key not in str(raised.value)
        assert raised.value.__suppress_context__
    server.turns = [f"You sent {key}. Answer: yes"]
    assert judge.ask("What is it?", video) == "You sent [key]. Answer: yes"
    assert key not in judge.name


@pytest.mark.parametrize(
    ("make", "name", "key"),
    [(gemini, "GEMINI_API_KEY", GEMINI_KEY), (chat, "OPENAI_API_KEY", OPENAI_KEY)],
)
def test_a_key_that_is_none_is_not_told(make, name, key, server, video, monkeypatch):
    monkeypatch.setenv(name, f" {key}\n")  # as files of settings have it
    assert make(server.url).ask("What is it?", video) == "Answer: yes"
    for wrong in (f"{key}\nmore", f"{key} more", f"{key}ü"):
        monkeypatch.setenv(name, wrong)
        with pytest.raises(BadInput, match=f"{name} in the environment is no key") as raised:
            make(server.url)
        assert key not in str(raised.value)


@pytest.mark.parametrize("make", [gemini, chat])
def test_nobody_listens(make, server, video):
    with pytest.raises(Unanswered, match="refused") as raised:
        make(f"http://127.0.0.1:{closed_port()}").ask("What is it?", video)
    assert raised.value.retryable


def test_judges_by_name(server, monkeypatch):
    assert open_model("gemini").name == "gemini:gemini-2.5-flash"
    assert open_model("gemini:gemini-3-pro").name == "gemini:gemini-3-pro"
    assert open_model("openai:org/model:tag", server.url).name == "openai:org/model:tag"
    for form in ("openai", "oracle:x", "", "qwen:"):
        with pytest.raises(BadInput, match="a judge is gemini"):
            open_model(form)
    for url in ("localhost:8000/v1", "http://[::1", "http://", "http://host:port/v1"):
        with pytest.raises(BadInput, match="address is such as"):
            open_model("openai:tiny", url)
    with pytest.raises(BadInput, match="takes no address"):
        open_model("qwen:tiny", server.url)
    monkeypatch.delenv("OPENAI_API_KEY")
    assert open_model("openai:tiny", server.url).name == "openai:tiny"
    with pytest.raises(BadInput, match="OPENAI_API_KEY"):
        open_model("openai:tiny")
    monkeypatch.delenv("GEMINI_API_KEY")
    with pytest.raises(BadInput, match="GOOGLE_API_KEY or GEMINI_API_KEY"):
        open_model("gemini")
