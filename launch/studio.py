"""Open a page on this machine to type sentences into, and to see the motions as they are made.

python -m launch.studio
"""

import ipaddress
import secrets
import tempfile
import webbrowser
from pathlib import Path

from absl import flags

from launch import cli
from vimogen_jax.errors import BadInput

CHECKPOINT = flags.DEFINE_multi_string(
    "checkpoint", ["small"], "checkpoint package or run folder; may be repeated, to compare"
)
HOST = flags.DEFINE_string(
    "host", "127.0.0.1", "address to listen at; any other than this machine's own asks for a token"
)
PORT = flags.DEFINE_integer("port", 8000, "port to listen at", 1, 65535)
BROWSER = flags.DEFINE_bool("browser", True, "open the page in a browser")


def main() -> None:
    """Load the models, say where the page is, serve it until Ctrl-C."""
    try:
        import uvicorn
    except ImportError:
        raise ImportError(
            'the studio is served by Uvicorn: pip install "vimogen_jax[studio]"'
        ) from None
    from vimogen_jax.generator import Generator
    from vimogen_jax.studio.server import application
    from vimogen_jax.studio.work import Workshop

    if len({*CHECKPOINT.value}) < len(CHECKPOINT.value):
        raise BadInput("a checkpoint is named twice")
    generators = {name: Generator.from_checkpoint(name) for name in CHECKPOINT.value}
    token = None if _is_own(HOST.value) else secrets.token_urlsafe(16)
    names = [f"{name}:{PORT.value}" for name in ("127.0.0.1", "localhost", "[::1]")]
    address = f"http://{f'[{HOST.value}]' if ':' in HOST.value else HOST.value}:{PORT.value}/"
    address += f"?token={token}" if token else ""
    with tempfile.TemporaryDirectory(prefix="vimogen-studio-") as folder:
        app = application(Workshop(generators, cli.LAUNCH), names, token, Path(folder))
        print(f"{address}\nCtrl-C ends the studio, and what was made in it is gone then.")
        if BROWSER.value and token is None:
            webbrowser.open(address)
        uvicorn.run(app, host=HOST.value, port=PORT.value, log_level="warning")


def _is_own(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


if __name__ == "__main__":
    cli.run(main)
