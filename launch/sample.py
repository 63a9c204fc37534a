"""Turn sentences, or a noisy motion, into motion files and a web page that shows them.

python -m launch.sample "a person waves with the right hand." --out DIR
python -m launch.sample --priors DIR
"""

import dataclasses
import html
import itertools
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from data.priors.report import cards, summary, write_report_page
from data.priors.store import Entry, Store
from launch import cli, film_flags, motion_files, motion_flags, outputs
from launch.motion_files import FORMATS, PAGE, links
from vimogen_jax import formats
from vimogen_jax.animation import Animation
from vimogen_jax.body.mesh import Body
from vimogen_jax.body.smplx import load_smplx
from vimogen_jax.diffusion.solvers import PRESETS, SOLVERS
from vimogen_jax.directing.constraints import LEGS, Keep, marks, read_constraints
from vimogen_jax.directing.feet import clean_feet
from vimogen_jax.errors import BadInput
from vimogen_jax.files import lines_of, require_writable
from vimogen_jax.formats.look import SUFFIXES
from vimogen_jax.generator import (
    Generator,
    Request,
    changed,
    check_prompt,
    check_prompts,
    make_requests,
)
from vimogen_jax.long_motion import SEAM as USUAL_SEAM
from vimogen_jax.long_motion import check_seam, in_a_row
from vimogen_jax.mocap.film import is_film, open_film
from vimogen_jax.motion.motion import Motion
from vimogen_jax.viewer.page import Card, write_page

USUAL_SECONDS = 5.0
SOMETHING_MISSING = 2  # exit status: some of a priors folder is damaged, the rest was sampled
LONGEST_REFERENCE = 10.0  # seconds, which models learn

PROMPT = flags.DEFINE_multi_string("prompt", [], "a sentence; may be repeated")
PROMPTS = flags.DEFINE_string(
    "prompts", None, "text file with a sentence on each line; lines that begin with # are left out"
)
REFERENCE = flags.DEFINE_string(
    "reference",
    None,
    "noisy motion to refine (.bvh, .npz, .glb, .pt or .pkl), or a film of one, instead of prompts",
)
PRIORS = flags.DEFINE_string(
    "priors",
    None,
    "folder of launch.priors: refine the references with the verdict yes, else follow the texts",
)
READING = motion_flags.define_flags()
flags.DEFINE_alias("reference_fps", "fps")
SECONDS = flags.DEFINE_float(
    "seconds",
    None,
    "2 to 10: length of a prompt's motions, by default 5; or of a film, what to read",
)
THEN = flags.DEFINE_multi_string(
    "then",
    [],
    "a sentence to go on with, or a motion file to refine, in the same motion; may be repeated",
)
THEN_SECONDS = flags.DEFINE_multi_float(
    "then_seconds",
    [],
    "length of each --then, by default that of the first sentence, or the whole of a file",
)
SEAM = flags.DEFINE_integer("seam", USUAL_SEAM, "frames in which a --then grows out of the last")
CLEAN_FEET = flags.DEFINE_bool(
    "clean_feet",
    None,
    "bend legs so that standing feet stand; by default the sampler's, and not after a reference",
)
CONSTRAINTS = flags.DEFINE_string(
    "constraints", None, "JSON file of poses, places and paths that the motions are to meet"
)
EDIT = flags.DEFINE_string(
    "edit", None, "motion file to make a part of anew, by a sentence; with --gap or --keep"
)
GAP = flags.DEFINE_list("gap", [], "of --edit, what to fill in: from and until which second, A,B")
KEEP = flags.DEFINE_list("keep", [], "of --edit, joints that stay, or legs")
FILM = film_flags.define_flags(SECONDS, READING.fps, READING.person)
SAMPLES = flags.DEFINE_integer(
    "samples", 1, "how many motions to sample for each prompt or reference"
)
OUT = flags.DEFINE_string(
    "out",
    None,
    "folder to write to; by default out/ and the words of the first sentence, or DIR/motions",
)
CHECKPOINT = flags.DEFINE_string("checkpoint", "small", "checkpoint package or run folder")
ADAPTER = flags.DEFINE_string("adapter", None, "folder of a LoRA adapter to the checkpoint")
WANTED = motion_files.define_flag("glb,npz,html")
BODY = flags.DEFINE_string("body", None, "your SMPL-X or SMPL-H .npz, instead of our body")
SEED = flags.DEFINE_integer("seed", 0, "seed of the noise")
SAMPLER = flags.DEFINE_enum(
    "sampler", None, list(PRESETS), "solver and its settings; by default the checkpoint's"
)
STEPS = flags.DEFINE_integer("steps", None, "solver steps; by default the sampler's")
SOLVER = flags.DEFINE_enum("solver", None, SOLVERS, "solver; by default the sampler's")
GUIDANCE_SCALE = flags.DEFINE_float(
    "guidance_scale", None, "how strongly to follow the prompt; by default the sampler's"
)


