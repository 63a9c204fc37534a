"""The wheel, installed: every verb works without a checkout, whatever else is installed."""

import os
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.helpers.repository import PACKAGES, ROOT
from vimogen_jax import __version__, command
from vimogen_jax.text.minilm import WEIGHTS

pytestmark = pytest.mark.slow

LARGEST = 65 * 10**6  # bytes of the wheel with all weights
NEEDLESS = ("array_record", "numba")  # for sampling: not every platform has wheels


def run(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, arguments)),
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("build")
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "out", "runs")
    shutil.copytree(ROOT, folder / "source", ignore=ignored)
    built = run(
        *(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", folder, folder / "source"),
        cwd=folder,
    )
    assert built.returncode == 0, built.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def vimogen(wheel, tmp_path_factory) -> Path:
    """The installed command, in an environment that sees this one's packages, and decoys."""
    folder = tmp_path_factory.mktemp("environment")
    python = folder / "bin" / "python"
    assert run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder).returncode == 0
    packages = Path(run(python, "-c", SITE, cwd=folder).stdout.strip())
    installed = run(
        *(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", wheel),
        cwd=folder,
    )
    assert installed.returncode == 0, installed.stderr
    # Nothing but the library: its folders' names are other people's.
    assert {path.name for path in packages.iterdir() if "pip" not in path.name} == {
        "vimogen_jax",
        f"vimogen_jax-{__version__}.dist-info",
    }
    for name in {*PACKAGES} - {"vimogen_jax"}:
        (packages / name).mkdir()
        (packages / name / "__init__.py").write_text(f"raise AssertionError('a foreign {name}')")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    if WEIGHTS.is_dir():  # the text encoder's, which lie beside this environment's packages
        (folder / "share").mkdir()
        (folder / "share" / WEIGHTS.name).symlink_to(WEIGHTS)
    return folder / "bin" / "vimogen"


SITE = "import sysconfig; print(sysconfig.get_path('purelib'))"


def test_the_wheel_is_small(wheel):
    assert wheel.stat().st_size < LARGEST


def test_every_verb_tells_its_options(vimogen, tmp_path):
    listed = run(vimogen, cwd=tmp_path)
    assert listed.returncode == 0
    verbs = command.find_verbs()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        helps = list(pool.map(lambda verb: run(vimogen, verb, "--help", cwd=tmp_path), verbs))
    for purpose, told in zip(verbs.values(), helps, strict=True):
        assert purpose in listed.stdout
        assert (told.returncode, told.stderr) == (0, "")
        assert "python -m launch" not in told.stdout
    assert run(vimogen, "--version", cwd=tmp_path).stdout == f"vimogen {__version__}\n"


def test_sampling_needs_only_what_has_wheels_everywhere(vimogen, tmp_path):
    for name in NEEDLESS:
        (tmp_path / "absent" / name).mkdir(parents=True)
        (tmp_path / "absent" / name / "__init__.py").write_text("raise ImportError('not here')")
    sampled = run(
        *(vimogen, "sample", "--prompt=a person walks.", "--seconds=2", "--steps=2"),
        *("--formats=npz,glb,bvh,html", "--out=out"),
        cwd=tmp_path,
        PYTHONPATH=str(tmp_path / "absent"),
    )
    assert sampled.returncode == 0, sampled.stderr
    written = {path.suffix for path in (tmp_path / "out").iterdir()}
    assert {".npz", ".glb", ".bvh", ".html"} <= written
    (tmp_path / "motions").mkdir()
    refused = run(
        *(vimogen, "train", "--config=configs/tiny.py", "--config.data.path=nowhere"),
        cwd=tmp_path,
    )
    assert (refused.returncode, "nowhere" in refused.stderr) == (1, True)


def test_a_config_and_a_process_of_its_own_are_found(vimogen, tmp_path):
    ended = run(
        *(vimogen, "faults", "--config=configs/tiny.py", "--config.data.path=nowhere"),
        *("--out=faults", "--steps=1"),
        cwd=tmp_path,
    )
    assert ended.returncode == 1
    assert "nowhere" in ended.stderr and "Traceback" not in ended.stderr
