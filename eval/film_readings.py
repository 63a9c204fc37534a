"""What visual motion capture gets wrong, measured on films of which the truth is known.

A film as `launch.film` makes it is read back, and the reading compared with the motion: where the
joints are, how each is turned, how that error is spread over time, what is lost, and how much
processor time it took. The three ways to know the camera differ in what turns the reading upright.
"""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped
from tqdm import tqdm

from eval.refinement import measure_reading
from vimogen_jax.body.inverse_kinematics import nearest_rotations
from vimogen_jax.body.kinematics import forward_kinematics
from vimogen_jax.body.rotations import matrix_to_axis_angle
from vimogen_jax.body.skeleton import FEET, JOINT_NAMES, REST_JOINTS
from vimogen_jax.errors import BadInput
from vimogen_jax.formats.pickles import read_pickled_npz
from vimogen_jax.markdown import markdown_table
from vimogen_jax.metrics.joint_error import root_relative_joint_error
from vimogen_jax.metrics.motion_quality import CONTACT_SPEED, jitter
from vimogen_jax.mocap.calibration import lifter, marker_offsets, pose_prior
from vimogen_jax.mocap.film import Film, frames, open_film
from vimogen_jax.mocap.fit import Pinhole, fit
from vimogen_jax.mocap.reading import FOCAL_OF_SIDE, find_tilt, turned_down
from vimogen_jax.mocap.tracking import Track, track
from vimogen_jax.motion.motion import Motion
from vimogen_jax.sampling import MotionModel

Truth = Mapping[str, Shaped[np.ndarray, "..."]]  # by the names of TRUTH
TRUTH = ("joints", "rot", "eyes", "axes", "focal")
TALL = 1.7  # metres, of the body in shoes
# Landmarks that are joints of the body as well: shoulders, elbows, wrists, hips, knees, ankles.
_LANDMARKS = [11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]
_JOINTS = [16, 17, 18, 19, 20, 21, 1, 2, 4, 5, 7, 8]
_SWAPPED = [1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10]
_FLIPPED = 0.7  # of the error, that is left where left and right are exchanged
BANDS = (0.5, 2.0)  # hertz, where slow errors end and fast ones begin


def measure(
    folder: str | os.PathLike, seconds: float | None = None, model: MotionModel | None = None
) -> dict[str, Any]:
    """Read the films (.mp4) of a folder, and tell what is wrong about the readings.

    Of each film so many `seconds` are read, or all. With a `model` that follows references, also
    what is wrong once it has refined them.

    The truth lies beside each film as an npz (`vimogen_jax.viewer.synthetic_film.truth`). The first
    film is read twice, so that no figure of speed holds the compilation.

    Raises:
        BadInput: there are no films, one has no truth beside it, cannot be read, or lasts too long
            or too short for the model.
    """
    paths = sorted(Path(folder).glob("*.mp4"))
    if not paths:
        raise BadInput(f"{folder} holds no films (.mp4)")
    truths = [read_truth(path) for path in paths]
    films = [(open_film(path), truth) for path, truth in zip(paths, truths, strict=True)]
    if model is not None:  # before hours of others
        for film, truth in films:
            lasts = len(truth["rot"]) / film.fps
            try:
                model.frames(min(lasts, seconds or lasts))
            except BadInput as fault:
                raise BadInput(f"{film.path}: {fault}") from None
    _read(*films[0], seconds)
    bar = tqdm(films, "reading", unit="film", disable=None)
    results = [_read(*film, seconds, model) for film in bar]
    return summary({path.stem: result for path, result in zip(paths, results, strict=True)})


