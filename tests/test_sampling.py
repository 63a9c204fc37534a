"""The sampling path: order, independence, both branches in a call, one device or several."""

import dataclasses

import jax
import numpy as np
import pytest

from tests.helpers.stride import stride
from tests.helpers.tiny_package import tiny_package
from vimogen_jax import sharding
from vimogen_jax.directing.goals import ALL_JOINTS, keep, no_goals
from vimogen_jax.errors import BadInput
from vimogen_jax.models.parameters import abstract_params
from vimogen_jax.sampling import EncodedRequest, MotionModel

NULL = np.zeros((1, 8), np.float32)


def make_model(rows=None, **model) -> MotionModel:
    package = tiny_package(**model)
    graphdef, _ = abstract_params(package.model)
    return MotionModel(
        graphdef,
        package.params,
        package.objective,
        package.sampler,
        package.statistics,
        fps=20.0,
        rows=rows,
    )


@pytest.fixture(scope="module")
def model():
    return make_model()


def by_text(i: int, frames: int = 50, tokens: int = 5) -> EncodedRequest:
    text = np.random.default_rng(i).normal(size=(tokens, 8)).astype(np.float32)
    return EncodedRequest(frames, draw=i, text=text, null_text=NULL)


def by_reference(i: int, frames: int = 50) -> EncodedRequest:
    reference = np.random.default_rng(i).normal(size=(frames, 138)).astype(np.float32)
    return EncodedRequest(frames, draw=i, reference=reference)


def unconditional(i: int, frames: int = 50) -> EncodedRequest:
    return EncodedRequest(frames, draw=i, null_text=NULL)


MIXED = [
    by_reference(0, 61),
    by_text(1, 75),
    unconditional(2, 40),
    by_text(3, 41),
    by_reference(4, 45),
    by_text(5, 60, tokens=40),
]


