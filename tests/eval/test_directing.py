"""How directed motions are measured: on motions of which the figures are known beforehand."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from eval.directing import SECONDS, _peaks, constraints_of, measure_edits, misses, moves
from eval.real_motions import RealMotion
from tests.helpers.made_up import made_up_motion
from tests.helpers.stride import stride
from vimogen_jax import formats
from vimogen_jax.directing.constraints import to_goals
from vimogen_jax.motion.canonical import canonicalize
from vimogen_jax.motion.representation import encode


@pytest.fixture(scope="module")
def take():
    return canonicalize(made_up_motion("walk", np.random.default_rng(0), 72))


@pytest.mark.parametrize(("kind", "name"), [(0, "pose"), (1, "path"), (2, "place")])
@pytest.mark.parametrize("seed", range(3))
def test_a_take_meets_the_constraints_that_are_taken_of_it(take, kind, name, seed):
    wanted = constraints_of(take, kind, np.random.default_rng(seed))
    goals = to_goals(wanted, take.num_frames, take.fps)
    assert misses(take, goals) == {name: pytest.approx(0, abs=2e-3)}
    away = dataclasses.replace(take, transl=take.transl + np.array([0.5, 0, 0], np.float32))
    assert misses(away, goals)[name] == pytest.approx(0.5, abs=0.01)


def test_a_jolt_is_found_where_it_is():
    motion = stride(2 * round(SECONDS * 20))
    frames, at = [0] * motion.num_frames, np.zeros_like(motion.transl)
    still = dataclasses.replace(motion, rotations=motion.rotations[frames], transl=at)
    end = motion.num_frames // 2
    for frame, found in ((end - 5, (0.2, 0)), (end + 10, (0, 0.2)), (end // 2, (0, 0))):
        jolted = dataclasses.replace(still, transl=at.copy())
        jolted.transl[frame, 0] = 0.1
        peaks = _peaks([jolted, still, still])
        assert [peaks["at_seams_median"], peaks["elsewhere_median"]] == [0, 0]
        means = 3 * peaks["at_seams"], 3 * peaks["elsewhere"]
        assert means == pytest.approx(found, abs=1e-5)


def test_a_shake_at_the_ends_is_told_apart(take):
    shaken = dataclasses.replace(take, transl=take.transl.copy())
    shaken.transl[-1, 2] += 0.2
    calm, rough = moves([take]), moves([shaken])
    assert rough["ends"] == rough["peak"] > 0.15 > calm["ends"]


def test_edits_are_compared_with_what_was_kept(take):
    """By a generator that fills gaps with a jolt and shifts what legs were to stay."""
    asked = []

    class Jolting:
        model = SimpleNamespace(fps=take.fps)

        def __call__(self, requests, progress):
            (keep,) = [each for request in requests for each in request.constraints]
            asked.append(keep)
            motion = canonicalize(formats.read(keep.file))
            transl = motion.transl.copy()
            if keep.gap is None:
                transl[:, 0] += 0.3
            else:
                transl[round(keep.gap[0] * take.fps), 0] += 0.2
            return [dataclasses.replace(motion, transl=transl)]

    shown = RealMotion("walk", "a person walks.", "walk", encode(take), take.fps)
    judge: Any = SimpleNamespace(predict=lambda motions: np.array(["walk"] * len(motions)))
    generator: Any = Jolting()
    found = measure_edits(generator, [shown], [shown.motion], judge)
    frames = shown.motion.num_frames
    assert [each.gap for each in asked] == [
        ((frames // 2 - 10) / 20, (frames // 2 + 10) / 20),
        None,
    ]
    gap, legs = found["gap"], found["legs"]
    assert gap["filled"]["kept"] < 2e-3 < 0.15 < gap["filled"]["edges"]
    assert gap["straight"]["kept"] < 1e-6 and gap["straight"]["jitter"] < gap["real"]["jitter"]
    assert gap["real"]["edges"] < 0.1
    assert legs["edited"]["kept"] == pytest.approx(0.3, abs=2e-3) and legs["real"]["kept"] == 0
