"""Turn a run of a matcher into a package that knows probabilities, with its figures.

python -m launch.calibrate --run=runs/matcher --dataset=datasets/mine --out=matchers/mine

Probabilities are fitted to the dataset's validation takes and measured on its test takes; and so,
for themselves, those of what was read of films of these, where the takes were filmed
(launch.build_data --filmed).
"""

import dataclasses

from absl import flags

from data.wordings import mirrored
from eval.matcher import (
    READ,
    calibrate,
    compare,
    figures,
    filmed,
    read_of_films,
    taken_by_action,
    to_markdown,
    traps,
)
from eval.real_motions import read_real_motions
from launch import actions, cli, outputs
from vimogen_jax.errors import BadInput
from vimogen_jax.files import read_json, whole_folder, write_json
from vimogen_jax.input_pipeline.dataset import MANIFEST, Dataset
from vimogen_jax.matcher import CALIBRATION, EVALUATION, Matcher
from vimogen_jax.package import FILES, save_package

RUN = flags.DEFINE_string("run", None, "run folder or package of a matcher", required=True)
DATASET = flags.DEFINE_string("dataset", None, "dataset made by launch.build_data", required=True)
OUT = flags.DEFINE_string("out", None, "folder to write the package to", required=True)
SEED = flags.DEFINE_integer("seed", 0, "seed of the noise of cameras", 0)


def main() -> None:
    """Fit, measure, write the package and print its figures."""
    replaces = outputs.whole(OUT.value, (*FILES, CALIBRATION, EVALUATION))
    dataset = Dataset.open(DATASET.value)
    if "test" not in dataset.records:
        raise BadInput(f"{DATASET.value} has no test takes: build it with takes kept for testing")
    matcher = Matcher.from_checkpoint(RUN.value)
    pairs, takes = {}, []
    for split in ("validation", "test"):
        takes = read_real_motions(dataset, split, actions.named())
        camera = matcher.package.objective.camera
        shown = dict(true=[x.motion for x in takes], filmed=filmed(takes, camera, SEED.value))
        pairs[split] = {kind: compare(matcher, takes, motions) for kind, motions in shown.items()}
        seen, motions = read_of_films(takes)
        if seen:
            pairs[split][READ] = compare(matcher, seen, motions)
    calibrations = calibrate(pairs["validation"])
    calibrated = Matcher(matcher.package, calibrations)
    measure = lambda kind, each: figures(each, calibrations.of(kind == READ))
    report = dict(
        step=matcher.package.step,
        test={kind: measure(kind, each) for kind, each in pairs["test"].items()},
        traps=traps(calibrated, takes, mirrored),
        taken_by_action=taken_by_action(calibrated, takes),
    )
    licences = read_json(dataset.folder / MANIFEST)["splits"]["train"]["licences"]
    licence = matcher.package.licence or "; ".join(licences)
    with whole_folder(OUT.value, replaces) as aside:
        save_package(aside, dataclasses.replace(matcher.package, licence=licence), "float16")
        write_json(dataclasses.asdict(calibrations), aside / CALIBRATION)
        write_json(report, aside / EVALUATION)
    print(to_markdown(report))
    print(f"\n{OUT.value} holds the matcher after step {matcher.package.step}")


if __name__ == "__main__":
    cli.run(main)
