"""Motions side by side on one HTML page that needs no network: one skinned mesh, one clock."""

import base64
import html
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import PurePosixPath
from string import Template
from typing import Any
from urllib.parse import quote

import numpy as np
from jaxtyping import Float

from vimogen_jax.body.mesh import Body, builtin_body, pack
from vimogen_jax.body.rotations import matrix_to_quaternion
from vimogen_jax.body.skeleton import REST_JOINTS
from vimogen_jax.files import write_text
from vimogen_jax.motion.motion import Motion
from vimogen_jax.viewer.camera import film

_NOT_FOUND = 65535


@dataclass(frozen=True, eq=False)
class Filmed:
    """The film that a motion was read from, and what was found in it, frame by frame of the motion.

    Attributes:
        file: an MP4, named as seen from the page.
        start: when the motion begins in it, seconds.
        size: its width and height.
        landmarks: `[t n 2]` as shares of width and height; NaN where they were not found.
        lines: which of them are joined.
    """

    file: str
    start: float
    size: tuple[int, int]
    landmarks: Float[np.ndarray, "t m 2"]
    lines: Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Card:
    """A motion on the page: its sentence, what there is to say of it ("sample 2 of 4, seed 0"),
    the files that hold it, named as seen from the page, the film that it was read from, and the
    `marks` that it was to meet: `paths` of points [x, y] and `places` [x, y, z], metres."""

    title: str
    motion: Motion
    facts: str = ""
    files: Sequence[str] = ()
    filmed: Filmed | None = None
    marks: Mapping[str, list] | None = None


def write_page(
    cards: Sequence[Card],
    path: str | os.PathLike,
    body: Body | None = None,
    header: str = "",
) -> None:
    """Write one page of the cards, as `page` has it."""
    write_text(page(cards, body, header), path)


def page(cards: Sequence[Card], body: Body | None = None, header: str = "") -> str:
    """One page of the cards: play, scrub, step and turn the view of all of them.

    Everything is inside, the viewer (three.js) too: it opens from disk, offline. The
    mesh is in it once, at most 65,536 vertices. `header` is HTML that stands above the cards.
    """
    body = body or builtin_body()
    assets = resources.files("vimogen_jax.viewer") / "assets"
    scene = {"body": scene_body(body), "motions": [scene_motion(card, body) for card in cards]}
    return Template((assets / "page.html").read_text(encoding="utf-8")).substitute(
        header=header,
        cards="\n".join(map(_figure, cards)),
        motions=json.dumps(scene),
        viewer=(assets / "viewer.js").read_text(encoding="utf-8"),
    )


def scene_body(body: Body) -> dict[str, Any]:
    """The mesh that all cards share, as the viewer takes it."""
    held = np.roll(matrix_to_quaternion(body.held), -1, axis=-1)
    packed = pack(body)
    box = packed.pop("box")
    return {
        **{name: _base64(array) for name, array in packed.items()},
        "box": box.tolist(),
        "rest": body.rest_joints.round(5).tolist(),
        "parents": list(body.parents),
        "held": held.round(5).tolist(),
    }


def scene_motion(card: Card, body: Body) -> dict[str, Any]:
    """A card's motion, with its film and its marks, as the viewer takes it."""
    scene = _motion(card.motion, body)
    if card.filmed:
        scene["film"] = _film(card.filmed)
    if card.marks:
        scene["marks"] = dict(card.marks)
    return scene


def _figure(card: Card) -> str:
    """The card's place on the page, which the viewer fills."""
    title, motion = html.escape(card.title), card.motion
    length = f"{motion.seconds:.1f} s, {motion.num_frames} frames"
    facts = ", ".join(filter(None, [card.facts, f"{length} at {motion.fps:g} a second"]))
    ending = lambda name: html.escape(PurePosixPath(name).suffix[1:].upper())
    links = "".join(f'<a href="{quote(name)}" download>{ending(name)}</a>' for name in card.files)
    files = f"<p>{links}</p>" if links else ""
    film, kind = "", ""
    if filmed := card.filmed:
        width, height = filmed.size
        kind = ' class="filmed"'
        film = (
            f'<div class="film" style="--ratio: {width / height:.5f}"><video muted playsinline '
            f'preload="auto" src="{quote(filmed.file)}" aria-label="{title}, filmed"></video>'
            "<canvas></canvas></div>"
        )
    return (
        f'<figure{kind}>{film}<canvas role="img" tabindex="0" aria-label="{title}"></canvas>'
        f"<figcaption>{title}<p>{html.escape(facts)}</p>{files}</figcaption></figure>"
    )


def _motion(motion: Motion, body: Body) -> dict[str, Any]:
    """What the viewer takes: `rotations` [t 22 4] as quaternions xyzw, 16-bit integers of 32767;
    `pelvis` and the `path` [t 3] float32, metres, that the camera looks at from `eye` beside it."""
    shot = film(motion, body)
    ahead = shot.axes[0, 2]
    away = (shot.path[0] - shot.eyes[0]) @ ahead  # it looks past its path, at a spot as far away
    turns = np.roll(matrix_to_quaternion(np.asarray(motion.rotations, np.float64)), -1, axis=-1)
    pelvis = np.asarray(motion.transl) + REST_JOINTS[0]
    return {
        "fps": float(motion.fps),
        "floor": round(float(shot.floor), 4),
        "eye": (-away * ahead).round(4).tolist(),
        "rotations": _base64(np.rint(32767 * turns).astype("<i2")),
        "pelvis": _base64(pelvis.astype("<f4")),
        "path": _base64((shot.eyes + away * ahead).astype("<f4")),
    }


def _film(filmed: Filmed) -> dict[str, Any]:
    """What the viewer takes: `marks` [t n 2] as 16-bit steps of the picture, the last for none."""
    marks = np.rint(np.clip(filmed.landmarks, 0, 1) * (_NOT_FOUND - 1))
    marks = np.where(np.isnan(filmed.landmarks), _NOT_FOUND, marks)
    return {
        "start": round(filmed.start, 4),
        "marks": _base64(marks.astype("<u2")),
        "lines": [list(line) for line in filmed.lines],
    }


def _base64(array: np.ndarray) -> str:
    little = array.astype(array.dtype.newbyteorder("<"))
    return base64.b64encode(little.tobytes()).decode()