@dataclasses.dataclass(frozen=True)
class Sampled:
    """A motion, what its files are called, what it shows in words, how it came about, what the page
    shows before it, and the marks that it was to meet."""

    name: str
    title: str
    motion: Motion
    provenance: Mapping[str, Any]
    before: Sequence[Card] = ()
    marks: Mapping[str, list] | None = None


def main(words: list[str]) -> None:
    """Check everything that was given, sample, write."""
    chosen = motion_files.check_formats(WANTED.value)
    body = load_smplx(BODY.value) if BODY.value else None
    if PRIORS.value:
        others = (REFERENCE, PROMPT, PROMPTS, SECONDS, THEN, CONSTRAINTS, EDIT, GAP, KEEP)
        if words or SAMPLES.value != 1 or any(flag.value for flag in others):
            raise BadInput("--priors says itself what is asked for, one motion of each sentence")
        sample_priors(PRIORS.value, chosen, body)
        return
    given, shown = None, ()
    if REFERENCE.value:
        if words or PROMPT.value or PROMPTS.value:
            raise BadInput("a motion follows either --reference or prompts, not both")
        given = read_reference(REFERENCE.value)
        titles = [f"{Path(REFERENCE.value).stem} refined"]
        shown = (Card(Path(REFERENCE.value).name, given, "as given"),)
    else:
        titles = read_prompts([*sentences(words), *PROMPT.value], PROMPTS.value)
    prompts = None if given else titles
    seconds = USUAL_SECONDS if SECONDS.value is None else SECONDS.value
    requests = make_requests(prompts, seconds, given, SAMPLES.value, SEED.value)
    acts = follow_ups(seconds)
    requests = directed(requests)
    titles = [in_a_row([title, *map(of_act, acts)]) for title in titles]
    names = motion_files.numbered(titles, SAMPLES.value)
    folder = OUT.value or os.path.join("out", names[0].rpartition("-")[0])
    out = outputs.files(folder, motion_files.all_files(names, chosen))
    generator = load_generator()
    if acts:
        stories = [[each, *drawn(acts, each, len(requests))] for each in requests]
        whole: dict[str, Any] = dict(
            seam=SEAM.value, constraints=requests[0].constraints, progress=True
        )
        free = [[dataclasses.replace(act, constraints=()) for act in story] for story in stories]
        motions = [generator.act(story, **whole) for story in free]
    else:
        stories = [[each] for each in requests]
        motions = generator(requests, progress=True)
    if not requests[0].constraints:  # else their fit has planted feet
        motions = as_wanted(motions, stories)
    repeated = [title for title in titles for _ in range(SAMPLES.value)]
    about = [provenance(generator, story) for story in stories]
    before = [shown, *[()] * (len(names) - 1)]
    seen = [marks(each.constraints) if each.constraints else None for each in requests]
    sampled = list(map(Sampled, names, repeated, motions, about, before, seen))
    for path in write(sampled, out, chosen, body):
        print(path)


def sample_priors(folder: str, chosen: Sequence[str], body: Body | None) -> None:
    """Sample what a priors folder asks for, and tell which references were followed.

    The motions are kept in the folder too, whose page then shows them.
    """
    entries, faults = Store.open(folder).entries()
    require_writable(folder, [PAGE])
    if not entries:
        raise BadInput(faults[0] if faults else f"{folder} holds no prompts")
    for fault in faults:
        print(f"left out: {fault}", file=sys.stderr)
    titles = [entry.prompt.text for entry in entries]
    names = motion_files.numbered(titles, 1)
    files = motion_files.all_files(names, chosen)
    out = outputs.files(OUT.value or os.path.join(folder, "motions"), files)
    requests = [entry.request(seed=SEED.value, draw=draw) for draw, entry in enumerate(entries)]
    generator = load_generator()
    started = time.monotonic()
    motions = as_wanted(generator(requests, progress=True), [[each] for each in requests])
    seconds = (time.monotonic() - started) / len(motions)
    gates = list(map(gated, entries, requests))
    about = [
        provenance(generator, [request]) | dict(gate=gate)
        for request, gate in zip(requests, gates, strict=True)
    ]
    before = [cards(entry, out) for entry in entries]
    sampled = list(map(Sampled, names, titles, motions, about, before))
    for path in write(sampled, out, chosen, body):
        print(path)
    for entry, motion, each in zip(entries, motions, about, strict=True):
        entry.keep_final(motion, each, seconds)
    write_report_page(entries, summary(entries, faults), Path(folder) / PAGE)
    for name, gate in zip(names, gates, strict=True):
        why = " ".join(gate["why"].split())[:120]
        print(f"{name} follows {gate['follows']}; verdict: {gate['verdict']}, {why}")
    for note in sorted({gate["note"] for gate in gates} - {""}):
        print(f"note: {note}")
    if faults:
        raise SystemExit(SOMETHING_MISSING)


