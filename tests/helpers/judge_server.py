"""A judge on loopback: Gemini's and OpenAI's protocols, failures as told, and secret keys."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

GEMINI_KEY, OPENAI_KEY = "secret-of-gemini", "secret-of-openai"

# A turn: the words of an answer, or how to fail: an HTTP status, or one of
# "half" (the connection ends amid the body), "torn" (JSON that ends early), "hang", "drip" (a byte
# at a time, without an end in sight), "empty", or
# "withheld" (empty for a reason); or a status and a body that need not be of the protocol.
Turn = str | int | tuple[int, Any]
FAILURES = ("half", "torn", "hang", "drip", "empty", "withheld")


class Server:
    """What was asked, as parsed requests, and what is answered: turns first, then `answer`."""

    def __init__(self):
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.turns: list[Turn] = []
        self.answer: Callable[[dict[str, Any]], Turn] = lambda request: "Answer: yes"
        self.refusal: dict[str, Any] = {}  # more of the body of an error
        self.refusal_headers: dict[str, str] = {}
        self.url = ""
        self.ended = threading.Event()
        self._lock = threading.Lock()

    def turn(self, request: dict[str, Any], headers: dict[str, str]) -> Turn:
        with self._lock:
            self.requests.append(request)
            self.headers.append(headers)
            if self.turns:
                return self.turns.pop(0)
        return self.answer(request)


@contextmanager
def serving() -> Iterator[Server]:
    """A server on a free port of loopback, for as long as the context lasts."""
    server = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        http.shutdown()
        thread.join()
        http.server_close()


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            gemini = ":generateContent" in self.path
            turn = server.turn(request | {"path": self.path}, dict(self.headers))
            if turn == "hang":
                server.ended.wait(30)
                self.close_connection = True
                return
            if isinstance(turn, tuple):
                status, body = turn
                self._send(status, body, {})
                return
            if isinstance(turn, int):
                error = {"code": turn, "message": "refused", "status": "REFUSED"} | server.refusal
                self._send(turn, {"error": error}, server.refusal_headers)
                return
            words = "" if turn in FAILURES else turn
            body = (_gemini if gemini else _openai)(words, turn == "withheld")
            self._send(200, body, {}, cut=turn)

        def _send(self, status: int, body: Any, headers: dict[str, str], cut: Turn = "") -> None:
            content = json.dumps(body).encode()
            whole = len(content)
            if cut in ("half", "torn"):
                content = content[: whole // 2]
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content) if cut == "torn" else whole))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if cut == "drip":
                content = self._drip(content)
            self.wfile.write(content)
            self.close_connection = cut == "half"

        def _drip(self, content: bytes) -> bytes:
            with suppress(OSError):  # who asked has gone
                for place in range(len(content)):
                    if server.ended.wait(0.1):
                        break
                    self.wfile.write(content[place : place + 1])
                    self.wfile.flush()
            self.close_connection = True
            return b""

        def log_message(self, format, *args):
            pass

    return Handler


def _gemini(words: str, withheld: bool) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": words}] if words else []}
    reason = "SAFETY" if withheld else "STOP"
    return {"candidates": [{"content": content, "finishReason": reason, "index": 0}]}


def _openai(words: str, withheld: bool) -> dict[str, Any]:
    message = {"role": "assistant", "content": words}
    reason = "content_filter" if withheld else "stop"
    return {
        "id": "1",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": "tiny",
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
    }


def closed_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.delenv("GOOGLE_API_KEY", raising=False)
    monkeypatch.setenv("GEMINI_API_KEY", GEMINI_KEY)
    monkeypatch.setenv("OPENAI_API_KEY", OPENAI_KEY)
    with serving() as server:
        yield server
