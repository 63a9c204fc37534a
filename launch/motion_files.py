"""What commands write of a motion: which formats there are, a file's name, and the file."""

import unicodedata
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from absl import flags

from vimogen_jax import animation
from vimogen_jax.body.mesh import Body
from vimogen_jax.errors import BadInput
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.resample import resample

# Format: the endings of a motion's files, in the order in which they are written: what takes long
# is last. The page is one of all motions.
FORMATS: dict[str, tuple[str, ...]] = {
    "npz": (".npz",),
    "glb": (".glb",),
    "bvh": (".bvh", ".bvh.json"),
    "npy": (".npy", ".npy.json"),
    "robot": ("-robot.npz",),
    "html": (),
    "mp4": (".mp4",),
}
PAGE = "index.html"
ROBOT_FPS = 30.0  # GMR takes slower files for ones of this rate
LONGEST_NAME = 200  # bytes of a file's name without its number and ending


def define_flag(
    usual: str, more: Mapping[str, tuple[str, ...]] = {}
) -> flags.FlagHolder[list[str]]:
    """Give a command `--formats`, also called `--to`; `more` are formats that it writes itself."""
    known = ", ".join([*FORMATS, *more])
    holder = flags.DEFINE_list("formats", usual, f"what to write, any of {known}")
    flags.DEFINE_alias("to", "formats")
    return holder


def check_formats(names: Sequence[str], more: Mapping[str, tuple[str, ...]] = {}) -> list[str]:
    """The names, each once, in the order of `FORMATS`; BadInput where one is unknown or none is."""
    known = [*FORMATS, *more]
    for name in names:
        if name not in known:
            raise BadInput(f"--formats {name!r} is not one of {', '.join(known)}")
    if not names:
        raise BadInput(f"--formats is empty; choose from {', '.join(known)}")
    if "mp4" in names:
        import_module("vimogen_jax.viewer.video")  # with Numba, which not everybody has
    return [name for name in known if name in names]


def all_files(
    names: Sequence[str], chosen: Sequence[str], more: Mapping[str, tuple[str, ...]] = {}
) -> list[str]:
    """The names of all files that are written of motions of these names."""
    ends = FORMATS | dict(more)
    files = [f"{name}{end}" for name in names for form in chosen for end in ends[form]]
    return files + [PAGE] * ("html" in chosen)


def links(name: str, chosen: Sequence[str]) -> list[str]:
    """The files of a motion that a page offers."""
    return [f"{name}{end}" for form in chosen if form in FORMATS for end in FORMATS[form][:1]]


def write(
    motion: Motion,
    path: Path,
    provenance: Mapping[str, Any],
    title: str = "",
    body: Body | None = None,
) -> None:
    """Write a motion as `animation.write` does; for robots at their frame rate."""
    robot = path.name.endswith(FORMATS["robot"])
    motion = resample(motion, ROBOT_FPS) if robot else motion
    animation.write(motion, path, title, provenance, body)


def numbered(titles: Sequence[str], samples: int) -> list[str]:
    """A name for the files of each sample: its words and a running number, `a-person-waves-0`.

    Letters of all scripts stay. No two names are the same to a file system that knows no case, and
    none is longer than what file systems take.
    """
    counts: dict[str, int] = {}
    names = []
    for title in (title for title in titles for _ in range(samples)):
        words = _words(title)
        names.append(f"{words}-{counts.setdefault(words, 0)}")
        counts[words] += 1
    return names


def _words(title: str) -> str:
    """The letters and digits of a title, its words joined by dashes; at most 60 characters."""
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", title).casefold())
    kept = (c if unicodedata.category(c)[0] in "LMN" else " " for c in plain)
    words = "-".join("".join(kept).split())[:60]
    return words.encode()[:LONGEST_NAME].decode(errors="ignore").strip("-") or "motion"
