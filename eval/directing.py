"""Is a directed motion as good as a free one? Constraints met, parts made anew, seams, clean feet.

Constraints are taken from held-out takes, and their captions and lengths with them, so they can be
met. Beside ours stands plain replacement: the values put into every prediction, nothing else.
"""

import dataclasses
import os
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from eval.action_following import ActionClassifier
from eval.real_motions import RealMotion
from vimogen_jax import formats
from vimogen_jax.body.rotations import matrix_to_axis_angle
from vimogen_jax.body.skeleton import JOINT_NAMES, REST_JOINTS
from vimogen_jax.directing.constraints import (
    LEGS,
    Constraint,
    Facing,
    Keep,
    Place,
    Pose,
    Route,
)
from vimogen_jax.directing.feet import clean_feet
from vimogen_jax.directing.goals import Goals
from vimogen_jax.generator import Generator, Request
from vimogen_jax.long_motion import FREE, SEAM, join, play
from vimogen_jax.metrics.joint_error import root_relative_joint_error, turned_alike
from vimogen_jax.metrics.motion_quality import foot_floating, foot_sliding, jitter
from vimogen_jax.motion.canonical import canonicalize
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.resample import at_times
from vimogen_jax.sampling import EncodedRequest

SETS = 100
STORIES, ACTS, SECONDS = 34, 4, 3.0  # 102 seams
MIXED = 12  # stories of a sentence, a reference and a sentence
ENDS = ("left_wrist", "right_wrist", "left_foot", "right_foot")
GAP = 1.0  # seconds, amid a take, that are filled in
EDGE = 3  # frames to each side of where a gap begins and ends
REPLACEMENT = (0.1,)  # frames: nothing around what is known goes along


def constraints_of(motion: Motion, kind: int, rng: np.random.Generator) -> list[Constraint]:
    """Two whole poses, a path with times, or a place of a hand or foot and a facing, as they are in
    a motion."""
    frames, joints = motion.num_frames, motion.joints()
    at = np.sort(rng.choice(np.arange(10, frames), 2, replace=False))
    if kind == 0:
        turns = matrix_to_axis_angle(motion.rotations)
        return [
            Pose(
                frame / motion.fps,
                rotations=dict(zip(JOINT_NAMES, turns[frame].tolist(), strict=True)),
                place=tuple(joints[frame, 0].tolist()),
            )
            for frame in at
        ]
    if kind == 1:
        chosen = np.unique(np.append(np.arange(0, frames, 10), frames - 1))
        points = joints[chosen, 0, :2].astype(float) + 1e-6 * np.arange(len(chosen))[:, None]
        return [Route(tuple(map(tuple, points.tolist())), tuple((chosen / motion.fps).tolist()))]
    end = rng.choice(ENDS)
    place = tuple(joints[at[0], JOINT_NAMES.index(end)].tolist())
    across = joints[at[1], 2, :2] - joints[at[1], 1, :2]
    facing = float(np.degrees(np.arctan2(across[1], across[0])))
    return [Place(at[0] / motion.fps, end, place), Facing(at[1] / motion.fps, facing)]


def misses(motion: Motion, goals: Goals) -> dict[str, float]:
    """Mean distance in metres from each kind of goal that there is."""
    joints, found = motion.joints(), {}
    off = np.linalg.norm(np.where(goals.placed, joints - goals.positions, 0), axis=-1)
    posed = goals.turned.all(-1)
    if posed.any():
        wanted = Motion(
            goals.rotations, goals.positions[:, 0] - REST_JOINTS[0], motion.fps
        ).joints()
        found["pose"] = float(np.linalg.norm(wanted - joints, axis=-1)[posed].mean())
    elif goals.placed[:, 0].any():
        found["path"] = float(off[goals.placed[:, 0].any(-1), 0].mean())
    elif goals.placed.any():
        found["place"] = float(off[goals.placed.any(-1)].mean())
    return found


def free_requests(takes: Sequence[RealMotion]) -> list[Request]:
    """Motions of the captions and lengths of takes."""
    return [Request(take.caption, seconds=take.seconds, draw=i) for i, take in enumerate(takes)]


