"""The judge of actions, on made-up motions whose action is known."""

import dataclasses

import numpy as np
import pytest

from eval.action_following import NONE, ActionClassifier, features, recognised, statue
from tests.helpers.made_up import ACTIONS, made_up_motion
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.motion.canonical import transform


def some_motions(seed, each=8):
    rng = np.random.default_rng(seed)
    actions = [action for action in ACTIONS for _ in range(each)]
    return [made_up_motion(action, rng) for action in actions], actions


def test_actions_are_told_apart():
    classifier = ActionClassifier().fit(*some_motions(0))
    motions, actions = some_motions(1)
    assert recognised(classifier.predict(motions), actions)["all"] == 1
    others = [ACTIONS[ACTIONS.index(action) - 1] for action in actions]
    assert recognised(classifier.predict(motions), others)["all"] == 0


def test_another_action_and_a_statue_are_none_of_these():
    motions, actions = some_motions(0, each=16)
    known = [NONE if action == "raise-right-hand" else action for action in actions]
    classifier = ActionClassifier().fit(motions, known)
    unseen, actions = some_motions(1)
    others = [
        motion
        for motion, action in zip(unseen, actions, strict=True)
        if action == "raise-right-hand"
    ]
    assert (classifier.predict(others) == NONE).all()
    assert (classifier.predict([statue(motion) for motion in unseen]) == NONE).all()
    rest = [motion for motion, action in zip(unseen, actions, strict=True) if action == "walk"]
    assert (classifier.predict(rest) == "walk").all()


def test_features_do_not_depend_on_place_and_heading():
    motion = made_up_motion("walk", np.random.default_rng(0))
    turn = axis_angle_to_matrix(np.array([0.0, 0.0, 2.0]))
    moved = transform(motion, turn, np.array([3.0, -1.0, 0.5]))
    np.testing.assert_allclose(features(moved), features(motion), atol=1e-6)
    shaken = dataclasses.replace(motion, transl=motion.transl * [1.0, 2.0, 1.0])
    assert np.abs(features(shaken) - features(motion)).max() > 0.1


def test_shares_are_by_action_and_of_all():
    shares = recognised(np.array(["a", "b", "b", "a"]), ["a", "a", "b", "a"])
    assert shares == pytest.approx({"a": 2 / 3, "b": 1.0, "all": 0.75})
