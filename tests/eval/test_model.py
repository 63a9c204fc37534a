"""The protocol that measures a model, on models whose figures are known beforehand."""

# pyright: reportArgumentType=false

import dataclasses
import json
import math
from types import SimpleNamespace

import numpy as np
import pytest

from eval.action_following import NONE
from eval.model import (
    TARGETS,
    HeldOutSentence,
    compare,
    draw,
    evaluate,
    judged_actions,
    measure_quality,
)
from eval.model_report import to_markdown
from eval.real_motions import read_actions, read_real_motions
from eval.refinement import SUITE, measure_reading, measure_refinement, noisy
from tests.helpers.commands import run_command
from tests.helpers.made_up import ACTIONS, made_up_dataset
from tests.helpers.synthetic import make_record, write_dataset
from tests.helpers.tiny_package import Letters, tiny_generator, tiny_package
from vimogen_jax.body.rotations import axis_angle_to_matrix
from vimogen_jax.diffusion.camera import to_rotations
from vimogen_jax.errors import BadInput
from vimogen_jax.generator import Generator
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.motion.representation import REFERENCE_CHANNELS, decode


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    return made_up_dataset(tmp_path_factory.mktemp("made_up") / "dataset")


def model_that_refines(motions):
    """What refinement asks of a model; `motions(requests, progress)` samples."""
    package = tiny_package()
    return SimpleNamespace(statistics=package.statistics, fps=package.fps, motions=motions)


class Remembers:
    """A model that knows all takes by heart: the best there can be."""

    def __init__(self, dataset, actions):
        self._train = read_real_motions(dataset, "train", actions)
        self._held_out = read_real_motions(dataset, "validation", actions)
        self.package = tiny_package()
        truth = [take.motion for take in self._held_out]
        self.model = model_that_refines(lambda *_: truth * len(SUITE))

    def __call__(self, prompts, seconds, **_):
        by_length = {(take.caption, take.seconds): take.motion for take in self._train}
        any_of = {take.action: take.motion for take in self._train}
        return [
            by_length.get(key) or any_of[key[0].split(": ")[1]]
            for key in zip(prompts, seconds, strict=True)
        ]


SENTENCES = [HeldOutSentence(f"do it: {action}", action) for action in ACTIONS]


def test_a_perfect_model_gets_perfect_figures(made_up):
    dataset, actions = made_up
    report = evaluate(Remembers(*made_up), dataset, actions, SENTENCES, per_action=4)
    assert report["action_following"]["real"]["all"] == 1
    assert report["action_following"]["generated_motions"] == 12
    values = {name: entry["value"] for name, entry in report["targets"].items()}
    ones = ("recognised", "worst action", "new wordings", "jitter", "foot_sliding")
    assert [values[name] for name in ones] == pytest.approx([1] * 5)
    assert [values[name] for name in SUITE] == pytest.approx([0] * 6, abs=1e-3)
    assert values["diversity"] < 0.1  # the same motion again and again
    assert json.loads(json.dumps(report)) == report
    tables = to_markdown(report)
    assert "| actions recognised | 100 % | 100 % | 1.00 | >= 0.95 | yes |" in tables
    assert all(f"| {action} | 100 % | 100 % | 100 % |" in tables for action in ACTIONS)


def test_a_model_of_random_weights_misses_its_targets(made_up, monkeypatch):
    monkeypatch.setattr("vimogen_jax.generator.load_text_encoder", lambda spec: Letters())
    report = evaluate(Generator(tiny_package()), *made_up, per_action=2)
    missed = {name for name, entry in report["targets"].items() if not entry["reached"]}
    assert missed >= {"jitter", "foot_sliding", "clean", "mixed"}
    assert "new wordings" not in report["targets"]


def test_a_dataset_says_itself_what_its_takes_show(tmp_path):
    record = make_record(np.random.default_rng(0), 0, 60, action="wave")
    write_dataset(tmp_path / "dataset", [record])
    dataset = Dataset.open(tmp_path / "dataset")
    told = [
        read_real_motions(dataset, "train", actions)[0].action
        for actions in ({}, {"other": "kick"}, {record.id: "greet"})
    ]
    assert told == ["wave", "wave", "greet"]


def test_a_part_is_measured_alone(made_up):
    report = evaluate(Remembers(*made_up), *made_up, parts=["references"])
    assert report["targets"].keys() == SUITE.keys()
    tables = to_markdown(report)
    assert tables.startswith("| reference | given, mm |")
    assert "| clean | 0 | " in tables and "actions recognised" not in tables