def as_wanted(
    motions: Sequence[Animation], stories: Sequence[Sequence[Request]]
) -> list[Animation]:
    """The motions, with clean feet where that is asked for also of those that follow references,
    which no sampler cleans."""
    wanted = [CLEAN_FEET.value and follows_reference(story) for story in stories]
    cleaned = iter(clean_feet(list(itertools.compress(motions, wanted))))
    return [
        Animation.of(next(cleaned), motion.caption) if wants else motion
        for motion, wants in zip(motions, wanted, strict=True)
    ]


def follows_reference(story: Sequence[Request]) -> bool:
    """Whether an act of a story does."""
    return any(act.reference is not None for act in story)


def gated(entry: Entry, request: Request) -> dict[str, str]:
    """What the gate decided on a prompt, as a motion's file says it."""
    verdict, why = entry.verdict
    follows = "the text" if request.reference is None else "the reference"
    said = dict(sentence=entry.prompt.text, follows=follows, verdict=verdict, why=why)
    return said | dict(note=entry.note)


def read_reference(path: str) -> Motion:
    """The motion to refine, of a file or of a film, which is told then.

    Raises BadInput where it cannot be read, or where a film has more than one motion needs.
    """
    if not is_film(path):
        return READING.motion(path)
    lasts = open_film(path, READING.fps.value).seconds - FILM.start.value
    if min(lasts, SECONDS.value or lasts) > LONGEST_REFERENCE:
        raise BadInput(
            f"{path}: goes on for {lasts:.1f} s, of which a reference can have "
            f"{LONGEST_REFERENCE:g}: choose them by --start and --seconds"
        )
    readings = FILM.readings(path)
    if len(readings) > 1:
        parts = ", ".join(f"{each.start:.1f} s" for each in readings)
        raise BadInput(
            f"{path}: has {len(readings)} parts with a person, from {parts}: choose one by --start "
            "and --seconds"
        )
    print(f"{path}: {readings[0]}")
    return readings[0].motion


def load_generator() -> Generator:
    """The checkpoint's generator, with another sampler where one is asked for."""
    generator = Generator.from_checkpoint(CHECKPOINT.value, ADAPTER.value)
    preset = PRESETS[SAMPLER.value] if SAMPLER.value else generator.package.sampler
    sampler = changed(
        preset,
        steps=STEPS.value,
        solver=SOLVER.value,
        guidance_scale=GUIDANCE_SCALE.value,
        clean_feet=CLEAN_FEET.value,
    )
    return Generator(dataclasses.replace(generator.package, sampler=sampler))


def directed(requests: Sequence[Request]) -> list[Request]:
    """The requests with what --constraints and --edit ask for; BadInput where one cannot be."""
    constraints = read_constraints(CONSTRAINTS.value) if CONSTRAINTS.value else []
    changes: dict[str, Any] = {}
    if EDIT.value:
        if not GAP.value and not KEEP.value:
            raise BadInput(f"nothing of {EDIT.value} is to be made anew: give --gap or --keep")
        try:
            start, end = map(float, GAP.value) if GAP.value else (0.0, 0.0)
        except ValueError:
            raise BadInput(f"--gap is two times, A,B, not {','.join(GAP.value)!r}") from None
        joints = [joint for name in KEEP.value for joint in (LEGS if name == "legs" else [name])]
        gap = (start, end) if GAP.value else None
        constraints.append(Keep(EDIT.value, tuple(joints), gap))
        if READING.given:
            raise BadInput(
                f"{EDIT.value}: a file that is edited has to say all of itself: launch.view writes "
                "one that does by these flags and --to=npz"
            )
        lasts = formats.read(EDIT.value).seconds
        if SECONDS.value is not None and abs(SECONDS.value - lasts) > 0.05:
            asked = f"--seconds asks for {SECONDS.value:g}"
            raise BadInput(
                f"{EDIT.value}: lasts {lasts:g} s, which an edited motion keeps; {asked}"
            )
        changes = dict(seconds=lasts)
    elif GAP.value or KEEP.value:
        raise BadInput("--gap and --keep are of --edit, which names the motion file")
    changes |= dict(constraints=tuple(constraints))
    return [dataclasses.replace(each, **changes) for each in requests]


