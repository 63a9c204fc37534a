"""The protocol that measures a model, on models whose figures are known beforehand."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from eval.real_motions import read_actions, read_real_motions
from eval.refinement import corrupt_all, fill_gaps, measure_refinement
from eval.shipped_model import TARGETS, compare, draw, evaluate
from eval.shipped_model_report import to_markdown
from tests.helpers.commands import run_command
from tests.helpers.made_up import ACTIONS, made_up_dataset
from tests.helpers.tiny_package import Letters, tiny_package
from vimogen_jax.diffusion.corruption import Corruption
from vimogen_jax.errors import BadInput
from vimogen_jax.generate import Generator
from vimogen_jax.motion.representation import REFERENCE_CHANNELS, decode


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    return made_up_dataset(tmp_path_factory.mktemp("made_up") / "dataset")


def model_that_refines(motions):
    """What refinement asks of a model; `motions(requests, progress)` samples."""
    package = tiny_package()
    return SimpleNamespace(
        statistics=package.statistics,
        objective=package.objective,
        sampler=package.sampler,
        motions=motions,
    )


class Remembers:
    """A model that knows all takes by heart: the best there can be."""

    def __init__(self, dataset, actions):
        self._train = read_real_motions(dataset, "train", actions)
        self._held_out = read_real_motions(dataset, "validation", actions)
        self.package = tiny_package()
        self.model = model_that_refines(lambda *_: [take.motion for take in self._held_out])

    def __call__(self, prompts, seconds, **_):
        by_length = {(take.caption, take.seconds): take.motion for take in self._train}
        return [by_length[key] for key in zip(prompts, seconds, strict=True)]


def test_a_perfect_model_gets_perfect_figures(made_up):
    dataset, actions = made_up
    report = evaluate(Remembers(*made_up), dataset, actions, per_action=4)
    assert report["action_following"]["real"]["all"] == 1
    assert report["action_following"]["generated_motions"] == 12
    ratios = {name: entry["ratio"] for name, entry in report["targets"].items()}
    refined = ratios.pop("refined_jitter"), ratios.pop("refined_joint_error")
    assert ratios == pytest.approx({"recognised": 1, "jitter": 1, "foot_sliding": 1})
    assert 0 < refined[0] < 1
    assert refined[1] == 0
    assert json.loads(json.dumps(report)) == report
    tables = to_markdown(report)
    assert "| actions recognised | 100 % | 100 % | 1.00 | >= 0.8 | yes |" in tables
    assert all(f"| {action} | 100 % | 100 % |" in tables for action in ACTIONS)


def test_a_model_of_random_weights_misses_its_targets(made_up, monkeypatch):
    monkeypatch.setattr("vimogen_jax.generate.load_text_encoder", lambda spec: Letters())
    report = evaluate(Generator(tiny_package()), *made_up, per_action=2)
    missed = {name for name, entry in report["targets"].items() if not entry["reached"]}
    assert missed >= {"jitter", "foot_sliding", "refined_joint_error"}


def test_targets_are_compared_in_their_direction():
    def at(recognised, quality, refined):
        metric = dict(ratio=quality)
        figures = dict(jitter=refined, joint_error=refined)
        return compare(
            dict(
                action_following=dict(ratio=recognised),
                motion_quality=dict(jitter=metric, foot_sliding=metric),
                refinement=dict(refined=figures, corrupted=dict(jitter=1.0, joint_error=1.0)),
            )
        )

    assert all(entry["reached"] for entry in at(0.8, 1.5, 0.5).values())
    assert not any(entry["reached"] for entry in at(0.79, 1.51, 1.0).values())
    assert at(1, 1, 1).keys() == TARGETS.keys()


def test_takes_are_drawn_evenly_and_again_the_same(made_up):
    takes = read_real_motions(made_up[0], "train", made_up[1])
    drawn = draw(takes, 4, seed=0)
    assert [take.action for take in drawn] == [action for action in ACTIONS for _ in range(4)]
    assert len({take.id for take in drawn}) == 12
    assert drawn == draw(takes, 4, seed=0) != draw(takes, 4, seed=1)
    assert len(draw(takes, 20, seed=0)) == 60


def test_corruption_leaves_padding_out_and_gaps_are_interpolated():
    rng = np.random.default_rng(0)
    clean = [rng.normal(size=(n, 138)).astype(np.float32) for n in (200, 50)]
    corrupted, kept = corrupt_all(clean, Corruption(), seed=0)
    assert [each.shape for each in corrupted] == [(200, 138), (50, 138)]
    assert 0.9 < kept[0].mean() < 1
    assert (corrupted[0][~kept[0]] == 0).all()
    assert 0.01 < np.abs(corrupted[0] - clean[0])[kept[0]].mean() < 0.2
    line = np.linspace(0, 1, 11)[:, None].repeat(2, axis=1)
    holes = np.where(np.arange(11)[:, None] % 3 == 2, 0, line)
    np.testing.assert_allclose(fill_gaps(holes, np.arange(11) % 3 != 2), line, atol=1e-12)


def test_a_model_that_gives_back_its_input_refines_nothing(made_up):
    takes = read_real_motions(made_up[0], "validation", made_up[1])
    denormalize = tiny_package().statistics.reference().denormalize

    def give_back(requests, progress):
        motions = []
        for take, request in zip(takes, requests, strict=True):
            channels = take.channels.copy()
            channels[:, REFERENCE_CHANNELS] = denormalize(request.reference)
            motions.append(decode(channels))
        return motions

    measured = measure_refinement(model_that_refines(give_back), takes)
    assert measured["refined"] == measured["corrupted"]
    assert measured["clean"]["joint_error"] == 0
    assert measured["corrupted"]["joint_error"] > measured["filled"]["joint_error"] > 0
    assert measured["corrupted"]["jitter"] > measured["filled"]["jitter"]
    assert measured["filled"]["jitter"] > measured["smoothed"]["jitter"]


def test_actions_are_read_from_the_caption_file(tmp_path):
    path = tmp_path / "captions.jsonl"
    rows = [dict(id=f"take {i}", action=f"action {i}", source=f"source {i % 2}") for i in range(4)]
    path.write_text("\n".join(map(json.dumps, rows)))
    assert read_actions(path, "source 1") == {"take 1": "action 1", "take 3": "action 3"}
    for content in ("{", '["id"]', '{"id": 1, "source": "source 1"}'):
        path.write_text(content)
        with pytest.raises(BadInput, match=r"captions\.jsonl is not a caption file"):
            read_actions(path, "source 1")
    with pytest.raises(BadInput, match="nowhere.* is missing"):
        read_actions("nowhere.jsonl")


def test_a_dataset_without_known_actions_is_refused(made_up):
    with pytest.raises(BadInput, match="no train takes of known actions"):
        evaluate(Remembers(*made_up), made_up[0], {})


@pytest.mark.parametrize(
    "arguments, fault",
    [
        (["--dataset=NOWHERE"], "NOWHERE"),
        (["--dataset=DATASET", "--captions=NOWHERE"], "NOWHERE is missing"),
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
