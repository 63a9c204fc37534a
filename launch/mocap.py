"""Read a person's motion out of a film, on this machine, without a network or a GPU.

python -m launch.mocap --video clip.mp4 --out out/clip
"""

import os
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from launch import cli, film_flags, motion_files, motion_flags, outputs
from launch.motion_files import FORMATS, PAGE, links
from vimogen_jax.files import write_json
from vimogen_jax.mocap.film import sha256
from vimogen_jax.mocap.page_film import write_page_film
from vimogen_jax.mocap.reading import Reading
from vimogen_jax.viewer.page import Card, write_page

FACTS = "reading.json"

VIDEO = flags.DEFINE_string(
    "video", None, "video file, animated GIF or folder of pictures", required=True
)
OUT = flags.DEFINE_string("out", None, "folder to write to", required=True)
WANTED = motion_files.define_flag("npz,glb,html")
FILM = film_flags.define_flags(
    flags.DEFINE_float("seconds", None, "how many seconds to read; by default all", 0.1),
    flags.DEFINE_float("fps", None, "frame rate of a folder of pictures", 1.0),
    motion_flags.define_person(),
)


def main() -> None:
    """Look at what was asked for, read, write; one motion for each stretch between cuts."""
    chosen = motion_files.check_formats(WANTED.value)
    stem = Path(os.path.abspath(VIDEO.value)).stem  # of `.` too, in a folder of pictures
    out = outputs.files(OUT.value, all_files([stem], chosen))
    readings = FILM.readings(VIDEO.value)
    names = [stem if number == 0 else f"{stem}-{number}" for number in range(len(readings))]
    outputs.files(OUT.value, all_files(names, chosen))
    out.mkdir(parents=True, exist_ok=True)
    for path in write(out, names, readings, chosen):
        print(path)
    for name, each in zip(names, readings, strict=True):
        print(f"{name}: {each}")


def write(
    out: Path, names: Sequence[str], readings: Sequence[Reading], chosen: Sequence[str]
) -> list[Path]:
    """Write the motions, what is to be known of them, and the page; returns the files."""
    film = dict(address=VIDEO.value, sha256=sha256(VIDEO.value))
    facts = {name: each.facts() for name, each in zip(names, readings, strict=True)}
    for name, each in zip(names, readings, strict=True):
        times = dict(start=each.start, end=each.start + each.motion.seconds)
        about = dict(film=film | times, reading=facts[name])
        for form in (form for form in chosen if form != "html"):
            path = out / f"{name}{FORMATS[form][0]}"
            motion_files.write(each.motion, path, about, name)
    write_json(dict(film=film, motions=facts), out / FACTS)
    if "html" in chosen:
        small = out / film_name(names[0])
        shown = write_page_film(
            VIDEO.value,
            small,
            readings,
            start=FILM.start.value,
            seconds=FILM.seconds.value,
            fps=FILM.fps.value,
            progress=True,
        )
        cards = [
            Card(name, each.motion, str(each), links(name, chosen), filmed)
            for name, each, filmed in zip(names, readings, shown, strict=True)
        ]
        write_page(cards, out / PAGE)
    return [out / file for file in all_files(names, chosen)]


def all_files(names: Sequence[str], chosen: Sequence[str]) -> list[str]:
    """The files of the motions, what is to be known of them, and the page with its film."""
    film = [film_name(names[0])] if "html" in chosen else []
    return [*motion_files.all_files(names, chosen), FACTS, *film]


def film_name(stem: str) -> str:
    """The film that the page shows, beside it."""
    return f"{stem}-film.mp4"


if __name__ == "__main__":
    cli.run(main)