def follow_ups(seconds: float) -> list[Request]:
    """The acts that follow the first, of one seed and draw; BadInput where one cannot be."""
    lengths = THEN_SECONDS.value or [seconds] * len(THEN.value)
    if len(lengths) != len(THEN.value):
        raise BadInput(f"--then_seconds has {len(lengths)} lengths for {len(THEN.value)} --then")
    check_seam(SEAM.value)
    if SEAM.present and not THEN.value:
        raise BadInput("--seam is of --then, of which there is none")
    acts = []
    for then, length in zip(THEN.value, lengths, strict=True):
        if os.path.isfile(then) or Path(then).suffix.lower() in SUFFIXES or os.path.isabs(then):
            motion = READING.motion(then)
            if THEN_SECONDS.value:
                if not 0 < length <= motion.seconds + 0.05:
                    asked = f"--then_seconds asks for {length:g}"
                    raise BadInput(f"{then}: lasts {motion.seconds:g} s, of which {asked}")
                motion = motion[: round(length * motion.fps)]
            acts.append(Request(reference=motion))
        else:
            acts.append(Request(check_prompt(then, "what --then says"), seconds=length))
    return acts


def of_act(act: Request) -> str:
    """An act in words."""
    return act.text or "as in a file"


def drawn(acts: Sequence[Request], first: Request, stories: int) -> list[Request]:
    """The acts with noise of their own, of the seed of what they follow."""
    return [
        dataclasses.replace(act, seed=first.seed, draw=first.draw + number * stories)
        for number, act in enumerate(acts, start=1)
    ]


def provenance(generator: Generator, story: Sequence[Request]) -> dict[str, Any]:
    """How the motion of a story's acts comes about, with the names of what was given."""
    request, *then = story
    given = dict(
        reference=REFERENCE.value,
        constraints=CONSTRAINTS.value,
        edit=EDIT.value,
        checkpoint=CHECKPOINT.value,
        adapter=ADAPTER.value,
    )
    names = {key: os.path.basename(os.path.abspath(path)) for key, path in given.items() if path}
    cleaned = CLEAN_FEET.value or bool(request.constraints)  # with which their fit ends
    cleaned |= generator.model.sampler.clean_feet and not follows_reference(story)
    about = generator.provenance(request) | names | dict(clean_feet=cleaned)
    if then:
        said = ("prompt", "seconds", "seed", "draw")
        acts = [generator.provenance(act) for act in then]
        about |= dict(seam=SEAM.value, then=[{key: act[key] for key in said} for act in acts])
    return about


def sentences(words: list[str]) -> list[str]:
    """What stands beside the flags: a sentence each, or one of single words without quotes."""
    return (
        [" ".join(words)] if words and not any(len(word.split()) > 1 for word in words) else words
    )


def read_prompts(prompts: list[str], path: str | None) -> list[str]:
    """The prompts given one by one, then those in the file; BadInput where there is none."""
    lines = []
    for number, line in lines_of(path) if path else ():
        if not line.lstrip().startswith("#"):
            lines.append(check_prompt(line, f"{path}: line {number}"))
    if path and not lines:
        raise BadInput(f"{path} holds no sentence")
    if not prompts and not path:
        raise BadInput("nothing to do: give a sentence, --prompts FILE or --reference FILE")
    return [*(check_prompts(prompts) if prompts else ()), *lines]


def write(
    sampled: Sequence[Sampled], out: Path, chosen: Sequence[str], body: Body | None
) -> Iterator[Path]:
    """Write motions, and a page of them and what is before each; yields each file that is whole."""
    out.mkdir(parents=True, exist_ok=True)
    for form in chosen:
        if form == "html":
            write_index(sampled, out / PAGE, body, chosen)
            yield out / PAGE
            continue
        for each in sampled:
            path = out / f"{each.name}{FORMATS[form][0]}"
            motion_files.write(each.motion, path, each.provenance, each.title, body)
            yield from (out / f"{each.name}{end}" for end in FORMATS[form])


def write_index(
    sampled: Sequence[Sampled], path: Path, body: Body | None, chosen: Sequence[str]
) -> None:
    """Write the page, which says in its head what the motions have in common."""
    cards: list[Card] = []
    for each in sampled:
        cards += each.before
        facts = f"seed {each.provenance['seed']}, draw {each.provenance['draw']}"
        if gate := each.provenance.get("gate"):
            facts = f"follows {gate['follows']}, {facts}"
        files = links(each.name, chosen)
        cards.append(Card(each.title, each.motion, facts, files, marks=each.marks))
    about = sampled[0].provenance
    model, sampler, versions = about["model"], about["sampler"], about["versions"]
    shared = [
        f"checkpoint {about['checkpoint']}, step {model['step']}, weights {model['weights'][:12]}",
        f"licence {model['licence']}" if model["licence"] else "",
        f"{sampler['steps']} steps of {sampler['solver']}, guidance {sampler['guidance_scale']:g}",
        f"vimogen_jax {versions['vimogen_jax']}",
    ]
    header = f"<p>{html.escape('; '.join(filter(None, shared)))}</p>"
    write_page(cards, path, body, header)


if __name__ == "__main__":
    cli.run(main, takes_words=True)