def test_what_real_takes_have_none_of_has_no_ratio(made_up):
    moving = read_real_motions(made_up[0], "train", {})[0].motion
    still = dataclasses.replace(
        moving, rotations=moving.rotations[[0] * 60], transl=moving.transl[[0] * 60]
    )
    quality = measure_quality([still], [moving])
    assert quality["jitter"]["real"] == 0 < quality["jitter"]["generated"]
    assert all(quality[name]["ratio"] is None for name in ("jitter", "dynamic_degree"))
    known = dict(ratio=1.0, worst=dict(ratio=1.0))
    targets = compare(dict(action_following=known, motion_quality=quality))
    assert "recognised" in targets and not {"jitter", "dynamic_degree"} & set(targets)


def test_targets_are_compared_within_their_bounds():
    def at(low, high):
        inside = lambda name: TARGETS[name][0] if TARGETS[name][1] == math.inf else high[name]
        value = {name: inside(name) + low * (1 if TARGETS[name][1] != math.inf else -1)
                 for name in TARGETS}  # fmt: skip
        return compare(
            dict(
                action_following=dict(
                    ratio=value["recognised"],
                    worst=dict(ratio=value["worst action"]),
                    new_wordings=dict(all=value["new wordings"]),
                ),
                motion_quality={
                    name: dict(ratio=value[name])
                    for name in ("jitter", "foot_sliding", "foot_floating", "dynamic_degree",
                                 "diversity")
                },
                refinement={
                    name: dict(refined=dict(joint_error=value[name] / 1000)) for name in SUITE
                },
            )
        )  # fmt: skip

    upper = {name: bounds[1] for name, bounds in TARGETS.items()}
    assert all(entry["reached"] for entry in at(-1e-6, upper).values())
    assert not any(entry["reached"] for entry in at(1e-3, upper).values())
    assert at(0, upper).keys() == TARGETS.keys()


def test_without_known_actions_captions_are_the_actions(made_up):
    report = evaluate(Remembers(*made_up), made_up[0], {}, per_action=2)
    assert set(report["action_following"]["generated"]) == {
        "all", *(f"a person does {action}." for action in ACTIONS)
    }  # fmt: skip


def test_an_action_of_few_takes_is_none_of_the_judged(made_up):
    dataset, actions = made_up
    few = {id: "rare" if id.endswith(("walk-train-0", "walk-validation-0")) else action
           for id, action in actions.items()}  # fmt: skip
    takes = [read_real_motions(dataset, split, few) for split in ("train", "validation")]
    assert judged_actions(*takes) == ACTIONS
    assert "rare" not in judged_actions(*takes)
    report = evaluate(Remembers(*made_up), dataset, few, per_action=2)
    assert report["action_following"]["other_takes"] == 1
    assert NONE not in report["action_following"]["generated"]


def test_an_action_that_the_judge_does_not_see_in_real_takes_is_not_told(made_up):
    dataset, actions = made_up
    other = {ACTIONS[0]: ACTIONS[1], ACTIONS[1]: ACTIONS[0]}
    mistaken = {id: other.get(action, action) if "validation" in id else action
                for id, action in actions.items()}  # fmt: skip
    report = evaluate(Remembers(*made_up), dataset, mistaken, SENTENCES, per_action=2)
    following = report["action_following"]
    assert following["not_told"] == sorted(ACTIONS[:2])
    for part in ("real", "generated", "new_wordings"):
        assert following[part] == {ACTIONS[2]: 1, "all": 1}
    assert f"in held-out takes: {ACTIONS[0]}, {ACTIONS[1]}." in to_markdown(report)


def test_takes_are_drawn_evenly_and_again_the_same(made_up):
    takes = read_real_motions(made_up[0], "train", made_up[1])
    drawn = draw(takes, 4, seed=0)
    assert [take.action for take in drawn] == [action for action in ACTIONS for _ in range(4)]
    assert len({take.id for take in drawn}) == 12
    assert drawn == draw(takes, 4, seed=0) != draw(takes, 4, seed=1)
    assert len(draw(takes, 20, seed=0)) == 60


def test_noise_turns_every_joint_by_its_angle_and_held_frames_repeat(made_up):
    take = read_real_motions(made_up[0], "validation", made_up[1])[0]
    clean = take.channels[:, REFERENCE_CHANNELS]
    apart = np.matrix_transpose(to_rotations(clean))
    turned = lambda noise: apart @ to_rotations(noisy(clean, noise, np.random.default_rng(0)))
    angle = lambda noise: np.arccos(np.clip((np.trace(turned(noise), 0, -2, -1) - 1) / 2, -1, 1))
    assert angle("clean").max() < 2e-3
    for noise, level in (("white 0.03", 0.03), ("white 0.1", 0.1), ("drift 0.05", 0.05)):
        assert angle(noise).mean() == pytest.approx(1.6 * level, rel=0.25)  # of three axes
    held = noisy(clean, "held", np.random.default_rng(0))
    repeats = (held[1:, :126] == held[:-1, :126]).all(1).mean()
    assert 0.2 < repeats < 0.6


