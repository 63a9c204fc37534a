"""Measure visual motion capture on films of which the truth is known: what is wrong, and how fast.

What it writes is also noise to train against: config.objective.camera.like names the file.

python -m launch.film walk.bvh wave.npz --out out/films
python -m launch.film_readings --films out/films --out out/film_readings.json
"""

from pathlib import Path

from absl import flags

from eval import reader_noise
from eval.film_readings import measure, to_markdown
from launch import cli, outputs
from vimogen_jax.bench.report import versions
from vimogen_jax.diffusion.reader_noise import KEY
from vimogen_jax.files import write_json

FILMS = flags.DEFINE_string(
    "films", None, "folder of films, each with its truth as launch.film writes it", required=True
)
SECONDS = flags.DEFINE_float("seconds", None, "how many seconds of each to read", 0.1)
OUT = flags.DEFINE_string("out", "out/film_readings.json", "JSON file to write")


def main() -> None:
    """Read the films, print the tables and write the figures."""
    out = Path(OUT.value)
    outputs.files(out.parent, [out.name])
    report = measure(FILMS.value, SECONDS.value)
    noise = reader_noise.fit_noise(report)
    drawn = reader_noise.measure_noise(noise, report, seed=1)
    print(to_markdown(report), reader_noise.to_markdown(report, drawn), sep="\n\n")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json({"versions": versions(), KEY: noise.to_json(), **report}, out)
    print(f"\n{out} written")


if __name__ == "__main__":
    cli.run(main)
