"""How long MBench takes on this machine, by made-up motions of the published lengths."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from flax import nnx

from eval.bodies import Bodies
from eval.mbench.dimensions import motion_dimensions
from eval.mbench.pose import pose_dimensions
from eval.mbench.prompts import MBenchPrompt, asked
from eval.mbench.report import write_html
from eval.mbench.scoring import evaluate
from eval.score_cache import ScoreCache
from eval.systems import Clip, read_system
from eval.videos import render
from vimogen_jax.body.axes import Y_UP_TO_Z_UP
from vimogen_jax.body.mesh import builtin_body
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.metrics.body_fit import fit
from vimogen_jax.metrics.nrdf import NRDF
from vimogen_jax.metrics.penetration import penetration
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.representation import FPS

# How many of the published prompts last so many seconds.
SECONDS = {
    "motion_quality": {3: 4, 4: 45, 5: 34, 6: 31, 7: 32, 8: 1, 10: 3},
    "pose_quality": {3: 6, 4: 29, 5: 27, 6: 19, 7: 14, 8: 2, 9: 1, 10: 2},
    "consistency": {3: 7, 4: 51, 5: 24, 6: 10, 7: 8},
    "generalizability": {3: 2, 4: 50, 5: 27, 6: 10, 7: 10, 10: 1},
}
JUDGED = "consistency", "generalizability"


def benchmark(every: int) -> Iterator[str]:
    """Measure, and say in a line each: motion quality, the fit of bodies and their penetration;
    then a run without a judge, and rendering.

    Of the published prompts only every n-th is measured, and the rest counted with them.
    """
    yield motion_quality()
    yield from poses()
    prompts = published_lengths(every)
    with tempfile.TemporaryDirectory() as folder:
        motions = Path(folder) / "motions"
        _write(prompts, motions)
        first = _run(prompts, motions)
        # What is compiled is compiled once: the rest of the motions take as long as these again.
        again = _run(prompts, motions) if every > 1 else first
        yield _line(
            "five dimensions of 150 motions, two with the fit of 100, and the report",
            every,
            first + (every - 1) * again,
        )
        system = read_system("made up", motions, asked(prompts))
        clips = {id: system.clips[id] for id, each in prompts.items() if each.category in JUDGED}
        start = _clocks()
        render(clips, Path(folder) / "videos")
        yield _line("videos of 200 judged motions", every, every * (_clocks() - start))


def _clocks() -> np.ndarray:
    """Seconds by the clock, and of the processors by this process and those that it waited for:
    the machine may have other work."""
    children = os.times()  # to a hundredth of a second
    used = time.process_time() + children.children_user + children.children_system
    return np.array([time.perf_counter(), used])


def _best(measured: Callable[[], object], repeats: int) -> np.ndarray:
    """The least that both clocks show of several calls."""
    spent = []
    for _ in range(repeats):
        start = _clocks()
        measured()
        spent.append(_clocks() - start)
    return np.min(spent, axis=0)


def _line(what: str, every: int, taken: np.ndarray) -> str:
    share = "" if every == 1 else f" (one motion in {every} measured)"
    clock, processors = taken / 60
    return f"{what}{share}: {clock:.1f} minutes; {processors:.1f} minutes of processor time"


def motion_quality(motions: int = 150, frames: int = 100, repeats: int = 30) -> str:
    """How fast the dimensions of motion quality score motions of 100 frames."""
    steps = np.random.default_rng(0).normal(size=(motions, frames, 22, 3)) * 0.01
    clips = [Clip("", joints.astype(np.float32)) for joints in np.cumsum(steps, axis=1)]
    scores = [column.score for column in motion_dimensions() if column.score]
    clock, process = _best(lambda: [score(clips, ()) for score in scores], repeats) / motions
    return (
        f"{len(scores)} dimensions of {motions} motions of {frames} frames, best of {repeats}: "
        f"{1 / clock:,.0f} motions a second, {1000 * clock:.4f} ms each; "
        f"{1000 * process:.4f} ms of processor time each"
    )


def poses(frames: int = 100, repeats: int = 5) -> Iterator[str]:
    """How fast bodies are fitted to a motion's joints, once compiled, and looked through."""
    motion = _wanderer(frames, np.random.default_rng(0))
    joints, mask = motion.joints()[None], np.ones((1, frames), bool)
    (fitted,) = fit(joints, mask, FPS)
    body = builtin_body()
    vertices = body.pose(fitted.rotations, fitted.joints()[:, 0])
    for what, measured, count in (
        (f"fitting a body to {frames} frames", lambda: fit(joints, mask, FPS), 1),
        ("body penetration, each frame", lambda: penetration(vertices, body.faces), frames),
    ):
        clock, process = _best(measured, repeats) / count
        yield f"{what}, best of {repeats}: {clock:.4f} s; {process:.4f} s of processor time"


def published_lengths(every: int) -> dict[int, MBenchPrompt]:
    """Every n-th of prompts as many and as long as the published ones, from short to long."""
    chosen = [
        (category, seconds)
        for category, counts in SECONDS.items()
        for seconds in np.repeat(list(counts), list(counts.values()))[every // 2 :: every]
    ]
    return {
        id: MBenchPrompt(id, category, "made up", float(seconds))
        for id, (category, seconds) in enumerate(chosen)
    }


def _write(prompts: Mapping[int, MBenchPrompt], folder: Path) -> None:
    """Joints of somebody who wanders, for each prompt."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for prompt in prompts.values():
        joints = _wanderer(round(prompt.seconds * FPS), rng).joints()
        np.save(folder / f"{prompt.id}.npy", joints - [0, 0, joints[..., 2].min()])


def _wanderer(frames: int, rng: np.random.Generator) -> Motion:
    """Somebody who wanders over the floor and moves every limb."""
    moment = np.arange(frames)[:, None, None] / FPS
    waves = [
        np.sin(2 * np.pi * (n * moment / 3 + rng.uniform(size=(22, 3)))) * rng.normal(size=(22, 3))
        for n in (1, 2)
    ]
    angles = 0.25 * np.sum(waves, axis=0)
    angles[:, 0] = 0
    rotations = axis_angle_to_matrix(angles)
    rotations[:, 0] = Y_UP_TO_Z_UP
    return Motion(rotations, 0.5 * moment[:, 0] * [0, 1, 0], FPS)


def _run(prompts: Mapping[int, MBenchPrompt], motions: Path) -> np.ndarray:
    """Time from the files to the report. NRDF's weights are random: it is as fast with them."""
    start = _clocks()
    with tempfile.TemporaryDirectory() as folder:
        nrdf = NRDF(rngs=nnx.Rngs(0))
        pose = pose_dimensions(Bodies(), ScoreCache(Path(folder) / "poses.json"), nrdf)
        system = read_system("made up", motions, asked(prompts))
        report = evaluate([system], prompts, [*motion_dimensions(), *pose])
        write_html(report, [system], Path(folder) / "index.html")
    return _clocks() - start
