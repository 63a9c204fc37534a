"""A studio with a tiny model, served in a thread of the test."""

import contextlib
import threading
import time

import uvicorn

from tests.helpers.tiny_package import tiny_generator
from vimogen_jax.studio.server import application
from vimogen_jax.studio.work import Workshop


@contextlib.contextmanager
def tiny_workshop():
    """A workshop whose one model is tiny and goes by the shipped one's name."""
    with tiny_generator() as generator:
        yield Workshop({"small": generator}, "vimogen ")


@contextlib.contextmanager
def served(workshop, folder, token=None):
    """The address of a studio that runs in a thread."""
    config = uvicorn.Config(lambda: None, port=0, log_level="critical")
    server = uvicorn.Server(config)
    sockets = [config.bind_socket()]
    port = sockets[0].getsockname()[1]
    config.app = application(workshop, [f"127.0.0.1:{port}"], token, folder)
    thread = threading.Thread(target=server.run, args=(sockets,))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
        sockets[0].close()
