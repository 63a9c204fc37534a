"""Noise for training, fitted to what a program gets wrong that reads films.

What was measured (`eval.film_readings`) is of takes of a few seconds, over which a drift counts in
part as an error that stays. So noise is drawn, measured in the same way, and its sizes corrected,
again and again. Left and right are taken for alike.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from eval.film_readings import turned_wrongly
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.body.skeleton import JOINT_NAMES, MIRRORED
from vimogen_jax.diffusion.reader_noise import ReaderNoise
from vimogen_jax.markdown import markdown_table

TAKES, ROUNDS = 150, 8
PARTS = ("rotation", "constant", "varies", "change", "lasts")
_MEAN = np.sqrt(8 / np.pi), np.sqrt(np.pi / 2)  # lengths of three and of two normal numbers


def fit_noise(report: Mapping[str, Any]) -> ReaderNoise:
    """The noise that is measured, on the mean over draws, as the films of a report were."""
    wanted = columns(report["joints"])
    of_films = [columns(film["joints"])["rotation"] for film in report["films"].values()]
    noise = ReaderNoise(
        constant=wanted["constant"] / _MEAN[0],
        drift=wanted["varies"] / _MEAN[0],
        white=np.zeros(len(JOINT_NAMES)),
        lasts=wanted["lasts"] * report["fps"] / 2,
        tilt=float(np.radians(report["tilt_error"]) / _MEAN[1]),
        spread=float(np.std(np.log(np.mean(of_films, axis=1)))),
    )
    for _ in range(ROUNDS):
        got = measure_noise(noise._replace(spread=0.0), report)
        more = lambda part, got=got: (wanted[part] ** 2 - got[part] ** 2) / _MEAN[0] ** 2
        larger = lambda size, by: np.sqrt(np.maximum(size**2 + by, 0))
        noise = noise._replace(
            constant=larger(noise.constant, more("constant")),
            drift=larger(noise.drift, more("varies")),
            white=larger(noise.white, more("change") / 2),
            lasts=noise.lasts * np.sqrt(wanted["lasts"] / got["lasts"]),
        )
    return noise


def measure_noise(
    noise: ReaderNoise, report: Mapping[str, Any], seed: int = 0
) -> dict[str, Float[np.ndarray, "22"]]:
    """Means over takes with drawn noise, as long as a report's films, of what `turned_wrongly`
    tells; radians and seconds."""
    frames, fps = round(report["frames"]), report["fps"]
    turns, _ = noise.draw(jax.random.key(seed), (TAKES,), frames)
    errors = axis_angle_to_matrix(np.asarray(turns, np.float64))
    told = [columns(turned_wrongly(error, fps, np.ones(frames, bool))) for error in errors]
    return {part: np.mean([each[part] for each in told], axis=0) for part in PARTS}


def to_markdown(report: Mapping[str, Any], drawn: Mapping[str, Float[np.ndarray, "22"]]) -> str:
    """A table of what was measured beside what is drawn, by joint."""
    measured = columns(report["joints"])
    shown = lambda part, values, j: (
        f"{values[part][j]:.2f}" if part == "lasts" else f"{np.degrees(values[part][j]):.1f}"
    )
    rows = [
        [name, *(shown(part, values, j) for part in PARTS for values in (measured, drawn))]
        for j, name in enumerate(JOINT_NAMES)
        if MIRRORED[j] >= j
    ]
    unit = dict(lasts="s")
    heads = [f"{part}, {unit.get(part, '°')}" for part in PARTS]
    return markdown_table(["joint", *(x for head in heads for x in (head, "drawn"))], rows)


def columns(joints: Mapping[str, Mapping[str, float]]) -> dict[str, Float[np.ndarray, "22"]]:
    """By part, the mean of left and right; radians and seconds."""
    columns = {part: np.array([joints[name][part] for name in JOINT_NAMES]) for part in PARTS}
    alike = {part: (column + column[MIRRORED]) / 2 for part, column in columns.items()}
    return {part: x if part == "lasts" else np.radians(x) for part, x in alike.items()}
