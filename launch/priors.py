"""Take sentences through text-to-video, motion capture and a judge to reference motions.

python -m launch.priors --prompts FILE --out DIR
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from absl import flags

from data.adapters import llm, mocap, t2v, vlm
from data.adapters.vlm.judge import Judge
from data.priors import report, verdicts
from data.priors.prompts import read_prompts
from data.priors.run import Stage, run
from data.priors.stages import QualityStage, ReferenceStage, TextsStage, VerdictStage, VideoStage
from data.priors.store import Entry, Store
from data.priors.texts import Template
from launch import cli
from vimogen_jax.errors import BadInput
from vimogen_jax.files import write_json, write_text
from vimogen_jax.matcher import Matcher

SOMETHING_MISSING = 2  # exit status: all was tried, but not everything could be made

PROMPTS = flags.DEFINE_string(
    "prompts",
    None,
    "text file with a sentence on each line, .jsonl of launch.prompts, or MBench_final.json",
    required=True,
)
OUT = flags.DEFINE_string("out", None, "priors folder, made or gone on with", required=True)
VIDEO = flags.DEFINE_string("video", "rendered", f"where films come from: {t2v.FORMS}, or none")
MOCAP = flags.DEFINE_string("mocap", "embedded", f"who reads motions of them: {mocap.FORMS}")
JUDGES = f"matcher, matcher:PACKAGE, none, published, {vlm.FORMS}"
JUDGE = flags.DEFINE_string(
    "judge",
    "matcher",
    f"who judges whether references show their sentences: {JUDGES}",
)
JUDGE_URL = flags.DEFINE_string(
    "judge_url", None, "URL of the judge's server, if not the usual one"
)
LOOKS_AT = flags.DEFINE_enum(
    "looks_at",
    "reference",
    ["reference", "video"],
    "what a model that judges sees: the reference, drawn, as ViMoGen's release does, or the film",
)
WRITER = flags.DEFINE_string(
    "writer", "template", f"who writes the texts of sentences that come without: {llm.FORMS}"
)
WRITER_URL = flags.DEFINE_string("writer_url", None, "URL of the writer's server")
SECONDS = flags.DEFINE_float("seconds", 5.0, "length of motions whose list says none", 2.0, 10.0)
FPS = flags.DEFINE_float(
    "fps", None, "frame rate of motions that do not say theirs; by default that of the film", 1.0
)
CHECKPOINT = flags.DEFINE_string("checkpoint", "small", "whose motions --video=rendered films")
OFFLOAD = flags.DEFINE_enum(
    "offload",
    "none",
    ["none", "model", "layers"],
    "what of Wan waits in the host's memory: nothing, models or single layers",
)
LIMIT = flags.DEFINE_float("limit", 3600.0, "seconds that a command may take for one film", 0.1)
RETRY = flags.DEFINE_bool("retry", False, "try again what failed before")


def main() -> None:
    """Check everything that was given, run the stages, report."""
    out = cli.report_folder(OUT.value)
    prompts, faults = read_prompts(Path(PROMPTS.value), SECONDS.value)
    for fault in faults:
        print(f"left out: {fault}", file=sys.stderr)
    stages = list(open_stages(out))
    entries = Store(out).add(prompts)
    told = run(entries, stages, RETRY.value)
    for sentence in told:
        print(f"warning: {sentence}", file=sys.stderr)
    found = report.summary(entries, [*faults, *told])
    write(entries, found, out)
    print(report.to_markdown(found))
    print(f"{out}/report.json, report.md and index.html written")
    if faults or any(stage["failed"] for stage in found["stages"].values()):
        raise SystemExit(SOMETHING_MISSING)


def open_stages(out: Path) -> Iterator[Stage]:
    """The stages that the flags ask for; raises BadInput where one cannot work."""
    filmed = VIDEO.value != "none"
    yield TextsStage(llm.open_writer(WRITER.value, WRITER_URL.value) or Template())
    if filmed:
        yield VideoStage(t2v.open_video(VIDEO.value, LIMIT.value, CHECKPOINT.value, OFFLOAD.value))
    elif not MOCAP.value.startswith("folder:"):
        raise BadInput("without films, motions come from --mocap=folder:DIR")
    yield ReferenceStage(mocap.open_mocap(MOCAP.value, LIMIT.value, FPS.value), filmed)
    yield QualityStage()
    if decider := open_decider(out):
        yield VerdictStage(decider)


def open_decider(out: Path) -> verdicts.Decider | None:
    """Who decides; None where nobody does."""
    if JUDGE_URL.value and JUDGE.value.partition(":")[0] in ("none", "published", "matcher"):
        raise BadInput("--judge_url says where a judge is; say with --judge who it is")
    kind, _, package = JUDGE.value.partition(":")
    match kind:
        case "none":
            return None
        case "published":
            return verdicts.Published()
        case "matcher":
            return verdicts.Matched(Matcher.from_checkpoint(package or "matcher"))
    model = vlm.open_model(JUDGE.value, JUDGE_URL.value)
    looks_at: verdicts.LooksAt = "video" if LOOKS_AT.value == "video" else "reference"
    return verdicts.Viewer(Judge(model, out / "answers"), looks_at)


def write(entries: list[Entry], found: dict, out: Path) -> None:
    """Write the report, and the page where there is something to show."""
    write_json(found, out / "report.json")
    write_text(report.to_markdown(found) + "\n", out / "report.md")
    report.write_report_page(entries, found, out / "index.html")


if __name__ == "__main__":
    cli.run(main)