def measure_constraints(
    generator: Generator,
    takes: Sequence[RealMotion],
    free: Sequence[Motion],
    judge: ActionClassifier,
    seed: int,
) -> dict[str, Any]:
    """Motions that meet constraints taken from takes, beside the `free` ones of their captions."""
    rng = np.random.default_rng(seed)
    directed = [
        dataclasses.replace(each, constraints=constraints_of(canonicalize(take.motion), i % 3, rng))
        for i, (each, take) in enumerate(zip(free_requests(takes), takes, strict=True))
    ]
    encoded = generator.encode(directed)
    goals = [each.goals for each in encoded if each.goals]
    replaced = dataclasses.replace(generator.model, goes_along=REPLACEMENT)
    made = dict(
        free=free,
        replacement=replaced.motions(encoded, progress=True),
        met=generator(directed, progress=True),
    )
    report: dict[str, Any] = {"sets": len(takes)}
    for name, motions in made.items():
        off = [misses(motion, each) for motion, each in zip(motions, goals, strict=True)]
        kinds = {
            kind: [each[kind] for each in off if kind in each] for kind in ("pose", "path", "place")
        }
        right = judge.predict(motions) == np.array([take.action for take in takes])
        report[name] = moves(motions) | dict(recognised=float(right.mean()))
        report[name] |= {kind: float(np.mean(values)) for kind, values in kinds.items() if values}
        report[name] |= {f"{kind}_worst": max(values) for kind, values in kinds.items() if values}
    return report