def test_branches_mix_and_results_come_in_order(model):
    together = model.channels(MIXED)
    assert [len(channels) for channels in together] == [each.frames for each in MIXED]
    for i in (0, 2, 5):  # one of each kind, in a batch of another shape
        np.testing.assert_allclose(together[i], model.channels([MIXED[i]])[0], atol=1e-4)
    for a, b in zip(together, model.channels(MIXED[::-1])[::-1], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", [by_text, by_reference, unconditional])
def test_in_batches_of_one_shape_a_result_is_bitwise_the_same(model, kind):
    first = model.channels([kind(7), kind(8), kind(9, 55)])[0]
    others = [by_text(1), by_text(2)] if kind is by_reference else [by_reference(1)]
    again = model.channels([*others, kind(10, 60), kind(11, 41), kind(7)])[-1]
    np.testing.assert_array_equal(first, again)


def test_what_a_request_says_changes_its_result(model):
    request = by_text(0)
    changes = [dict(seed=1), dict(draw=1), dict(text=by_text(1).text), dict(text=None)]
    changes += [dict(seed=2**32 - 1), dict(draw=2**32 - 1)]
    first, *others = model.channels(
        [request, *(dataclasses.replace(request, **change) for change in changes)]
    )
    assert min(np.abs(first - other).max() for other in others) > 1e-3


def test_a_network_is_told_what_is_set_but_not_how_a_motion_before_ended():
    listens = make_model(infill=True)
    unheard = listens.params["known_input"] | dict(
        kernel=0 * listens.params["known_input"]["kernel"]
    )
    deaf = dataclasses.replace(listens, params=listens.params | dict(known_input=unheard))
    goals = no_goals(50)
    keep(goals, stride(50), np.arange(50) < 10, ALL_JOINTS)
    goes_on = dataclasses.replace(by_text(0), goals=goals, goes_on=True)
    requests = [dataclasses.replace(goes_on, goes_on=False), goes_on]
    (told, untold), (unset, same) = (each.channels(requests) for each in (listens, deaf))
    assert np.abs(told - unset).max() > 0.1
    np.testing.assert_array_equal(untold, same)
    (free,) = deaf.channels([by_text(0)])
    bent = [np.abs(each - free).max(axis=-1) for each in (unset, same)]
    assert bent[0][:10].min() > 0.1 and bent[1][:10].min() > 0.1
    assert bent[1][25:].max() < 0.1 * bent[0][25:].max(), "only a few frames go along"


@pytest.mark.parametrize("devices", [2, 8])
def test_several_devices_sample_the_same(model, devices):
    expected = model.channels(MIXED)
    with sharding.use("data_parallel", jax.devices()[:devices]) as mesh:
        spread = make_model(sharding.Rows(mesh, mesh.size)).channels(MIXED)
    for a, b in zip(spread, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_channels_are_those_of_the_motion(model):
    (channels,), (motion,) = model.channels(MIXED[:1]), model.motions(MIXED[:1])
    decoded = model.decode(channels)
    np.testing.assert_array_equal(decoded.rotations, motion.rotations)
    np.testing.assert_array_equal(decoded.transl, motion.transl)


def test_the_trajectory_is_that_of_the_sampler_for_references_too(model):
    fused = dataclasses.replace(
        model, sampler=dataclasses.replace(model.sampler, trajectory="fused")
    )
    assert fused.params is model.params
    for request in (by_text(0), by_reference(0)):
        (absolute,), (moved,) = model.motions([request]), fused.motions([request])
        amid = slice(2, -2), slice(1, None)  # the first frame, smoothed too, says what is ahead
        np.testing.assert_allclose(moved.rotations[amid], absolute.rotations[amid], atol=1e-5)
        assert np.abs(moved.transl - absolute.transl).max() > 1e-3


def test_ends_are_smoothed_with_the_trajectory_and_left_as_published(model):
    of = lambda **changes: dataclasses.replace(
        model, sampler=dataclasses.replace(model.sampler, **changes)
    )
    request = by_text(0)
    ends = [0, 1, -2, -1]
    (raw,), (published,), (smooth,) = (
        of(**dict(smoothing=1.0) | changes).channels([request])
        for changes in (dict(smoothing=0.0), {}, dict(trajectory="fused"))
    )
    np.testing.assert_array_equal(published[ends], raw[ends])
    np.testing.assert_allclose(smooth[2:-2], published[2:-2], atol=1e-4)
    shake = lambda x: np.square(np.diff(x[[0, 1, 2]], 2, axis=0)).mean()
    assert shake(smooth) < 0.5 * shake(raw) and shake(smooth[::-1]) < 0.5 * shake(raw[::-1])


def test_references_have_a_smoothing_of_their_own(model):
    sampler = dataclasses.replace(model.sampler, reference_smoothing=0.0)
    shaking = dataclasses.replace(model, sampler=sampler)
    (text, reference), (same, rough) = (
        each.channels([by_text(0), by_reference(0)]) for each in (model, shaking)
    )
    np.testing.assert_array_equal(same, text)
    assert np.square(np.diff(rough, axis=0)).mean() > np.square(np.diff(reference, axis=0)).mean()


def test_nothing_asked_for_is_nothing_made(model):
    assert model.motions([]) == []


def test_a_model_without_a_reference_branch_follows_texts_alone():
    model = make_model(reference_dim=0)
    assert len(model.channels([by_text(0)])) == 1
    with pytest.raises(BadInput, match="no reference branch"):
        model.channels([by_text(0), by_reference(1)])


def test_numbers_that_are_not_finite_are_refused(model):
    with pytest.raises(BadInput, match="gave numbers that are not finite"):
        model.decode(np.full((40, 276), np.nan, np.float32))


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (dict(frames=0, null_text=NULL), "1 to 200 frames, not 0"),
        (dict(frames=201, null_text=NULL), "1 to 200 frames, not 201"),
        (dict(frames=50), "needs a null_text"),
        (dict(frames=50, text=NULL, reference=np.zeros((50, 138))), "not both"),
        (dict(frames=50, reference=np.zeros((49, 138))), "50 frames do not follow 49"),
    ],
)
def test_requests_that_make_no_sense(arguments, fault):
    with pytest.raises(ValueError, match=fault):
        EncodedRequest(**arguments)
