"""A language model as the writer of texts: what it is asked, and what is made of each answer."""

import json

import pytest

from data.adapters.llm import open_writer, writer
from data.adapters.llm.writer import ChatWriter
from data.adapters.vlm.chat import Chat
from tests.helpers.judge_server import server  # noqa: F401, a fixture
from vimogen_jax.errors import BadInput

TEXTS = dict(motion="The arms rise.", video="Full-body shot, stable camera, a man waves.")


def write(server, *turns):  # noqa: F811
    server.turns = list(turns)
    return ChatWriter(Chat("tiny", f"{server.url}/v1"), wait=0.0)(["a person waves."])[0]


def test_two_texts_of_a_sentence(server):  # noqa: F811
    said = write(server, f"Here: ```json\n{json.dumps(TEXTS)}\n```")
    assert said == (TEXTS["motion"], TEXTS["video"])
    (request,) = server.requests
    assert "a person waves." in request["messages"][0]["content"]


@pytest.mark.parametrize(
    ("turns", "fault"),
    [
        (["I cannot."], "not the two texts: I cannot."),
        (['{"motion": 1, "video": "a"}'], "not the two texts"),
        ([json.dumps(TEXTS | {"video": "walk " * 2000})], "not the two texts"),
        ([503, 503, 503], "does not answer"),
        (["withheld"], "does not answer: an empty answer"),
    ],
)
def test_answers_that_are_no_texts(turns, fault, server):  # noqa: F811
    said = write(server, *turns)
    assert isinstance(said, BadInput) and fault in str(said)
    assert len(server.requests) == len(turns)


def test_it_is_asked_again_where_that_may_help(server):  # noqa: F811
    assert write(server, 503, json.dumps(TEXTS)) == (TEXTS["motion"], TEXTS["video"])


def test_it_waits_twice_as_long_before_each_next_try(server, monkeypatch):  # noqa: F811
    waits = []
    monkeypatch.setattr(writer.time, "sleep", waits.append)
    server.turns = [503] * writer.TRIES
    ChatWriter(Chat("tiny", f"{server.url}/v1"), wait=2.0)(["a person waves."])
    assert waits == [2.0, 4.0]


def test_a_server_that_drips_has_a_time_limit_on_the_whole_answer(server):  # noqa: F811
    server.turns = ["drip"] * writer.TRIES
    (said,) = ChatWriter(Chat("tiny", f"{server.url}/v1", 0.3), wait=0.0)(["a person waves."])
    assert "does not answer: no whole answer in 0.3 s" in str(said)


def test_a_wrong_key_ends_the_run(server):  # noqa: F811
    with pytest.raises(BadInput, match="refuses the key"):
        write(server, 401)


def test_who_cannot_write(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert open_writer("template") is None
    for form in ("openai", "gemini:x", ""):
        with pytest.raises(BadInput, match="texts are written by"):
            open_writer(form)
    with pytest.raises(BadInput, match="needs OPENAI_API_KEY"):
        open_writer("openai:gpt")
    with pytest.raises(BadInput, match="a server's address is such as http"):
        open_writer("openai:gpt", "localhost:8000")
    with pytest.raises(BadInput, match="the template asks no server"):
        open_writer("template", "http://localhost:8000/v1")
