"""The protocol: what a report says of systems that are known."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from eval.humanml3d.protocol import PUBLISHED, REAL, evaluate, is_whole, published_rows
from eval.humanml3d.report import to_markdown, write_html
from eval.humanml3d.systems import HumanML3DSystem, SystemMotions
from tests.helpers.page import Reader
from vimogen_jax.errors import BadInput


class Space:
    """Texts and motions by the number in the caption, and the first frame of the motion."""

    name = "a space of tests"

    def __init__(self, width=6):
        self.width = width
        self.asked, self.seen = [], []

    def texts(self, captions):
        self.asked += captions
        return np.stack([self.place(int(re.sub(r"\D", "", x.text) or 99)) for x in captions])

    def motions(self, features):
        self.seen += [x.tobytes() for x in features]
        return np.stack([self.place(int(x[0, 0])) + 0.01 * x[0, 1] for x in features])

    def place(self, number):
        return np.random.RandomState(number).standard_normal(self.width)


@pytest.fixture(scope="module")
def numbered(split):
    """The split, with the number of its caption in every frame of a motion."""
    clips = {}
    for id, clip in split.clips.items():
        features = clip.features.copy()
        features[:, 0] = int(re.sub(r"\D", "", clip.captions[0].text) or 99)
        features[:, 1] = 0
        clips[id] = replace(clip, features=features)
    return replace(split, clips=clips)


def system(split, name="ours", shift=0, away=0.0, noise=0.0, count=1):
    """Motions of the number of each prompt plus `shift`, `count` of each, moved and with noise."""
    random = np.random.default_rng(0)
    made = {}
    for prompt in split.prompts:
        motions = []
        for _ in range(count):
            motion = split.clips[prompt.id].features[: prompt.frames].copy()
            motion[:, 0] += shift
            motion[:, 1] = 100 * (away + noise * random.standard_normal())
            motions.append(motion)
        made[prompt.id] = SystemMotions(prompt.caption, motions)
    return HumanML3DSystem(name, made, {"HumanML3D features": count * len(made)}, {})


def test_systems_that_are_known(numbered):
    systems = [
        system(numbered, "right"),
        system(numbered, "wrong", shift=200),
        system(numbered, "away", away=3.0),
        system(numbered, "various", noise=0.2, count=12),
    ]
    report = evaluate(numbered, Space(), systems, repetitions=3)
    score = lambda name: {k: x["mean"] for k, x in report["systems"][name]["scores"].items()}
    for name in (REAL, "right"):
        assert score(name)["r_precision_top1"] == 1
        assert score(name)["multimodal_dist"] == 0
    assert score("wrong")["r_precision_top1"] < 0.2
    assert score("wrong")["multimodal_dist"] > 2
    assert score("away")["fid"] - score("right")["fid"] == pytest.approx(6 * 3**2, rel=0.1)
    # Two motions of a text differ in 6 coordinates alike, by a normal number of deviation 0.28;
    # one time in twelve they are one and the same.
    expected = 11 / 12 * 0.2 * np.sqrt(6) * 2 / np.sqrt(np.pi)
    assert score("various")["multimodality"] == pytest.approx(expected, rel=0.1)
    assert "multimodality" not in score("right")
    assert is_whole(report)
    json.dumps(report, allow_nan=False)


def test_each_repetition_looks_again_and_a_seed_is_the_same_again(numbered):
    report = evaluate(numbered, Space(), [system(numbered)], repetitions=4, seed=5)
    again = evaluate(numbered, Space(), [system(numbered)], repetitions=4, seed=5)
    assert report == again
    other = evaluate(numbered, Space(), [system(numbered)], repetitions=4, seed=6)
    assert report["systems"] != other["systems"]
    values = report["systems"][REAL]["scores"]["fid"]["values"]
    assert len(set(values)) == 4
    scores = report["systems"]["ours"]["scores"]["diversity"]
    assert scores["mean"] == pytest.approx(np.mean(scores["values"]))
    assert scores["interval"] == pytest.approx(1.96 * np.std(scores["values"]) / 2)


def test_fewer_motions_than_dimensions_get_the_kernel_distance(numbered):
    report = evaluate(numbered, Space(width=64), [system(numbered)], repetitions=2)
    scores = report["systems"]["ours"]["scores"]
    assert "kid" in scores and "fid" not in scores
    assert "KID stands for FID" in to_markdown(report)


def test_texts_and_crops_are_embedded_once(split):
    space = Space()
    evaluate(split, space, [], repetitions=8)
    assert len(space.asked) == len(set(space.asked)) == 81
    crops = len(set(space.seen))
    assert len(space.seen) == crops > 3 * len(split.clips)


def test_a_system_has_a_name_of_its_own(numbered):
    with pytest.raises(BadInput, match="a system cannot be called 'real motions'"):
        evaluate(numbered, Space(), [system(numbered, REAL)])


def test_too_few_motions_are_refused(numbered):
    few = system(numbered)
    made = dict(list(few.made.items())[:31])
    with pytest.raises(BadInput, match="ours: 31 motions are fewer than a batch of 32"):
        evaluate(numbered, Space(), [HumanML3DSystem("ours", made, {}, {})])


def test_what_is_missing_is_listed_and_the_rest_scored(numbered, tmp_path):
    whole = system(numbered)
    made = {id: each for id, each in whole.made.items() if id != "000007"}
    faults, doubts = {"some/where/8.npy": "holds NaN | infinity"}, {"9.npy": "is it normalised?"}
    partly = HumanML3DSystem("<ours>", made, {"joints": 40}, faults, doubts)
    report = evaluate(numbered, Space(), [partly], repetitions=1)
    assert not is_whole(report)
    markdown = to_markdown(report)
    assert "| <ours> | 000007 | no motion |" in markdown
    assert "| <ours> | 8.npy | holds NaN \\| infinity |" in markdown
    assert "40 from joints" in markdown
    assert "1 of its files do not look like features, but were scored: is it norm" in markdown
    write_html(report, tmp_path / "index.html")
    page = (tmp_path / "index.html").read_text()
    cells = [tag for tag, _ in Reader(page).tags if tag == "td"]
    assert len(cells) > 100
    assert "&lt;ours&gt;" in page and "<ours>" not in page
    assert "MLD + ViMoGen-light (published)" in page


def test_what_does_not_compare_is_said(numbered):
    report = evaluate(numbered, Space(), [system(numbered)], repetitions=2)
    markdown = to_markdown(report)
    assert "whose list has 4384 motions. This is another, so they do not compare" in markdown
    assert "ours: 1 motion a prompt for 2 repetitions" in markdown
    assert "ours: multimodality needs 10 motions of a prompt" in markdown
    assert "2 left out: not 40 to 199 frames" in markdown
    report["protocol"]["published_set"] = True
    assert "they do not compare" not in to_markdown(report)


def test_the_published_rows_are_those_published(shared):
    ours = json.loads(PUBLISHED.read_text())["rows"]
    tables = [json.loads((shared / "humanml3d" / "published_rows.json").read_text())]
    tables += [json.loads((shared / "mbench" / "published_scores.json").read_text())["humanml3d"]]
    seen = set()
    for table in tables:
        for name, values in table["rows"].items():
            row = ours["real motions" if name == "real" else name]
            for column, value in zip(table["columns"], values, strict=True):
                assert value is None or row[column] == value
                seen |= {(name, column)} if value is not None else set()
    assert len(seen) == sum(len(row) - 1 for row in ours.values())


def test_a_row_without_a_source_stays_out():
    rows = {
        "A": {"sources": ["paper"], "fid": 1.0},
        "B": {"fid": 1.0},
        "C": {"sources": ["hearsay"], "fid": 1.0},
        "D": {"sources": [], "fid": 1.0},
    }
    kept = published_rows({"sources": {"paper": "a paper"}, "rows": rows})
    assert list(kept["rows"]) == ["A"]
