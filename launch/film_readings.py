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
from vimogen_jax.errors import BadInput
from vimogen_jax.files import write_json
from vimogen_jax.generator import Generator

FILMS = flags.DEFINE_string(
    "films", None, "folder of films, each with its truth as launch.film writes it", required=True
)
SECONDS = flags.DEFINE_float("seconds", None, "how many seconds of each to read", 0.1)
CHECKPOINT = flags.DEFINE_string(
    "checkpoint", None, "a model whose refinement of the readings is measured too"
)
OUT = flags.DEFINE_string("out", "out/film_readings.json", "JSON file to write")


def main() -> None:
    """Read the films, print the tables and write the figures."""
    out = Path(OUT.value)
    outputs.files(out.parent, [out.name])
    model = None
    if CHECKPOINT.value:
        model = Generator.from_checkpoint(CHECKPOINT.value).model
        if "reference_encoder" not in model.params:
            raise BadInput(f"--checkpoint={CHECKPOINT.value} has no reference branch to measure")
    report = measure(FILMS.value, SECONDS.value, model)
    noise = reader_noise.fit_noise(report)
    drawn = reader_noise.measure_noise(noise, report, seed=1)
    print(to_markdown(report), reader_noise.to_markdown(report, drawn), sep="\n\n")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json({"versions": versions(), KEY: noise.to_json(), **report}, out)
    print(f"\n{out} written")


if __name__ == "__main__":
    cli.run(main)
