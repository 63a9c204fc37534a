"""Score motions along the dimensions of MBench, and write a report.

python -m launch.mbench --motions=DIR
python -m launch.mbench --checkpoint=small
python -m launch.mbench --priors=DIR
"""

import dataclasses
import os
from collections import Counter
from collections.abc import Collection, Mapping
from importlib import import_module
from pathlib import Path

from absl import flags

from data.adapters.vlm import FORMS, open_model
from data.adapters.vlm.judge import Judge
from data.priors.report import beside_published
from data.priors.store import YES, Store
from eval.bodies import Bodies
from eval.mbench import report as writing
from eval.mbench.actions import action_dimension
from eval.mbench.benchmark import benchmark
from eval.mbench.dimensions import Dimension, motion_dimensions
from eval.mbench.generate import generate
from eval.mbench.judged import judged_dimensions, workload
from eval.mbench.pose import pose_dimensions
from eval.mbench.prompts import MBenchPrompt, asked, load_prompts
from eval.mbench.scoring import evaluate, is_whole
from eval.mbench.votes import agreement, read_votes
from eval.score_cache import ScoreCache
from eval.systems import read_system
from launch import actions, cli, motion_flags
from vimogen_jax import formats
from vimogen_jax.body.smplx import load_smplx
from vimogen_jax.convert.nrdf import load_nrdf
from vimogen_jax.convert.pose_prior import load_pose_prior
from vimogen_jax.errors import BadInput
from vimogen_jax.files import write_json, write_text
from vimogen_jax.generator import Generator
from vimogen_jax.input_pipeline.dataset import Dataset

# Motions of the texts, the readings of the films, these refined, and as the gate decides.
BRANCHES = ("text", "video", "reference", "gated")
SOMETHING_MISSING = 2  # exit status: the report is written, but not of all motions

MOTIONS = flags.DEFINE_string("motions", None, "folder of motions named by their prompt's id")
CHECKPOINT = flags.DEFINE_string("checkpoint", None, "generate OUT/motions with this model first")
PRIORS = flags.DEFINE_string(
    "priors",
    None,
    "folder of launch.priors for the prompts: compare what follows texts, references or the gate",
)
BRANCH = flags.DEFINE_list(
    "branch", list(BRANCHES), f"of --priors, what to compare: {', '.join(BRANCHES)}"
)
NAME = flags.DEFINE_string("name", "ours", "name of the system in the report")
COMPARE = flags.DEFINE_multi_string("compare", [], "another system's folder, or NAME=folder")
OUT = flags.DEFINE_string("out", "out/mbench", "folder to write the report to")
PROMPTS = flags.DEFINE_string(
    "prompts", "small", "small (45 of ours), published (450, downloaded once) or a file"
)
DETAILED = flags.DEFINE_bool("detailed", False, "generate from the prompts' detailed texts")
READING = motion_flags.define_flags()
FLOOR = flags.DEFINE_enum(
    "floor",
    "file",
    ["file", "lowest"],
    "where the floor is: height 0 of the files, or each motion's lowest joint",
)
AS_RELEASED = flags.DEFINE_bool(
    "as_released", False, "compute exactly what MBench's release computes"
)
NRDF = flags.DEFINE_string("nrdf", None, "NRDF's published weights, for pose quality")
BODY = flags.DEFINE_string("body", None, "a SMPL-X or SMPL-H .npz, for body penetration")
POSE_PRIOR = flags.DEFINE_string("pose_prior", None, "SMPLify's gmm_08.pkl, for the body fit")
FIT_FROM_JOINTS = flags.DEFINE_bool(
    "fit_from_joints", False, "fit bodies to joints also where poses are known"
)
JUDGE = flags.DEFINE_string("judge", None, f"the model that judges videos of the motions: {FORMS}")
JUDGE_URL = flags.DEFINE_string(
    "judge_url", None, "URL of the judge's server, if not the usual one"
)
ACTION_JUDGE = flags.DEFINE_string(
    "action_judge",
    None,
    "dataset whose takes the judge of launch.evaluate learns from: it says which motions do the "
    "action that their prompt names",
)
VOTES = flags.DEFINE_string("votes", None, "CSV file of people's votes on pairs of motions")
SEED = flags.DEFINE_integer("seed", 0, "seed of generation, judges' choices and the bootstrap", 0)
BENCHMARK = flags.DEFINE_integer(
    "benchmark",
    None,
    "only measure how long a run takes here, with one motion of this many",
    1,
    100,
)


