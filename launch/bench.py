"""Measure how fast a config trains, samples, is fed and attends on the machine at hand.

python -m launch.bench --config=configs/small.py
python -m launch.bench --config=configs/vimogen_1b.py --measure=sampling \\
    --config.data.batch_size=64 --config.data.buckets=(100,)
"""

import dataclasses

from absl import flags
from ml_collections import config_flags

from launch import cli, huge_pages, outputs
from vimogen_jax.bench import report
from vimogen_jax.bench.features import bench_features
from vimogen_jax.bench.feeding import bench_feeding
from vimogen_jax.bench.kernels import bench_kernels
from vimogen_jax.bench.programs import bench_sampling, bench_training
from vimogen_jax.experiment import Experiment
from vimogen_jax.files import require_writable, write_json

_CONFIG = config_flags.DEFINE_config_file("config", help_string="config file of the experiment")
MEASURE = flags.DEFINE_enum(
    "measure",
    "training",
    ["training", "sampling", "feeding", "attention", "features"],
    "steps or samples of the longest bucket, made of random numbers; the input pipeline; the "
    "kernels of attention; or HumanML3D's features, whatever the config",
)
REPEATS = flags.DEFINE_integer("repeats", 10, "how many steps, samplings or batches to time", 1)
PEAK = flags.DEFINE_float(
    "peak_tflops", None, "the most TFLOP/s of a device, instead of its published rate", 0.001
)
CHIP = flags.DEFINE_enum(
    "chip",
    "h200",
    ["h100", "h200", "v5e", "v5p", "v6e"],
    "chip that --measure=feeding compares with",
)
TRACE = flags.DEFINE_string("trace", None, "folder to write a profile to")
OUT = flags.DEFINE_string("out", "out/bench", "folder to write training.json and the like to")


def main() -> None:
    """Measure, print, write."""
    huge_pages.take()
    experiment, repeats = Experiment.from_config(_CONFIG.value.to_dict()), REPEATS.value
    out = outputs.files(OUT.value, [f"{MEASURE.value}.json"])
    if TRACE.value:
        require_writable(TRACE.value)
    if MEASURE.value == "feeding":
        feeding = bench_feeding(experiment, chip=CHIP.value, batches=repeats)
        text, record = report.feeding_text(feeding), report.feeding_record(feeding)
    elif MEASURE.value == "attention":
        speeds = bench_kernels(experiment.model, repeats=repeats)
        text, record = report.kernels_text(speeds), dict(lengths=[*map(vars, speeds)])
    elif MEASURE.value == "features":
        features = bench_features(repeats)
        text, record = report.features_text(features), dataclasses.asdict(features)
    else:
        bench = bench_training if MEASURE.value == "training" else bench_sampling
        peak = PEAK.value and PEAK.value * 1e12
        speed = bench(experiment, repeats=repeats, peak=peak, trace=TRACE.value)
        call = "step" if MEASURE.value == "training" else "batch"
        text, record = report.program_text(speed, call), report.program_record(speed)
    print(text)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{MEASURE.value}.json"
    config = dataclasses.asdict(experiment)
    about = dict(measure=MEASURE.value, versions=report.versions(), config=config)
    write_json(about | record, path)
    print(f"written to {path}")


if __name__ == "__main__":
    flags.mark_flag_as_required("config")
    cli.run(main, keep_compiled=False)
