"""Read a person's motion out of a film, on this machine, without a network or a GPU.

python -m launch.mocap --video clip.mp4 --out out/clip
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from absl import flags
from tqdm import tqdm

from launch import cli, films, outputs, reading
from vimogen_jax import formats
from vimogen_jax.errors import BadInput
from vimogen_jax.files import write_json
from vimogen_jax.mocap.film import frames, open_film, reduced, sha256
from vimogen_jax.mocap.reading import LINES, Reading
from vimogen_jax.viewer.mp4 import encode
from vimogen_jax.viewer.page import Card, Filmed, write_page

PAGE, FACTS = "index.html", "reading.json"
SHOWN = 640  # pixels of the longer side of the film on the page
FORMATS = ("html", "npz", "glb", "bvh", "npy", "mp4")

VIDEO = flags.DEFINE_string(
    "video", None, "video file, animated GIF or folder of pictures", required=True
)
OUT = flags.DEFINE_string("out", None, "folder to write to", required=True)
TO = flags.DEFINE_list("formats", "npz,glb,html", f"what to write, any of {', '.join(FORMATS)}")
FILM = films.define_flags(
    flags.DEFINE_float("seconds", None, "how many seconds to read; by default all", 0.1),
    flags.DEFINE_float("fps", None, "frame rate of a folder of pictures", 1.0),
    reading.define_person(),
)


def main() -> None:
    """Look at what was asked for, read, write; one motion for each stretch between cuts."""
    kinds = check_formats(TO.value)
    stem = Path(VIDEO.value).stem
    shown = [PAGE, film_name(stem)] if "html" in TO.value else []
    out = outputs.files(OUT.value, [FACTS, *shown, *motion_files([stem], kinds)])
    readings = FILM.readings(VIDEO.value)
    names = [stem if number == 0 else f"{stem}-{number}" for number in range(len(readings))]
    outputs.files(OUT.value, motion_files(names, kinds))
    out.mkdir(parents=True, exist_ok=True)
    for path in write(out, names, readings, kinds):
        print(path)
    for name, each in zip(names, readings, strict=True):
        print(f"{name}: {each}")


def check_formats(names: Sequence[str]) -> list[str]:
    """The kinds of motion files, each once; BadInput where one is unknown."""
    for name in names:
        if name not in FORMATS:
            raise BadInput(f"--formats {name!r} is not one of {', '.join(FORMATS)}")
    if "mp4" in names:
        import_module("vimogen_jax.viewer.video")  # with Numba, which not everybody has
    return [name for name in dict.fromkeys(names) if name != "html"]


def write(
    out: Path, names: Sequence[str], readings: Sequence[Reading], kinds: Sequence[str]
) -> list[Path]:
    """Write the motions, what is to be known of them, and the page; returns the files."""
    files = motion_files(names, kinds)
    film = dict(address=VIDEO.value, sha256=sha256(VIDEO.value))
    facts = {name: each.facts() for name, each in zip(names, readings, strict=True)}
    for name, each in zip(names, readings, strict=True):
        times = dict(start=each.start, end=each.start + each.motion.seconds)
        about = dict(film=film | times, reading=facts[name])
        for kind in kinds:
            path = out / f"{name}.{kind}"
            if kind == "mp4":
                video = import_module("vimogen_jax.viewer.video")
                video.write_mp4(each.motion, path, name, provenance=about)
            else:
                formats.write(each.motion, path, about)
    write_json(dict(film=film, motions=facts), out / FACTS)
    files.append(FACTS)
    if "html" in TO.value:
        file = film_name(names[0])
        write_film(out / file)
        cards = [
            Card(
                name,
                each.motion,
                str(each),
                [f"{name}.{kind}" for kind in kinds],
                filmed(each, file),
            )
            for name, each in zip(names, readings, strict=True)
        ]
        write_page(cards, out / PAGE)
        files += [file, PAGE]
    return [out / file for file in files]


def motion_files(names: Sequence[str], kinds: Sequence[str]) -> list[str]:
    """The files of the motions, and those beside them that say how they came about."""
    ends = [*kinds, *(f"{kind}.json" for kind in kinds if kind in ("bvh", "npy"))]
    return [f"{name}.{end}" for name in names for end in ends]


def film_name(stem: str) -> str:
    """The film that the page shows, beside it."""
    return f"{stem}-film.mp4"


def write_film(path: Path) -> None:
    """Write what was read of the film small, and so that every browser plays it."""
    film = open_film(VIDEO.value, FILM.fps.value)
    pictures = frames(film, FILM.start.value, FILM.seconds.value)
    bar = tqdm(pictures, "film for the page", unit="frame", disable=None)
    encode((reduced(picture, SHOWN) for picture in bar), path, film.fps)


def filmed(reading: Reading, file: str) -> Filmed:
    """The film on the card of a reading."""
    landmarks = reading.track.pixels / reading.size
    return Filmed(file, reading.start - FILM.start.value, reading.size, landmarks, LINES)


if __name__ == "__main__":
    cli.run(main)
