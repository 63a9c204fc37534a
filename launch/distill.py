"""Ask a trained model for motions of many sentences, and make a dataset to train a student on.

python -m launch.distill --teacher CHECKPOINT --prompts FILE --real DATASET --out DIR

The motions come to DIR/made, batch by batch: the same command goes on where it was stopped. Then
DIR/dataset has those that were kept, of the source "teacher", beside the real takes. Several
processes share the work as in launch.train.
"""

import dataclasses
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
from absl import flags

from data import distill
from data.filters.quality import MotionLimits, measured
from data.priors.store import Store
from data.sources import teacher
from launch import cli, outputs, process_flags
from vimogen_jax import sharding
from vimogen_jax.errors import BadInput
from vimogen_jax.files import require_writable, write_json
from vimogen_jax.generator import Generator, changed
from vimogen_jax.input_pipeline.dataset import FILES, Dataset
from vimogen_jax.matcher import LIKELY, Matcher
from vimogen_jax.models.parameters import fingerprint
from vimogen_jax.motion.motion import Motion
from vimogen_jax.text.spec import EncoderSpec, require_same_encoder
from vimogen_jax.train.agreement import require_agreement
from vimogen_jax.train.distributed import is_first, joined

SOMETHING_MISSING = 2  # exit status: the dataset is there, but some priors were damaged

TEACHER = flags.DEFINE_string("teacher", "small", "checkpoint package or run folder")
PROMPTS = flags.DEFINE_string(
    "prompts", None, "sentences, one a line, or JSON lines with text and kind"
)
PRIORS = flags.DEFINE_string(
    "priors", None, "priors folder of launch.priors, in place of sentences: its gate is followed"
)
REAL = flags.DEFINE_string(
    "real",
    None,
    "dataset of real takes: what motions are measured against, and the rest of the mixture",
    required=True,
)
OUT = flags.DEFINE_string("out", None, "folder to write to", required=True)
SECONDS = flags.DEFINE_multi_float("seconds", [5.0], "length of the motions; may be repeated")
MATCHER = flags.DEFINE_string(
    "matcher",
    "matcher",
    "which matcher drops motions that do not show their sentence, or none",
)
SAMPLES = flags.DEFINE_integer("samples", 1, "motions of each sentence and length", 1)
LEGS = flags.DEFINE_integer(
    "legs", 0, "steps of a student that is to learn the teacher's own path: keep their ends", 0
)
STEPS = flags.DEFINE_integer("steps", None, "solver steps; by default the teacher's", 1)
SHIFT = flags.DEFINE_float(
    "shift",
    None,
    "of the solver's times, more puts more steps amid noise; by default the teacher's",
)


def main() -> None:
    """Sample, check, tell, and write the dataset."""
    out = Path(OUT.value)
    require_writable(out, ["report.json"])  # made anew from what was made, as often as asked
    overwrite = bool(outputs.whole(os.path.join(OUT.value, "dataset"), FILES))
    asked, faults = read_asked()
    for fault in faults:
        print(f"left out: {fault}", file=sys.stderr)
    with joined(*process_flags.given()), sharding.use("data_parallel") as mesh:
        real = Dataset.open(REAL.value)
        package = Generator.from_checkpoint(TEACHER.value).package
        sampler = changed(package.sampler, steps=STEPS.value, shift=SHIFT.value)
        generator = over_devices(Generator(dataclasses.replace(package, sampler=sampler)), mesh)
        encoder = EncoderSpec(**real.text_encoder)
        require_same_encoder(package.text_encoder, TEACHER.value, encoder, REAL.value)
        if package.fps != real.fps:
            raise BadInput(f"{REAL.value} has {real.fps:g} fps, but the teacher {package.fps:g}")
        for each in asked:  # before hours of others
            if each.request.reference is None:
                generator.model.frames(each.request.seconds)
        weights = fingerprint(package.params)
        if LEGS.value and (sampler.solver != "euler" or sampler.steps % LEGS.value):
            raise BadInput(
                f"--legs={LEGS.value} does not divide the teacher's {sampler.steps} steps of "
                f"{sampler.solver}: give --steps"
            )
        limits = distill.limits_of(real)
        matcher = None if MATCHER.value == "none" else Matcher.from_checkpoint(MATCHER.value)
        about = dict(
            teacher=weights,
            sampler=dataclasses.asdict(sampler),
            limits=dataclasses.asdict(limits),
            matcher=matcher and matcher.name,
            legs=LEGS.value or None,  # as of folders from before there were any
        )
        facts = {"the sentences of --prompts": [each.id for each in asked], **about}
        require_agreement("distill", facts)
        teacher.make(generator, asked, out / "made", checked_by(limits, matcher), about, LEGS.value)
        if is_first():
            told = distill.report(teacher.made(out / "made"), limits) | about
            told |= dict(left_out=faults)
            write_json(told, out / "report.json")
            print(distill.in_words(told))
            made = out / "made"
            of_paths = package.statistics if LEGS.value else None
            mixed = weights, package.licence, of_paths, overwrite
            distill.mix(real, made, out / "dataset", *mixed)
            print(f"{out / 'dataset'} written")
    if faults:
        raise SystemExit(SOMETHING_MISSING)


def read_asked() -> tuple[list[teacher.TeacherRequest], list[str]]:
    """The motions to ask for, and a sentence on each prior that is damaged; BadInput where
    neither or both kinds of sentences are given.
    """
    if PROMPTS.value and not PRIORS.value:
        sentences = teacher.read_sentences(PROMPTS.value)
        return teacher.ask(sentences, SECONDS.value, SAMPLES.value), []
    if PROMPTS.value or not PRIORS.value:
        raise BadInput("give either --prompts FILE or --priors FOLDER")
    entries, faults = Store.open(PRIORS.value).entries()
    if not entries:
        raise BadInput(faults[0] if faults else f"{PRIORS.value} holds no prompt")
    return teacher.ask_priors(entries, SAMPLES.value), faults


def over_devices(generator: Generator, mesh: jax.sharding.Mesh) -> Generator:
    """The generator with its batches cut over the devices of a mesh, each with all weights."""
    if mesh.size == 1:
        return generator
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    params = jax.device_put(generator.package.params, everywhere)
    rows = sharding.Rows(mesh, mesh.size)
    generator.model = dataclasses.replace(generator.model, params=params, rows=rows)
    return generator


def checked_by(limits: MotionLimits, matcher: Matcher | None) -> teacher.Check:
    """What is wrong with motions, by how they move and by whether they show their sentence."""

    def check(
        motions: Sequence[Motion], sentences: Sequence[str]
    ) -> Sequence[tuple[str, Mapping[str, float]]]:
        found = [(limits.fault(each), each) for each in map(measured, motions)]
        if matcher is None:
            return found
        matches = matcher.probability(motions, sentences)
        return [
            (fault or ("" if p >= LIKELY else "does not match"), measures | dict(matches=float(p)))
            for (fault, measures), p in zip(found, matches, strict=True)
        ]

    return check


if __name__ == "__main__":
    cli.run(main)