def summary(films: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The films, and the means over them; frames a second from sums."""
    means = _mean(list(films.values()))
    frames, seconds = means["frames"], means.pop("processor_seconds")
    speed = dict(
        tracked=frames / seconds["tracking"],
        tracked_and_fitted=frames / (seconds["tracking"] + seconds["fit"]),
    )
    return dict(count=len(films), frames_a_processor_second=speed, **means, films=dict(films))


def to_markdown(report: Mapping[str, Any]) -> str:
    """Tables of the whole, of each joint, and of each film."""
    millimetres = lambda metres: f"{1000 * metres:.1f}"
    error, noise, sliding = report["joint_error"], report["noise"], report["sliding"]
    speed = report["frames_a_processor_second"]
    whole = [
        ["joint error, camera known, mm", millimetres(error["camera_known"])],
        ["joint error, camera taken for level, mm", millimetres(error["level"])],
        ["joint error, nothing known, mm", millimetres(error["nothing_known"])],
        ["joint error, aligned, mm", millimetres(error["aligned"])],
        ["tilt found, off by degrees", f"{report['tilt_error']:.1f}"],
        ["landmarks in the picture, % of height", f"{100 * report['seen_error']:.2f}"],
        ["jitter over the true", f"{report['jitter_ratio']:.2f}"],
        ["standing feet slide, m/s (true)", f"{sliding['read']:.3f} ({sliding['true']:.3f})"],
        ["frames with the person, %", f"{100 * noise['found']:.1f}"],
        ["losses a minute", f"{noise['losses_a_minute']:.1f}"],
        ["frames with left and right exchanged, %", f"{100 * noise['flipped']:.1f}"],
        ["frames a processor second, tracked", f"{speed['tracked']:.1f}"],
        ["frames a processor second, with the fit", f"{speed['tracked_and_fitted']:.1f}"],
    ]
    parts = ("rotation", "constant", "varies", "change", "slow", "middle", "fast")
    joints = [
        [name, millimetres(joint["position"]), *(f"{joint[part]:.1f}" for part in parts)]
        + [f"{joint['lasts']:.2f}"]
        for name, joint in report["joints"].items()
    ]
    films = [
        [name, *(millimetres(film["joint_error"][key]) for key in error)]
        + [f"{100 * film['seen_error']:.2f}"]
        for name, film in report["films"].items()
    ]
    refined = [
        [what, millimetres(moves["joint_error"]), millimetres(moves["jitter"])]
        for what, moves in report.get("refinement", {}).items()
    ]
    turned = "camera known, one turn about the vertical taken out"
    head = [turned, "joint error, mm", "jitter, mm/frame²"]
    return "\n\n".join(
        (
            *([markdown_table(head, refined)] if refined else ()),
            markdown_table([f"mean of {report['count']} films", ""], whole),
            markdown_table(["joint", "mm", *(f"{part}, °" for part in parts), "lasts, s"], joints),
            markdown_table(["film", *(f"{key}, mm" for key in error), "seen, %"], films),
        )
    )


def read_truth(path: Path) -> Truth:
    """What is known of a film (`vimogen_jax.viewer.synthetic_film.truth`), beside it.

    Raises:
        BadInput: it is missing, damaged, or not of one film.
    """
    beside = path.with_suffix(".npz")
    if not beside.is_file():
        raise BadInput(f"{path}: the truth, {beside.name}, is not beside it")
    found = read_pickled_npz(beside, TRUTH)
    shapes = {name: array.shape for name, array in found.items()}
    whole = shapes.get("rot", (0,))[:1]
    wanted = dict(joints=(22, 3), rot=(22, 3, 3), eyes=(3,), axes=(3, 3))
    right = {name: (*whole, *shape) for name, shape in wanted.items()} | dict(focal=())
    still = right | dict(axes=(3, 3))
    numbers = all(a.dtype.kind in "fiu" and np.isfinite(a).all() for a in found.values())
    if not numbers or shapes not in (right, still):
        raise BadInput(f"{beside} is not the truth of a film, as launch.film writes it")
    return found


def _read(
    film: Film,
    truth: Mapping[str, np.ndarray],
    length: float | None,
    model: MotionModel | None = None,
) -> dict[str, Any]:
    """One film's reading, compared."""
    begin = time.process_time()
    seen = track(frames(film, seconds=length))
    seconds = {"tracking": time.process_time() - begin}
    truth = _cut(truth, len(seen.confidence))
    if not seen.found.any():
        raise BadInput(f"{film.path}: nobody is found in it")
    fits = {}
    for name, focal in (
        ("known", float(truth["focal"])),
        ("assumed", FOCAL_OF_SIDE * max(film.width, film.height)),
    ):
        camera = Pinhole(focal, (film.width / 2, film.height / 2))
        begin = time.process_time()
        fits[name] = fit(seen, film.fps, camera, marker_offsets(), pose_prior(), lifter())
        seconds["fit"] = time.process_time() - begin
    told = compare(seen, fits["known"], fits["assumed"], truth, film)
    if model is not None:
        upright, _ = _in_world(fits["known"], truth["axes"])
        reading, true = (
            Motion(rotations, np.zeros((len(rotations), 3)), film.fps)
            for rotations in (upright, truth["rot"])
        )
        told["refinement"] = measure_reading(model, reading, true)
    return dict(frames=len(seen.confidence), fps=film.fps, processor_seconds=seconds, **told)


def _cut(truth: Mapping[str, np.ndarray], count: int) -> Truth:
    """The first frames of the truth, the camera's axes given for each; at most what was seen."""
    whole = len(truth["rot"])
    axes = np.broadcast_to(truth["axes"], (whole, 3, 3))
    columns = {name: truth[name] for name in ("joints", "rot", "eyes")} | {"axes": axes}
    return {"focal": truth["focal"]} | {name: column[:count] for name, column in columns.items()}


Fitted = tuple[  # rotations and the pelvis, of the camera
    Float[np.ndarray, "t 22 3 3"], Float[np.ndarray, "t 3"]
]


def compare(
    seen: Track,
    known: Fitted,
    assumed: Fitted,
    truth: Truth,
    film: Film,
) -> dict[str, Any]:
    """What is wrong about a reading.

    Args:
        known, assumed: fitted with the true focal length, and with the assumed one.
        truth: of as many frames, the camera's axes `[t 3 3]`.

    Returns:
        A tree of figures; metres, degrees, shares of 1.
    """
    axes, target = truth["axes"], truth["joints"]
    found = seen.found
    upright = _in_world(known, axes)
    tilt = find_tilt(*assumed)
    worlds = {
        "camera_known": upright,
        "level": _in_world(known, _level(axes, 0.0)),
        "nothing_known": _in_world(assumed, _level(axes, tilt or 0.0)),
    }
    errors = {
        name: root_relative_joint_error(joints[found], target[found])
        for name, (_, joints) in worlds.items()
    }
    errors["aligned"] = aligned_joint_error(upright[1][found], target[found])
    return dict(
        joint_error=errors,
        tilt_error=abs((tilt or 0.0) - _tilt_of(axes)),
        seen_error=_seen_error(seen, truth, film),
        jitter_ratio=float(jitter(upright[1]) / jitter(target)),
        sliding=dict(
            read=_sliding(upright[1], truth, film.fps), true=_sliding(target, truth, film.fps)
        ),
        joints=by_joint(upright[0], upright[1], truth, film.fps, found),
        noise=_noise(seen, truth, film),
    )


def _in_world(fitted: Fitted, axes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotations `[t 22 3 3]` and joints `[t 22 3]` around the camera, in the world of its axes."""
    rotations, pelvis = fitted
    rotations = rotations.copy()
    rotations[:, 0] = axes.swapaxes(-1, -2) @ rotations[:, 0]
    place = np.einsum("tji,tj->ti", axes, pelvis)
    return rotations, forward_kinematics(rotations, place - REST_JOINTS[0])[1]


def _level(axes: np.ndarray, tilt: float) -> np.ndarray:
    """Axes `[t 3 3]` of cameras with the same heading that look down by a tilt, degrees."""
    right = axes[:, 0] * [1, 1, 0]
    right /= np.linalg.norm(right, axis=-1, keepdims=True)
    down = np.broadcast_to([0.0, 0, -1], right.shape)
    flat = np.stack([right, down, np.cross(right, down)], axis=1)
    return turned_down(tilt).T @ flat


def _tilt_of(axes: np.ndarray) -> float:
    return float(np.degrees(np.arcsin(-axes[0, 2, 2])))


def aligned_joint_error(
    joints: Float[np.ndarray, "t 22 3"], target: Float[np.ndarray, "t 22 3"]
) -> float:
    """Mean distance, every frame moved, turned and scaled to fit best (PA-MPJPE)."""
    ours, theirs = (each - each.mean(axis=1, keepdims=True) for each in (joints, target))
    turn = nearest_rotations(np.einsum("tji,tjk->tik", theirs, ours))
    turned = np.einsum("tik,tjk->tji", turn, ours)
    scale = (turned * theirs).sum((1, 2)) / np.square(ours).sum((1, 2))
    return float(np.linalg.norm(scale[:, None, None] * turned - theirs, axis=-1).mean())


def _seen_error(seen: Track, truth: Truth, film: Film) -> float:
    """Mean distance of the landmarks in the picture, as a share of the body's height there."""
    pixels, height = _projected(truth, film)
    apart = np.linalg.norm(seen.pixels[:, _LANDMARKS] - pixels[:, _JOINTS], axis=-1)
    return float((apart / height[:, None])[seen.found].mean())


def _projected(truth: Truth, film: Film) -> tuple[np.ndarray, np.ndarray]:
    """Where the joints are in the picture `[t 22 2]`, and how tall a body is there `[t]`."""
    shifted = truth["joints"] - truth["eyes"][:, None]
    points = np.einsum("tij,tkj->tki", truth["axes"], shifted)
    middle = np.array([film.width, film.height]) / 2
    pixels = points[..., :2] / points[..., 2:] * truth["focal"] + middle
    return pixels, truth["focal"] * TALL / points[:, 0, 2]


def _sliding(joints: np.ndarray, truth: Mapping[str, np.ndarray], fps: float) -> float:
    """How fast feet move sideways while the true ones stand, metres a second; 0 if none does."""
    speed = lambda joints: np.linalg.norm(np.diff(joints[:, FEET], axis=0), axis=-1) * fps
    stands = speed(truth["joints"]) < CONTACT_SPEED * 20
    return float(speed(joints * [1, 1, 0])[stands].mean()) if stands.any() else 0.0


def by_joint(
    rotations: Float[np.ndarray, "t 22 3 3"],
    joints: Float[np.ndarray, "t 22 3"],
    truth: Truth,
    fps: float,
    found: Bool[np.ndarray, " t"],
) -> dict[str, dict[str, float]]:
    """Of each joint how far it is off in metres, its `position`, and how it is `turned_wrongly`."""
    ours, theirs = (each - each[:, :1] for each in (joints, truth["joints"]))
    apart = np.linalg.norm(ours - theirs, axis=-1)[found].mean(axis=0)
    turns = turned_wrongly(truth["rot"].swapaxes(-1, -2) @ rotations, fps, found)
    return {
        name: dict(position=float(apart[j]), **turns[name]) for j, name in enumerate(JOINT_NAMES)
    }


def turned_wrongly(
    error: Float[np.ndarray, "t 22 3 3"], fps: float, found: Bool[np.ndarray, " t"]
) -> dict[str, dict[str, float]]:
    """Of each joint what its error is made of, in degrees.

    Of the turn relative to the parent (the pelvis': to the world): the mean angle `rotation`; of it
    the `constant` part, which is the same in the whole take, and what `varies` around it; its
    `change` from frame to frame; how long what varies `lasts` in seconds, until its correlation
    with itself has fallen to 1/e; and what of it is `slow`, `middle` and `fast`, root mean squares.
    """
    mean = nearest_rotations(error[found].mean(axis=0))
    around = matrix_to_axis_angle(mean.swapaxes(-1, -2) @ error)
    degrees = lambda turns: np.degrees(np.linalg.norm(turns, axis=-1))
    whole, rest = degrees(matrix_to_axis_angle(error)), degrees(around)
    change = degrees(matrix_to_axis_angle(error[:-1].swapaxes(-1, -2) @ error[1:]))
    constant = degrees(matrix_to_axis_angle(mean))
    slow, middle, fast = _bands(around, fps)
    lasts = _lasts(around, fps)
    return {
        name: dict(
            rotation=float(whole[found, j].mean()),
            constant=float(constant[j]),
            varies=float(rest[found, j].mean()),
            change=float(change[found[1:] & found[:-1], j].mean()),
            lasts=float(lasts[j]),
            slow=float(slow[j]),
            middle=float(middle[j]),
            fast=float(fast[j]),
        )
        for j, name in enumerate(JOINT_NAMES)
    }


def _bands(turns: np.ndarray, fps: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Root mean square angles `[22]`, degrees, of turns `[t 22 3]` below, between and above."""
    turns = np.degrees(turns - turns.mean(axis=0))
    power = np.square(np.abs(np.fft.rfft(turns, axis=0))).sum(-1) / len(turns) ** 2
    power[1 : (len(turns) + 1) // 2] *= 2  # of the negative frequencies, too
    at = np.fft.rfftfreq(len(turns), 1 / fps)
    low, high = BANDS
    parts = (at < low, (at >= low) & (at < high), at >= high)
    slow, middle, fast = (np.sqrt(power[part].sum(axis=0)) for part in parts)
    return slow, middle, fast


def _lasts(turns: np.ndarray, fps: float) -> np.ndarray:
    """Seconds `[22]` after which turns `[t 22 3]` correlate with themselves by less than 1/e."""
    turns = turns - turns.mean(axis=0)
    least = np.square(turns).sum(-1).mean(axis=0) / np.e
    lags = np.full(turns.shape[1], len(turns))
    for lag in range(1, len(turns)):
        lasting = lags == len(turns)
        lags[lasting & ((turns[lag:] * turns[:-lag]).sum(-1).mean(axis=0) < least)] = lag
        if not lasting.any():
            break
    return lags / fps


def _noise(seen: Track, truth: Truth, film: Film) -> dict[str, float]:
    """Shares of frames without the person and with left and right exchanged, and how often."""
    pixels, _ = _projected(truth, film)
    wanted, got = pixels[:, _JOINTS], seen.pixels[:, _LANDMARKS]
    straight = np.linalg.norm(got - wanted, axis=-1).mean(axis=1)
    crossed = np.linalg.norm(got[:, _SWAPPED] - wanted, axis=-1).mean(axis=1)
    flipped = seen.found & (crossed < _FLIPPED * straight)
    minutes = len(flipped) / film.fps / 60
    runs = lambda flags: int((np.diff(flags.astype(int), prepend=0) == 1).sum())
    return dict(
        found=float(seen.found.mean()),
        flipped=float(flipped.mean()),
        flips_a_minute=runs(flipped) / minutes,
        losses_a_minute=runs(~seen.found) / minutes,
    )


def _mean(trees: Sequence[Any]) -> Any:
    """The mean of trees of numbers, leaf by leaf."""
    if isinstance(trees[0], Mapping):
        return {key: _mean([tree[key] for tree in trees]) for key in trees[0]}
    return float(np.mean(trees))
