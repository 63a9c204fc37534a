"""Measure how fast a config trains, samples, is fed and attends on the machine at hand.

python -m launch.bench --config=configs/small.py
python -m launch.bench --config=configs/vimogen_1b.py --measure=sampling \\
    --config.data.batch_size=64 "--config.data.buckets=(100,)"

The same command in several processes measures one program over all their devices, as in
`launch.train`; the first prints and writes.
"""

import dataclasses
import os
from pathlib import Path
from typing import Any

import jax
from absl import flags
from ml_collections import config_flags

from launch import cli, huge_pages, outputs, process_flags
from vimogen_jax.bench import report
from vimogen_jax.bench.features import bench_features
from vimogen_jax.bench.feeding import bench_feeding
from vimogen_jax.bench.kernels import bench_kernels
from vimogen_jax.bench.programs import bench_sampling, bench_training
from vimogen_jax.chips import CHIPS
from vimogen_jax.experiment import Experiment
from vimogen_jax.files import require_writable, write_json
from vimogen_jax.train.distributed import is_first, joined

CONFIG = config_flags.DEFINE_config_file("config", help_string="config file of the experiment")
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
    [name for name, chip in CHIPS.items() if chip.platform != "cpu"],
    "chip that --measure=feeding compares with",
)
TRACE = flags.DEFINE_string("trace", None, "folder to write a profile to")
OUT = flags.DEFINE_string("out", "out/bench", "folder to write training.json and the like to")


def main() -> None:
    """Measure, print, write."""
    huge_pages.take()
    experiment = Experiment.from_config(CONFIG.value.to_dict())
    with joined(*process_flags.given()):
        out = Path(OUT.value)
        if is_first():
            out = outputs.files(out, [f"{MEASURE.value}.json"])
        trace = TRACE.value
        if trace and jax.process_count() > 1:
            trace = os.path.join(trace, f"process_{jax.process_index()}")
        if trace:
            require_writable(trace)
        text, record = measure(experiment, trace)
        if is_first():
            print(text)
            tell(experiment, record, out)


def measure(experiment: Experiment, trace: str | None) -> tuple[str, dict[str, Any]]:
    """What `--measure` says, as lines and as a record."""
    repeats = REPEATS.value
    if MEASURE.value == "feeding":
        feeding = bench_feeding(experiment, chip=CHIP.value, batches=repeats)
        return report.feeding_text(feeding), report.feeding_record(feeding)
    if MEASURE.value == "attention":
        speeds = bench_kernels(experiment.model, repeats=repeats)
        return report.kernels_text(speeds), dict(lengths=[*map(vars, speeds)])
    if MEASURE.value == "features":
        features = bench_features(repeats)
        return report.features_text(features), dataclasses.asdict(features)
    bench = bench_training if MEASURE.value == "training" else bench_sampling
    peak = PEAK.value and PEAK.value * 1e12
    speed = bench(experiment, repeats=repeats, peak=peak, trace=trace)
    call = "step" if MEASURE.value == "training" else "batch"
    return report.program_text(speed, call), report.program_record(speed)


def tell(experiment: Experiment, record: dict[str, Any], out: Path) -> None:
    """Write a record beside what it is of."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{MEASURE.value}.json"
    config = dataclasses.asdict(experiment)
    about = dict(measure=MEASURE.value, versions=report.versions(), config=config)
    write_json(about | record, path)
    print(f"written to {path}")


if __name__ == "__main__":
    flags.mark_flag_as_required("config")
    cli.run(main, keep_compiled=False)
