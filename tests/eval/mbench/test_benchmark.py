"""The benchmark: as many motions as are published, and as long; each stage is timed."""

from collections import Counter

import pytest

from eval.mbench import benchmark as timing
from eval.mbench.benchmark import benchmark, motion_quality, published_lengths
from eval.mbench.prompts import read_published


def test_prompts_last_as_long_as_the_published_ones(shared):
    published = read_published(shared / "mbench" / "MBench_final.json").values()
    ours = published_lengths(1).values()
    count = lambda prompts: Counter((each.category, each.seconds) for each in prompts)
    assert count(ours) == count(published)
    assert Counter(each.category for each in published_lengths(50).values()) == {
        "motion_quality": 3,
        "pose_quality": 2,
        "consistency": 2,
        "generalizability": 2,
    }


def test_motion_quality_is_timed():
    line = motion_quality(motions=2, frames=10, repeats=1)
    assert line.startswith("5 dimensions of 2 motions of 10 frames") and "a second" in line


@pytest.mark.slow
def test_a_share_is_timed_and_counted_for_all(monkeypatch):
    monkeypatch.setattr(timing, "SECONDS", {category: {1: 1} for category in timing.SECONDS})
    lines = list(benchmark(1))
    assert "motions a second" in lines[0]
    assert lines[1].startswith("fitting a body to 100 frames")
    assert lines[2].startswith("body penetration, each frame")
    assert ["minutes of processor time" in line for line in lines] == [False] * 3 + [True] * 2
