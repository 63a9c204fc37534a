"""Hair, a face and clothes for a body: colours of its vertices, so that a film shows a person whose
front and back, left and right can be told apart."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from vimogen_jax.body.mesh import Body
from vimogen_jax.body.skeleton import JOINT_NAMES

Colour: TypeAlias = tuple[float, float, float] | np.ndarray  # linear red, green and blue
_SOFT = 0.012  # metres over which one colour goes over into another


@dataclass(frozen=True)
class Outfit:
    """Colours, and how far clothes and hair reach.

    sleeves: share of the arm, from shoulder to wrist, that the shirt covers.
    legs: share of the leg, from hip to ankle, that the trousers cover.
    hair_length: metres that the hair hangs below the ears.
    """

    skin: Colour
    hair: Colour
    shirt: Colour
    trousers: Colour
    shoes: Colour
    sleeves: float = 1.0
    legs: float = 1.0
    hair_length: float = 0.0


OUTFITS = {
    "office": Outfit(
        skin=(0.62, 0.36, 0.24),
        hair=(0.020, 0.014, 0.010),
        shirt=(0.62, 0.62, 0.58),
        trousers=(0.030, 0.040, 0.090),
        shoes=(0.018, 0.014, 0.012),
    ),
    "sports": Outfit(
        skin=(0.72, 0.48, 0.36),
        hair=(0.34, 0.20, 0.07),
        shirt=(0.60, 0.07, 0.05),
        trousers=(0.020, 0.020, 0.024),
        shoes=(0.75, 0.75, 0.75),
        sleeves=0.3,
        legs=0.5,
        hair_length=0.06,
    ),
    "summer": Outfit(
        skin=(0.22, 0.105, 0.055),
        hair=(0.010, 0.008, 0.007),
        shirt=(0.80, 0.56, 0.08),
        trousers=(0.30, 0.33, 0.38),
        shoes=(0.50, 0.46, 0.40),
        sleeves=0.25,
        legs=0.55,
    ),
    "winter": Outfit(
        skin=(0.68, 0.44, 0.33),
        hair=(0.12, 0.055, 0.022),
        shirt=(0.030, 0.110, 0.070),
        trousers=(0.14, 0.11, 0.085),
        shoes=(0.075, 0.042, 0.022),
        hair_length=0.12,
    ),
    "dancer": Outfit(
        skin=(0.40, 0.22, 0.13),
        hair=(0.016, 0.012, 0.010),
        shirt=(0.10, 0.075, 0.24),
        trousers=(0.045, 0.050, 0.060),
        shoes=(0.55, 0.09, 0.13),
        sleeves=0.6,
        legs=0.92,
    ),
    "worker": Outfit(
        skin=(0.55, 0.31, 0.20),
        hair=(0.24, 0.23, 0.22),
        shirt=(0.10, 0.22, 0.44),
        trousers=(0.070, 0.085, 0.13),
        shoes=(0.20, 0.11, 0.045),
        sleeves=0.55,
    ),
}


def dress(body: Body, outfit: Outfit) -> Float[np.ndarray, "v 3"]:
    """Colours of a body's vertices, linear: a function of where they lie at rest, arms out.

    Edges are soft over a triangle or two, so that none has teeth.
    """
    at = dict(zip(JOINT_NAMES, body.rest_joints, strict=False))
    x, y, _ = body.vertices.T
    x = np.abs(x)  # both sides alike
    _, up, ahead = (body.vertices - at["head"]).T
    colours = np.tile(outfit.shirt, (len(y), 1))

    def paint(colour: Colour, *inside: np.ndarray) -> None:
        """Lay a colour over what is inside of every edge, by metres."""
        share = np.clip(np.min(inside, axis=0) / _SOFT + 0.5, 0, 1)[:, None]
        colours[:] = (1 - share) * colours + share * np.array(colour)

    hip, ankle = at["left_hip"][1], at["left_ankle"][1]
    shoulder, wrist = at["left_shoulder"][0], at["left_wrist"][0]
    trunk = 0.30 - x  # whatever hangs lower than the waist and is no arm
    paint(outfit.trousers, at["pelvis"][1] + 0.06 - y, trunk)
    paint(outfit.skin, hip + outfit.legs * (ankle + 0.02 - hip) - y, trunk)
    paint(outfit.shoes, ankle + 0.02 - y, trunk)
    paint(outfit.skin, x - shoulder - min(outfit.sleeves, 0.96) * (wrist - shoulder))

    neckline = at["neck"][1] + 0.05 - 0.8 * (ahead + 0.02)  # lower in front
    paint(outfit.skin, y - neckline, 0.10 - x)
    paint(outfit.hair, np.maximum.reduce([up - 0.125, np.minimum(0.035 - ahead, up - 0.075)]))
    paint(outfit.hair, -ahead, up + 0.01, 0.12 - x)
    if outfit.hair_length:
        paint(outfit.hair, -0.015 - ahead, up + outfit.hair_length, 0.12 - x)
    face = ahead - 0.05
    paint(
        np.multiply(outfit.hair, 0.6), face, 0.022 - np.abs(x - 0.034), 0.008 - np.abs(up - 0.090)
    )
    paint((0.012, 0.010, 0.010), face, 0.012 - np.hypot(x - 0.033, up - 0.062))
    lips = np.multiply(outfit.skin, (0.75, 0.35, 0.35))
    paint(lips, face, 0.024 - x, 0.009 - np.abs(up + 0.002))
    return colours
