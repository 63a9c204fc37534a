"""Takes whose values lie far from what normalises them, named by channel, joint and take."""

import numpy as np
import pytest

from tests.helpers.synthetic import make_record, write_dataset
from vimogen_jax.body.rotations import axis_angle_to_matrix, matrix_to_rot6d
from vimogen_jax.body.skeleton import JOINT_NAMES
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.input_pipeline.outliers import find_outliers, warnings
from vimogen_jax.motion.layouts import HUMANML3D
from vimogen_jax.motion.representation import joint_of
from vimogen_jax.motion.statistics import Statistics


def bent(record, joint, degrees):
    """The record's take with a joint that is bent so far, and stays so."""
    motion = record.motion.copy()
    channel = 6 * (JOINT_NAMES.index(joint) - 1)
    rotation = axis_angle_to_matrix(np.radians([degrees, 0, 0]))
    motion[:, channel : channel + 6] = matrix_to_rot6d(rotation)
    return record.__class__(**{**vars(record), "motion": motion})


@pytest.mark.parametrize("joint", ["right_knee", "left_foot", "neck"])
def test_a_joint_that_turns_as_no_other_take_has_it_is_named(tmp_path, joint):
    random = np.random.default_rng(0)
    records = [make_record(random, i, 60) for i in range(5)]
    still = [bent(record, joint, 1 + 4 * (i % 2)) for i, record in enumerate(records[:4])]
    write_dataset(tmp_path / "known", still, [bent(records[4], joint, 3)])
    known = Dataset.open(tmp_path / "known")
    assert find_outliers(known, known.statistics) == []
    assert warnings([]) == []

    write_dataset(tmp_path / "foreign", still[:3], [bent(records[4], joint, 60)])
    found = find_outliers(Dataset.open(tmp_path / "foreign"), known.statistics)
    assert {(outlier.joint, outlier.take) for outlier in found} == {(joint, "take-4")}
    first = found[0]
    frames = Dataset.open(tmp_path / "foreign").records["validation"][0].motion
    worst = np.abs(known.statistics.normalize(frames))[:, first.channel].max()
    assert first.deviations == pytest.approx(worst, rel=1e-5)
    told = warnings(found)
    assert told[0].startswith(f"channel {first.channel} ({joint}) of the take 'take-4' lies ")
    assert f"{worst:.0f} standard deviations" in told[0]
    # A finer scale than any that training takes would make a hundredfold of it.
    assert first.deviations < 200


def test_many_are_counted(tmp_path):
    write_dataset(tmp_path / "new", [make_record(np.random.default_rng(0), 1, 50)])
    dataset = Dataset.open(tmp_path / "new")
    narrow = Statistics(dataset.statistics.mean, np.full(276, 1e-4, np.float32))
    found = find_outliers(dataset, narrow, most=1)
    told = warnings(found)
    assert len(told) == 6
    assert f"{len(found) - 5} more channels do" in told[-1]


def test_each_number_has_its_joint():
    ours = {name: [c for c in range(276) if joint_of(c) == name] for name in JOINT_NAMES}
    assert ours["right_knee"] == [*range(24, 30), *range(141, 144), *range(207, 210)]
    assert ours["pelvis"] == [*range(126, 129), *range(192, 195), *range(258, 276)]
    theirs = {name: [c for c in range(263) if HUMANML3D.joint_of(c) == name] for name in ours}
    foot = [*range(4 + 27, 4 + 30), *range(67 + 54, 67 + 60), *range(193 + 30, 193 + 33), 260]
    assert theirs["left_foot"] == foot
    assert theirs["pelvis"] == [*range(4), *range(193, 196)]