def main() -> None:
    """Read, score, report; or measure how long that takes."""
    if BENCHMARK.value:
        for line in benchmark(BENCHMARK.value):
            print(line)
        return
    if PRIORS.value is None and (MOTIONS.value is None) == (CHECKPOINT.value is None):
        raise BadInput("give either --motions or --checkpoint")
    store = open_priors(PRIORS.value) if PRIORS.value else None
    out = cli.report_folder(OUT.value)
    nrdf = load_nrdf(NRDF.value) if NRDF.value else None
    body = load_smplx(BODY.value) if BODY.value else None
    prior = load_pose_prior(POSE_PRIOR.value) if POSE_PRIOR.value else None
    bodies = Bodies(prior, from_joints=FIT_FROM_JOINTS.value or AS_RELEASED.value)
    if JUDGE_URL.value and not JUDGE.value:
        raise BadInput("--judge_url says where a judge is; say with --judge who it is")
    if JUDGE.value:
        import_module("vimogen_jax.viewer.video")  # with Numba, which not everybody has
    model = open_model(JUDGE.value, JUDGE_URL.value) if JUDGE.value else None
    judge = Judge(model, out / "answers") if model else None
    columns = [
        *motion_dimensions(AS_RELEASED.value),
        *pose_dimensions(bodies, ScoreCache(out / "poses.json"), nrdf, body, AS_RELEASED.value),
        *judged_dimensions(judge, out, SEED.value),
    ]
    columns = [column if column.score else _advised(column) for column in columns]
    world = READING.world()
    prompts = load_prompts(PROMPTS.value)
    if ACTION_JUDGE.value:
        known = Dataset.open(ACTION_JUDGE.value)
        columns.append(action_dimension(known, actions.named(), prompts))
    wanted = asked(prompts)
    motions = MOTIONS.value or os.path.join(OUT.value, "motions")
    branches = {branch: str(out / branch) for branch in BRANCH.value} if store else {}
    if store:
        (name, motions), *more = branches.items()
        others = [f"{branch}={folder}" for branch, folder in more]
        folders = cli.compared(name, motions, [*others, *COMPARE.value])
    else:
        folders = cli.compared(NAME.value, motions, COMPARE.value)
    names = [column.name for column in columns]
    votes = read_votes(VOTES.value, names, folders) if VOTES.value else None
    scored = {
        prompt.category
        for prompt in prompts.values()
        if any(column.score and column.asks(prompt) for column in columns)
    }
    if store:
        generate_branches(store, prompts, scored, branches)
    elif CHECKPOINT.value:
        generator = Generator.from_checkpoint(CHECKPOINT.value)
        generate(generator, prompts, scored, folders[NAME.value], DETAILED.value, SEED.value)
    systems = [
        read_system(name, folder, wanted, world, floor=FLOOR.value, velocities=AS_RELEASED.value)
        for name, folder in folders.items()
    ]
    if judge:
        print(workload(systems, prompts))
    out.mkdir(parents=True, exist_ok=True)
    report = evaluate(systems, prompts, columns, AS_RELEASED.value, SEED.value, PROMPTS.value)
    if votes:
        report["votes"] = agreement(report, votes)
    if store:
        report["gate"] = told(store)
    write_json(report, out / "report.json")
    markdown = writing.to_markdown(report)
    write_text(markdown, out / "report.md")
    writing.write_html(report, systems, out / "index.html")
    print(markdown)
    if store:
        print("\n".join(report["gate"]))
    print(f"{out}/report.json, report.md and index.html written")
    if not is_whole(report):
        raise SystemExit(SOMETHING_MISSING)


def open_priors(folder: str) -> Store:
    """A priors folder, where the flags beside it make sense."""
    if MOTIONS.value:
        raise BadInput("give either --motions or --priors")
    for branch in BRANCH.value:
        if branch not in BRANCHES:
            raise BadInput(f"--branch {branch!r} is not one of {', '.join(BRANCHES)}")
    if not BRANCH.value:
        raise BadInput(f"--branch is empty; choose from {', '.join(BRANCHES)}")
    return Store.open(folder)


def generate_branches(
    store: Store,
    prompts: Mapping[int, MBenchPrompt],
    scored: Collection[str],
    branches: dict[str, str],
) -> None:
    """Write the motions of each branch: those of the films alone are the readings themselves.

    A prompt without a reading has no motion of the films, and follows its text in the others.
    """
    generator = Generator.from_checkpoint(CHECKPOINT.value or "small")
    by_text = {prompt.text: id for id, prompt in prompts.items()}
    found = [entry for entry in store.entries()[0] if entry.prompt.text in by_text]
    entries = {by_text[entry.prompt.text]: entry for entry in found}
    if not entries:
        raise BadInput(f"{store.folder} holds none of the prompts that are scored")
    read = {id: motion for id, each in entries.items() if (motion := each.reference()) is not None}
    followed = {
        "text": {},
        "reference": read,
        "gated": {id: motion for id, motion in read.items() if entries[id].verdict[0] == YES},
    }
    for branch, folder in branches.items():
        if branch == "video":
            for id, motion in read.items():
                if prompts[id].category in scored:
                    Path(folder).mkdir(parents=True, exist_ok=True)
                    formats.write(motion, Path(folder) / f"{id}.npz")
            continue
        references = followed[branch]
        generate(generator, prompts, scored, folder, DETAILED.value, SEED.value, references)


def told(store: Store) -> list[str]:
    """What the gate decided, and what is to be said of the films."""
    entries, faults = store.entries()
    counts = Counter(entry.verdict[0] for entry in entries)
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    notes = {beside_published(entries), *(entry.note for entry in entries)} - {""}
    return [f"Verdicts: {said}.", *sorted(notes), *(f"Left out: {fault}" for fault in faults)]


def _advised(column: Dimension) -> Dimension:
    """A dimension that is not scored, saying too with which flag it would be."""
    flag = "nrdf" if column.category == "pose_quality" else "judge"
    return dataclasses.replace(column, note=f"{column.note}; give it with --{flag}")


if __name__ == "__main__":
    cli.run(main)
