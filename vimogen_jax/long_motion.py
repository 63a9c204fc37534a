"""Motions of any length: windows of the model's own length, each begun by the end of the last.

The last frames of a motion, its *seam*, are the first of the next window, in the window's own
frame: they are held while it is sampled. What comes is laid on the seam, blended in over it, and
smoothed where it ends.
Nothing but the seam is kept of what was made.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from vimogen_jax.body.inverse_kinematics import nearest_rotations
from vimogen_jax.body.rotations import matrix_to_quaternion, quaternion_to_matrix, slerp
from vimogen_jax.directing.feet import clean_feet
from vimogen_jax.directing.fit import fit
from vimogen_jax.directing.goals import ALL_JOINTS, Goals, any_set, keep, no_goals, transformed
from vimogen_jax.errors import BadInput
from vimogen_jax.input_pipeline.records import MAX_FRAMES
from vimogen_jax.motion import representation
from vimogen_jax.motion.canonical import to_start, transform, transform_channels
from vimogen_jax.motion.motion import Motion
from vimogen_jax.motion.resample import at_times
from vimogen_jax.motion.statistics import Statistics
from vimogen_jax.sampling import EncodedRequest, MotionModel

SEAM = 10  # frames
LONGEST_SEAM = 60
EASE, REACH = 1.5, 6  # frames: what is held ends with a kink, smoothed so wide and so far around
FREE = 10  # frames after a seam in which no reference is followed, to get to where it begins


def check_seam(seam: int) -> None:
    """Raise BadInput where a seam has too few frames to hold a speed, or too many."""
    if not isinstance(seam, Integral) or not 2 <= seam <= LONGEST_SEAM:
        raise BadInput(
            f"a seam has 2 to {LONGEST_SEAM} frames, not {seam}: fewer than two do not say how "
            "fast the body moves"
        )


def in_a_row(texts: Sequence[str]) -> str:
    """The sentences of acts that follow each other, in one."""
    return "; then ".join([*(text.rstrip(" .") for text in texts[:-1]), *texts[-1:]])


def windows(frames: int, seam: int, first: bool) -> list[int]:
    """The lengths of the windows that make so many frames, the first of a story or further ones."""
    longest = MAX_FRAMES - seam
    count = 1 if first and frames <= MAX_FRAMES else -(-frames // longest)
    return [len(part) for part in np.array_split(np.arange(frames), count)]


def play(
    model: MotionModel,
    stories: Sequence[Sequence[EncodedRequest]],
    seam: int = SEAM,
    progress: bool = False,
) -> Iterator[list[Motion | None]]:
    """Act out stories side by side, a window of each at a time, in batches.

    Each request is a window, and as long as what it adds: after the first at most the model's
    longest motion without the seam. Its goals are in the frame of the whole story; where one of a
    story has some, feet are cleaned in all its windows, else as the sampler says.

    Yields:
        Of each story the frames that became final, or None where it is over. Put together they are
        its motion, which begins in the canonical frame.

    Raises:
        BadInput: the seam is too short, or longer than a window of a story that goes on.
    """
    check_seam(seam)
    if any(request.frames <= seam for story in stories for request in story[:-1]):
        raise BadInput(f"a seam of {seam} frames is as long as a window that it ends")
    directed = [any(request.goals is not None for request in story) for story in stories]
    ends: dict[int, Motion] = {}
    for number in range(max(map(len, stories))):
        going = [i for i, story in enumerate(stories) if number < len(story)]
        asked = [stories[i][number] for i in going]
        if number:
            asked = [
                _begun(each, ends[i], model.statistics)
                for i, each in zip(going, asked, strict=True)
            ]
        made: list[Motion | None] = [None] * len(stories)
        motions = model.motions(asked, progress)
        for i, request, motion in zip(going, asked, motions, strict=True):
            if stories[i][number].goals is not None and request.goals is not None:
                motion = fit(motion, request.goals)
            cleans = model.sampler.clean_feet and request.reference is None
            cleaned = cleans and request.goals is None  # by the model
            if (directed[i] or cleans) and not cleaned:
                (motion,) = clean_feet([motion], [request.goals])
            if number:
                motion = _joined(ends[i], motion, _firm(stories[i][number - 1 : number + 1], seam))
            goes_on = number + 1 < len(stories[i])
            made[i] = motion[:-seam] if goes_on else motion
            ends[i] = motion[-seam:]
        yield made


def join(parts: Sequence[Motion]) -> Motion:
    """One motion of those that follow each other."""
    return dataclasses.replace(
        parts[0],
        rotations=np.concatenate([part.rotations for part in parts]),
        transl=np.concatenate([part.transl for part in parts]),
    )


def _begun(request: EncodedRequest, end: Motion, statistics: Statistics) -> EncodedRequest:
    """The request with the end of a motion before it, set, in a frame that is canonical there."""
    seam = end.num_frames
    turn, shift = to_start(end.joints()[0])
    start = transform(end, turn, shift)
    goals = no_goals(seam + request.frames)
    if request.goals is not None:
        for into, value in zip(goals, transformed(request.goals, turn, shift), strict=True):
            into[seam:] = value
    keep(Goals(*(value[:seam] for value in goals)), start, np.ones(seam, bool), ALL_JOINTS)
    alone = request.goals is None
    changes: dict[str, Any] = dict(frames=seam + request.frames, goals=goals, goes_on=alone)
    if request.reference is not None:
        changes |= _led_to(request, start, statistics.reference())
    return dataclasses.replace(request, **changes)


def _led_to(request: EncodedRequest, start: Motion, statistics: Statistics) -> dict[str, Any]:
    """The reference of a request after the seam, turned to where the body faces then."""
    seam = start.num_frames
    channels = np.zeros((request.frames, representation.NUM_CHANNELS), np.float32)
    channels[:, representation.REFERENCE_CHANNELS] = statistics.denormalize(request.reference)
    ahead = to_start(start.joints()[-1])[0].T.astype(np.float32)
    turned = transform_channels(channels, ahead, np.zeros(3, np.float32))
    before = representation.encode(at_times(start, np.arange(seam + 1) / start.fps))
    shown = np.concatenate([before, turned])[:, representation.REFERENCE_CHANNELS]
    mask = np.ones(len(shown), bool)
    if request.reference_mask is not None:
        mask[seam:] = request.reference_mask
    mask[seam : seam + FREE] = False
    reference = statistics.normalize(shown.astype(np.float32))
    return dict(reference=reference, reference_mask=mask)


def _firm(pair: Sequence[EncodedRequest], seam: int) -> Bool[np.ndarray, " t"]:
    """Frames of a window, from the seam on, of which something is set beside the seam itself; by
    the requests of the window before and of its own."""
    frames = [
        np.zeros(each.frames, bool) if each.goals is None else any_set(each.goals) for each in pair
    ]
    return np.concatenate([frames[0][-seam:], frames[1]])


def _joined(end: Motion, motion: Motion, firm: Bool[np.ndarray, " t"]) -> Motion:
    """A window laid on the end that it begins with, blended in over it, and eased where that ends,
    but in firm frames."""
    seam = end.num_frames
    motion = transform(motion, *_laid(motion.joints()[:seam], end.joints()))
    share = np.linspace(0, 1, seam + 2)[1:-1]
    share = share**2 * (3 - 2 * share)  # comes and goes by and by
    before, after = (matrix_to_quaternion(each.rotations[:seam]) for each in (end, motion))
    rotations, transl = motion.rotations.copy(), motion.transl.copy()
    rotations[:seam] = quaternion_to_matrix(slerp(before, after, share[:, None]))
    transl[:seam] = end.transl + share[:, None] * (transl[:seam] - end.transl)
    return _eased(dataclasses.replace(motion, rotations=rotations, transl=transl), seam, firm)


def _eased(motion: Motion, at: int, firm: Bool[np.ndarray, " t"]) -> Motion:
    """The motion smoothed about a frame, and less and less away from it, where it is not firm."""
    reach, frames = min(REACH, at), np.arange(motion.num_frames)
    near = frames[at - reach : at + reach]
    weights = np.exp(-0.5 * ((near[:, None] - frames) / EASE) ** 2)
    weights /= weights.sum(1, keepdims=True)
    share = np.cos(0.5 * np.pi * (near + 0.5 - at) / reach) ** 2 * ~firm[near]
    rotations, transl = motion.rotations.copy(), motion.transl.copy()
    smooth = np.einsum("ts,sjab->tjab", weights, rotations) - rotations[near]
    rotations[near] = nearest_rotations(rotations[near] + share[:, None, None, None] * smooth)
    transl[near] += share[:, None] * (weights @ transl - transl[near])
    return dataclasses.replace(motion, rotations=rotations, transl=transl)


def _laid(
    joints: Float[np.ndarray, "t 22 3"], on: Float[np.ndarray, "t 22 3"]
) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3"]]:
    """The turn about the vertical and the shift that bring joints nearest to others."""
    middle, target = joints.mean((0, 1)), on.mean((0, 1))
    a, b = (joints - middle)[..., :2], (on - target)[..., :2]
    cosine = (a * b).sum()
    sine = (a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]).sum()
    c, s = np.array([cosine, sine]) / max(np.hypot(cosine, sine), 1e-9)
    rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return rotation, target - rotation @ middle
