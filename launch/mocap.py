"""Read a person's motion out of a film, on this machine, without a network or a GPU.

python -m launch.mocap --video clip.mp4 --out out/clip
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from launch import cli, outputs, reading
from vimogen_jax import formats
from vimogen_jax.errors import BadInput
from vimogen_jax.files import write_json
from vimogen_jax.mocap.reading import Reading, read_film
from vimogen_jax.viewer.page import Card, write_page

PAGE, FACTS = "index.html", "reading.json"
FORMATS = ("html", "npz", "glb", "bvh", "npy")

VIDEO = flags.DEFINE_string(
    "video", None, "video file, animated GIF or folder of pictures", required=True
)
OUT = flags.DEFINE_string("out", None, "folder to write to", required=True)
TO = flags.DEFINE_list("formats", "npz,glb,html", f"what to write, any of {', '.join(FORMATS)}")
FOCAL = flags.DEFINE_float(
    "focal", None, "focal length in pixels; by default the film's, or assumed", 1.0
)
TILT = flags.DEFINE_float(
    "tilt", None, "degrees that the camera looks down; by default found from the person"
)
PERSON = reading.define_person()
START = flags.DEFINE_float("start", 0.0, "where to begin, in seconds of the film", 0.0)
SECONDS = flags.DEFINE_float("seconds", None, "how many seconds to read; by default all", 0.1)
FPS = flags.DEFINE_float("fps", None, "frame rate of a folder of pictures", 1.0)


def main() -> None:
    """Look at what was asked for, read, write; one motion for each stretch between cuts."""
    kinds = check_formats(TO.value)
    stem = Path(VIDEO.value).stem
    out = outputs.files(OUT.value, [FACTS, PAGE, *(f"{stem}.{kind}" for kind in kinds)])
    readings = read_film(
        VIDEO.value,
        focal=FOCAL.value,
        tilt=TILT.value,
        person=PERSON.value,
        start=START.value,
        seconds=SECONDS.value,
        fps=FPS.value,
        progress=True,
    )
    names = [stem if number == 0 else f"{stem}-{number}" for number in range(len(readings))]
    outputs.files(OUT.value, [f"{name}.{kind}" for name in names for kind in kinds])
    out.mkdir(parents=True, exist_ok=True)
    for path in write(out, names, readings, kinds):
        print(path)
    for name, each in zip(names, readings, strict=True):
        print(tell(name, each))


def check_formats(names: Sequence[str]) -> list[str]:
    """The kinds of motion files, each once; BadInput where one is unknown."""
    for name in names:
        if name not in FORMATS:
            raise BadInput(f"--formats {name!r} is not one of {', '.join(FORMATS)}")
    return [name for name in dict.fromkeys(names) if name != "html"]


def write(
    out: Path, names: Sequence[str], readings: Sequence[Reading], kinds: Sequence[str]
) -> list[Path]:
    """Write the motions, what is to be known of them, and the page; returns the files."""
    files = [f"{name}.{kind}" for name in names for kind in kinds]
    for name, each in zip(names, readings, strict=True):
        for kind in kinds:
            formats.write(each.motion, out / f"{name}.{kind}")
    facts = {name: each.facts() for name, each in zip(names, readings, strict=True)}
    write_json(dict(video=VIDEO.value, motions=facts), out / FACTS)
    files.append(FACTS)
    if "html" in TO.value:
        cards = [
            Card(name, each.motion, tell(name, each), [f"{name}.{kind}" for kind in kinds])
            for name, each in zip(names, readings, strict=True)
        ]
        write_page(cards, out / PAGE)
        files.append(PAGE)
    return [out / file for file in files]


def tell(name: str, read: Reading) -> str:
    """What was seen and assumed, in a line."""
    facts = read.facts()
    gaps = sum(end - begin for begin, end in facts["gaps"])
    return (
        f"{name}: {facts['seconds']:g} s from {facts['start']:g} s, {facts['people']} in the "
        f"picture; focal length {facts['focal']['pixels']:g} px ({facts['focal']['how']}), "
        f"tilt {facts['tilt']['degrees']:g}° ({facts['tilt']['how']})"
        + (f", not seen for {gaps:.1f} s" if gaps else "")
    )


if __name__ == "__main__":
    cli.run(main)