def test_a_model_that_gives_back_its_input_refines_nothing(made_up):
    takes = read_real_motions(made_up[0], "validation", made_up[1])
    denormalize = tiny_package().statistics.reference().denormalize

    def give_back(requests, progress):
        motions = []
        for take, request in zip(takes * len(SUITE), requests, strict=True):
            channels = take.channels.copy()
            channels[:, REFERENCE_CHANNELS] = denormalize(request.reference)
            motions.append(decode(channels))
        return motions

    measured = measure_refinement(model_that_refines(give_back), takes)
    for noise, figures in measured.items():
        given, refined = figures["given"], figures["refined"]
        if noise == "held":  # mended on the way to the model
            assert refined["joint_error"] < 0.5 * given["joint_error"]
        else:
            assert refined["joint_error"] == pytest.approx(given["joint_error"], abs=1e-5), noise
        assert figures["truth"]["joint_error"] == pytest.approx(0, abs=1e-6)
    white = measured["white 0.1"]
    assert white["given"]["joint_error"] > white["smoothed"]["joint_error"] > 0.005
    assert white["given"]["jitter"] > white["smoothed"]["jitter"] > white["truth"]["jitter"]


def test_what_was_read_of_a_film_is_compared_before_and_after_refining(made_up):
    truth = read_real_motions(made_up[0], "validation", made_up[1])[0].motion
    rng = np.random.default_rng(0)
    shaken = axis_angle_to_matrix(0.05 * rng.normal(size=(truth.num_frames, 22, 3)))
    reading = dataclasses.replace(truth, rotations=truth.rotations @ shaken)
    with tiny_generator() as generator:
        told = measure_reading(generator.model, reading, truth)
    assert told["given"]["joint_error"] > told["smoothed"]["joint_error"] > 0.003
    assert told["given"]["jitter"] > told["smoothed"]["jitter"]
    assert told["refined"]["joint_error"] > 0.1, "random weights"
    assert told["truth"]["joint_error"] == pytest.approx(0, abs=1e-6)
    with pytest.raises(BadInput, match="makes motions of 2 to"):
        measure_reading(generator.model, reading[:30], truth[:30])


def test_actions_are_read_from_caption_files(tmp_path):
    paths = [tmp_path / f"{i}.jsonl" for i in range(2)]
    for i, path in enumerate(paths):
        row = dict(id=f"take {i}", action=f"wave {['left', 'right'][i]}")
        path.write_text(f"\ufeff{json.dumps(row)}\r\n\r\n", "utf-8")
    assert read_actions(paths) == {"take 0": "wave left", "take 1": "wave right"}
    for content in ("{", '["id"]', '{"id": 1}', '{"id": "a", "action": 1}'):
        paths[1].write_text(content)
        with pytest.raises(BadInput, match=r"1\.jsonl: line 1 has no id and action"):
            read_actions(paths)
    with pytest.raises(BadInput, match="nowhere.* is missing"):
        read_actions(["nowhere.jsonl"])


def test_a_dataset_of_one_action_is_refused(made_up):
    one = dict.fromkeys(made_up[1], "all the same")
    with pytest.raises(BadInput, match="no two actions of known takes"):
        evaluate(Remembers(*made_up), made_up[0], one)


@pytest.mark.parametrize("part", ["sentences", "constraints"])
def test_a_dataset_of_which_nothing_can_be_told_is_refused_before_the_work(part, made_up):
    """Each action is held out under the name of the next."""
    names = dict(zip(ACTIONS, ACTIONS[1:] + ACTIONS[:1], strict=True))
    mistaken = {id: names[action] if "validation" in id else action
                for id, action in made_up[1].items()}  # fmt: skip
    unused = SimpleNamespace(package=tiny_package())
    with pytest.raises(BadInput, match="no action of the held-out takes is recognised in half"):
        evaluate(unused, made_up[0], mistaken, parts=[part])


def test_a_model_without_reference_branch_is_refused_before_the_work(made_up):
    unused = SimpleNamespace(package=tiny_package(reference_dim=0))
    with pytest.raises(BadInput, match="no reference branch") as raised:
        evaluate(unused, *made_up)
    assert raised.value.remedy == "part"


@pytest.mark.parametrize(
    "arguments, fault",
    [
        (["--dataset=NOWHERE"], "NOWHERE"),
        (["--dataset=DATASET", "--captions=NOWHERE"], "NOWHERE is missing"),
        (["--dataset=DATASET", "--sentences=NOWHERE"], "NOWHERE is missing"),
        (["--dataset=DATASET", "--checkpoint=NOWHERE"], "NOWHERE"),
    ],
)
def test_bad_input_at_the_command(arguments, fault, made_up, tmp_path):
    arguments = [each.replace("DATASET", str(made_up[0].folder)) for each in arguments]
    out = tmp_path / "report.json"
    ended = run_command("evaluate", f"--out={out}", *arguments)
    assert ended.returncode == 1
    (sentence,) = ended.stderr.strip().splitlines()
    assert sentence.startswith("error: ")
    assert fault in sentence
    assert not out.exists()
