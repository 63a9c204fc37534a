"""Some steps of a run are traced, those that were asked for."""

import jax
import jax.numpy as jnp
import pytest

from configs import tiny
from tests.helpers.experiments import experiment_of
from vimogen_jax.errors import BadInput
from vimogen_jax.train.profile import Profile


def traced(monkeypatch, folder, steps, ran):
    """Before and after which steps the trace began and ended."""
    events = []
    monkeypatch.setattr(jax.profiler, "start_trace", lambda path: events.append(("began", path)))
    monkeypatch.setattr(jax.profiler, "stop_trace", lambda: events.append("ended"))
    with Profile(folder, steps).opened() as profile:
        for step in ran:
            profile.before(step)
            events.append(step)
            profile.after(step, jnp.zeros(()))
    return events


@pytest.mark.parametrize(
    ("steps", "ran", "events"),
    [
        ((), [1, 2], [1, 2]),
        ((2, 3), [1, 2, 3, 4], [1, ("began", "there"), 2, 3, "ended", 4]),
        ((2, 2), [1, 2, 3], [1, ("began", "there"), 2, "ended", 3]),
        ((2, 9), [3, 4], [("began", "there"), 3, 4, "ended"]),
        ((2, 3), [5], [5]),
    ],
)
def test_the_trace_begins_and_ends_with_the_steps(monkeypatch, steps, ran, events):
    assert traced(monkeypatch, "there", steps, ran) == events


def test_a_trace_is_written(tmp_path):
    double = jax.jit(lambda x: 2 * x)
    with Profile(tmp_path, (1, 1)).opened() as profile:
        profile.before(1)
        profile.after(1, double(jnp.ones(4)))
    assert list(tmp_path.rglob("*.xplane.pb"))


@pytest.mark.parametrize("steps", [(3,), (3, 2), (0, 1)])
def test_other_steps_are_refused(steps):
    with pytest.raises(BadInput, match="config.train.profile must be the first and the last step"):
        experiment_of(tiny, train=dict(profile=steps))