def measure_edits(
    generator: Generator,
    takes: Sequence[RealMotion],
    free: Sequence[Motion],
    judge: ActionClassifier,
) -> dict[str, Any]:
    """Takes of which a part is made anew by their captions. A `gap` amid them, beside the takes as
    they are and with poses passing straight from its one end to the other; all but the `legs`,
    beside the takes and the `free` motions of their captions."""
    real = [canonicalize(take.motion) for take in takes]
    half = round(GAP * generator.model.fps) // 2
    gaps = [(each.num_frames // 2 - half, each.num_frames // 2 + half) for each in real]
    with tempfile.TemporaryDirectory() as folder:
        files = [os.path.join(folder, f"{i}.npz") for i in range(len(real))]
        for motion, file in zip(real, files, strict=True):
            formats.write(motion, file)
        seconds = [(start / real[0].fps, end / real[0].fps) for start, end in gaps]
        filling = [Keep(file, gap=gap) for file, gap in zip(files, seconds, strict=True)]
        dressing = [Keep(file, LEGS) for file in files]
        filled, edited = (
            generator(
                [
                    dataclasses.replace(each, constraints=[keep])
                    for each, keep in zip(free_requests(takes), kept, strict=True)
                ],
                progress=True,
            )
            for kept in (filling, dressing)
        )
    asked = np.array([take.action for take in takes])
    right = lambda motions: float((judge.predict(motions) == asked).mean())
    legs = [JOINT_NAMES.index(name) for name in LEGS]
    around = [np.r_[a - EDGE : a + EDGE, b - EDGE : b + EDGE] - 1 for a, b in gaps]

    def of_gaps(motions: Sequence[Motion]) -> dict[str, float]:
        joints = [motion.joints() for motion in motions]
        within = [each[a - 1 : b + 1] for each, (a, b) in zip(joints, gaps, strict=True)]
        off = [
            np.linalg.norm(np.delete(each - take.joints(), np.r_[a:b], axis=0), axis=-1).max()
            for each, take, (a, b) in zip(joints, real, gaps, strict=True)
        ]
        peaks = [_accelerations(each)[at].max() for each, at in zip(joints, around, strict=True)]
        return dict(
            kept=float(np.max(off)),
            edges=float(np.mean(peaks)),
            jitter=float(np.mean(list(map(jitter, within)))),
            foot_sliding=float(np.mean(list(map(foot_sliding, within)))),
            recognised=right(motions),
        )

    def of_legs(motions: Sequence[Motion]) -> dict[str, float]:
        off = [
            np.linalg.norm((motion.joints() - take.joints())[:, legs], axis=-1).max()
            for motion, take in zip(motions, real, strict=True)
        ]
        return dict(kept=float(np.max(off)), recognised=right(motions)) | moves(motions)

    return dict(
        takes=len(takes),
        gap=dict(
            real=of_gaps(real),
            straight=of_gaps(list(map(_straight, real, gaps))),
            filled=of_gaps(filled),
        ),
        legs=dict(real=of_legs(real), free=of_legs(free), edited=of_legs(edited)),
    )


def _straight(motion: Motion, gap: tuple[int, int]) -> Motion:
    """The motion with the poses of a gap on the straight way from that before to that after it."""
    before, after = gap[0] - 1, gap[1]
    rotations, transl = motion.rotations.copy(), motion.transl.copy()
    ends = Motion(rotations[[before, after]], transl[[before, after]], 1.0)
    way = at_times(ends, np.linspace(0, 1, after - before + 1))
    rotations[before : after + 1], transl[before : after + 1] = way.rotations, way.transl
    return dataclasses.replace(motion, rotations=rotations, transl=transl)


def measure_seams(
    generator: Generator, takes: Sequence[RealMotion], judge: ActionClassifier, seed: int
) -> dict[str, Any]:
    """Stories of acts after each other, and the acts alone."""
    rng = np.random.default_rng(seed)
    acts = [[takes[i] for i in rng.choice(len(takes), ACTS)] for _ in range(STORIES)]
    stories = [
        generator.story([(take.caption, SECONDS) for take in story], seed=seed + i)
        for i, story in enumerate(acts)
    ]
    motions = _played(generator, stories)
    together = [part for motion in motions for part in _acts(motion)]
    flat = [take for story in acts for take in story]
    alone = generator([take.caption for take in flat], SECONDS, seed=seed, progress=True)
    asked = np.array([take.action for take in flat])
    return dict(
        seams=STORIES * (ACTS - 1),
        **_peaks(motions),
        recognised_alone=float((judge.predict(alone) == asked).mean()),
        recognised=float((judge.predict(together) == asked).mean()),
    )


def measure_mixed(generator: Generator, takes: Sequence[RealMotion], seed: int) -> dict[str, Any]:
    """References between sentences: how far a window lies from its own, in metres of joints root to
    root with one turn about the vertical taken out, beside what is made of that alone."""
    rng = np.random.default_rng(seed)
    chosen = [[takes[i] for i in rng.choice(len(takes), 3)] for _ in range(MIXED)]
    fps = generator.model.fps
    length = round(SECONDS * fps)
    shown = [
        Request(reference=take.motion[:length], seed=seed + i, draw=1)
        for i, (_, take, _) in enumerate(chosen)
    ]
    stories = [
        generator.story(
            [(before.caption, SECONDS), request, (after.caption, SECONDS)], seed=request.seed
        )
        for request, (before, _, after) in zip(shown, chosen, strict=True)
    ]
    motions = _played(generator, stories)

    def error(motion: Motion, request: Request) -> float:
        """After the frames in which a reference between others is not followed."""
        assert request.reference is not None
        joints, truth = motion[FREE:].joints(), request.reference[FREE:].joints()
        return float(root_relative_joint_error(turned_alike(joints, truth), truth))

    within = [motion[length : 2 * length] for motion in motions]
    return dict(
        stories=MIXED,
        **_peaks(motions),
        error=float(np.mean(list(map(error, within, shown)))),
        error_alone=float(np.mean(list(map(error, generator(shown, progress=True), shown)))),
    )


def _played(generator: Generator, stories: Sequence[Sequence[EncodedRequest]]) -> list[Motion]:
    """The motions of stories."""
    parts: list[list[Motion]] = [[] for _ in stories]
    for made in play(generator.model, stories, progress=True):
        for story, part in zip(parts, made, strict=True):
            story += [part] if part else []
    return list(map(join, parts))


def _peaks(stories: Sequence[Motion]) -> dict[str, float]:
    """The greatest accelerations at each seam, and of as many frames after it: means, and medians,
    which one bad frame does not move."""
    seams, elsewhere = [], []
    for story in stories:
        peaks = _accelerations(story.joints()).max(axis=-1)
        length = round(SECONDS * story.fps)
        for end in range(length, story.num_frames, length):
            seams.append(peaks[end - SEAM - 2 : end + 2].max())
            elsewhere.append(peaks[end + 2 : end + SEAM + 6].max())
    return dict(
        at_seams=float(np.mean(seams)),
        elsewhere=float(np.mean(elsewhere)),
        at_seams_median=float(np.median(seams)),
        elsewhere_median=float(np.median(elsewhere)),
    )


def _acts(story: Motion) -> list[Motion]:
    """The acts of a story, each its own seconds: a judge takes what it sees of the act before for
    a part of this one, of real takes too."""
    length = round(SECONDS * story.fps)
    return [story[start : start + length] for start in range(0, story.num_frames, length)]


def measure_feet(motions: Sequence[Motion], real: Sequence[Motion]) -> dict[str, Any]:
    """Free motions as they are and with feet cleaned, and the takes that gave their sentences."""
    return dict(real=moves(real), free=moves(motions), cleaned=moves(clean_feet(motions)))


def moves(motions: Sequence[Motion]) -> dict[str, float]:
    """Means of the greatest acceleration, of that where motions begin and end, of jitter, and of
    what feet do."""
    measured = dict(
        peak=lambda joints: _accelerations(joints).max(),
        ends=lambda joints: _accelerations(joints)[[0, 1, -2, -1]].max(),
        jitter=jitter,
        foot_sliding=foot_sliding,
        foot_floating=foot_floating,
    )
    joints = [motion.joints() for motion in motions]
    return {name: float(np.mean([of(each) for each in joints])) for name, of in measured.items()}


def _accelerations(joints: np.ndarray) -> np.ndarray:
    return np.linalg.norm(np.diff(joints, 2, axis=0), axis=-1)
