"""Motions side by side on one HTML page that needs no network: skinned meshes, one clock."""

import base64
import html
import json
import os
from collections.abc import Sequence
from importlib import resources
from string import Template
from typing import Any

import numpy as np

from vimogen_jax.body.mesh import Body, builtin_body
from vimogen_jax.files import write_text
from vimogen_jax.formats import glb
from vimogen_jax.motion.motion import Motion
from vimogen_jax.viewer.camera import film


def write_page(
    items: Sequence[tuple[str, Motion]],
    path: str | os.PathLike,
    body: Body | None = None,
    header: str = "",
) -> None:
    """Write one page of (sentence, motion) cards: play, scrub and turn the view of all of them.

    Everything is inside the file, the viewer (three.js) too: it opens from disk, offline. `header`
    is HTML that stands above the cards.
    """
    body = body or builtin_body()
    assets = resources.files("vimogen_jax.viewer") / "assets"
    cards = [
        f"<figure><canvas></canvas><figcaption>{html.escape(sentence)}</figcaption></figure>"
        for sentence, _ in items
    ]
    page = Template((assets / "page.html").read_text(encoding="utf-8")).substitute(
        header=header,
        cards="\n".join(cards),
        items=json.dumps([_item(motion, body) for _, motion in items]),
        viewer=(assets / "viewer.js").read_text(encoding="utf-8"),
    )
    write_text(page, path)


def _item(motion: Motion, body: Body) -> dict[str, Any]:
    """What the viewer takes; positions in glTF's world, y up."""
    shot = film(motion, body)
    return {
        "glb": base64.b64encode(glb.to_bytes(motion, body)).decode(),
        "fps": float(motion.fps),
        "floor": round(float(shot.floor), 4),
        "path": _y_up(shot.path),
        "eye": _y_up(shot.eye),
    }


def _y_up(points: np.ndarray) -> list:
    return (points[..., [0, 2, 1]] * (-1.0, 1.0, 1.0)).round(4).tolist()
