"""Scores with their intervals; reports of systems, published rows and what is missing."""

import json
import re

import numpy as np
import pytest

from eval.bodies import to_motion
from eval.mbench import scoring
from eval.mbench.dimensions import Dimension, Scored, motion_dimensions
from eval.mbench.prompts import MBenchPrompt
from eval.mbench.report import extremes, to_markdown, write_html
from eval.mbench.scoring import PUBLISHED, evaluate, is_whole, score
from eval.systems import Clip, MissingMotion, System
from tests.helpers.made_up import made_up_motion
from tests.helpers.page import Reader

FACTS = {
    "formats": {"npz": 3},
    "fps": {"20 (stated)": 3},
    "up": {"z (detected)": 3},
    "units": {"m (detected)": 3},
    "floor": "z = 0 of the files",
    "lowest_joint": 0.5,
    "notes": {},
}
PROMPTS = {
    id: MBenchPrompt(id, "motion_quality", f"a <b>bold</b> | step {id}", 3.0) for id in range(3)
} | {3: MBenchPrompt(3, "generalizability", "swimming", 3.0)}


def dimension(name, score, category="motion_quality", **fields):
    return Dimension(name=name, unit="units", category=category, score=score, **fields)


@pytest.fixture(scope="module")
def systems():
    rng = np.random.default_rng(0)
    motions = [made_up_motion("walk", rng) for _ in range(3)]
    joints = [np.asarray(motion.joints(), np.float32) for motion in motions]
    ours = {id: Clip(f"{id}.npz", joints[id], motions[id]) for id in range(3)}
    theirs = {1: Clip("1.npy", joints[1] + [0, 0, 0.1])}
    faults = [MissingMotion(0, "somewhere/0.npy", "holds NaN"), MissingMotion(2, "", "no motion")]
    unasked = MissingMotion(3, "", "no motion")  # of a prompt that no dimension here needs
    return [
        System("ours", ours, [unasked], FACTS),
        System("MDM", theirs, faults, FACTS),
        System("none", {}, [MissingMotion(id, "", "no motion") for id in range(3)], FACTS),
    ]


@pytest.fixture(scope="module")
def report(systems):
    return evaluate(systems, PROMPTS, motion_dimensions())


def test_the_published_scores_are_those_published(shared):
    ours = json.loads(PUBLISHED.read_text())
    published = json.loads((shared / "mbench" / "published_scores.json").read_text())
    names = {
        "motion_condition_consistency": "consistency",
        "motion_generalizability": "generalizability",
    }
    tables = []
    for table in ("mbench", "mbench_branch_ablation"):
        columns = [names.get(column, column) for column in published[table]["columns"]]
        rows = published[table]["rows"].items()
        tables.append({name: dict(zip(columns, row, strict=True)) for name, row in rows})
    assert ours["systems"] == tables[0]
    assert {row.pop("called"): row for row in ours["branches"].values()} == tables[1]


def test_a_dimension_is_a_name_prompts_and_a_function(systems):
    frames = dimension(
        "frames", lambda clips, prompts: Scored(np.array([len(c.joints) for c in clips]))
    )
    scored = score(systems[0], PROMPTS, frames)
    lengths = {str(id): float(len(clip.joints)) for id, clip in systems[0].clips.items()}
    assert scored["values"] == lengths
    assert scored["mean"] == pytest.approx(np.mean(list(lengths.values())))
    assert scored["interval"][0] <= scored["mean"] <= scored["interval"][1]
    assert (scored["motions"], scored["missing"]) == (3, 0)


def test_a_motion_without_a_value_is_named_and_counts_for_nothing(systems):
    found = Scored(np.array([1.0, np.nan, 3.0]), ["fine", "nobody answered", ""])
    judged = dimension("judged", lambda clips, prompts: found)
    scored = score(systems[0], PROMPTS, judged)
    assert (scored["mean"], scored["motions"], scored["missing"]) == (2.0, 2, 0)
    assert scored["values"] == {"0": 1.0, "2": 3.0}
    assert scored["unscored"] == {"1": "nobody answered"}
    assert scored["words"] == {"0": "fine"}
    report = evaluate(systems[:1], PROMPTS, [judged])
    assert not is_whole(report)
    text = to_markdown(report)
    assert "2 of 3 |" in text and "| ours | 1 |  | judged: nobody answered |" in text


def test_a_dimension_that_cannot_be_computed_says_what_it_needs(systems):
    absent = dimension("pose", None, category="generalizability", note="it needs weights")
    report = evaluate(systems[:1], PROMPTS, [absent])
    assert report["systems"]["ours"]["scores"]["pose"]["motions"] == 0
    assert is_whole(report), "nobody asked for it"
    text = to_markdown(report)
    assert "| ours | not scored |" in text and "- pose: it needs weights" in text


def test_the_report_is_json_and_counts_what_is_missing(report):
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert [system["missing"] == [] for system in report["systems"].values()] == [
        True,
        False,
        False,
    ]
    assert not is_whole(report)
    empty = report["systems"]["none"]["scores"]["jitter_degree"]
    assert (empty["mean"], empty["motions"], empty["missing"]) == (None, 0, 3)


def test_a_file_of_a_prompt_that_no_dimension_here_needs_is_still_named(systems):
    unread = System(
        "ours", systems[0].clips, [MissingMotion(3, "somewhere/3.npy", "is empty")], FACTS
    )
    report = evaluate([unread], PROMPTS, motion_dimensions())
    assert not is_whole(report)
    assert "| ours | 3 | 3.npy | is empty |" in to_markdown(report)


def test_other_prompts_than_the_published_are_told_apart(systems, tmp_path, monkeypatch):
    for prompt_set, published in (("published", False), ("a/b.json", False), ("c.jsonl", True)):
        monkeypatch.setattr(scoring, "is_published", lambda prompts, so=published: so)
        report = evaluate(systems, PROMPTS, motion_dimensions(), prompt_set=prompt_set)
        text = to_markdown(report)
        assert f"4 prompts: {prompt_set}." in text
        assert ("they do not compare" in text) is not published
        write_html(report, systems, tmp_path / "index.html")
        page = (tmp_path / "index.html").read_text(encoding="utf-8")
        assert ("(published): 0." in page) is published


def test_markdown(report):
    text = to_markdown(report)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    ours, mdm, none, published = rows[2:6]
    assert ours.startswith("| ours | 0.") and "of 3" not in ours
    assert mdm.startswith("| MDM |") and mdm.count("1 of 3") == 5
    assert none.count("missing (0 of 3)") == 5
    assert published == "| MDM (published) | 0.0136 ? |  |  | 0.0136 ? | 0.0376 |"
    assert "| MDM | 0 | 0.npy | holds NaN |" in rows
    assert "| MDM | 2 |  | no motion |" in rows
    assert "| none | 0 to 2 |  | no motion |" in rows
    assert "ours: format npz: 3;" in text and "is that the floor, or" in text
    assert "z is up" in text
    assert "heights are read from z" in to_markdown(report | {"as_released": True})


def test_the_page_shows_best_and_worst_motions(report, systems, tmp_path):
    shown = extremes(report, "ours")
    values = report["systems"]["ours"]["scores"]["dynamic_degree"]["values"]
    best = max(values, key=values.__getitem__)
    assert "best dynamic degree" in shown[int(best)]
    assert list(extremes(report, "none")) == []
    write_html(report, systems, tmp_path / "index.html")
    page = Reader((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert len(page.captions) == len(shown) + 1 == len(json.loads(page.scripts[0])["motions"])
    assert any(caption.endswith("a <b>bold</b> | step 1") for caption in page.captions)
    tags = [tag for tag, _ in page.tags]
    assert tags.count("svg") == 5 and tags.count("b") == 0
    assert sum(attributes.get("class") == "published" for _, attributes in page.tags) == 7
    assert {path.name for path in tmp_path.iterdir()} == {"index.html"}


def test_a_judges_words_stand_beside_what_it_saw(systems, tmp_path, monkeypatch):
    words = ["It <i>walks</i>.\nAnswer: yes", "unanswered: refused", "It bows. Answer: no"]
    found = Scored(
        np.array([1.0, np.nan, 0.0]),
        words,
        {"asked": 3, "failed": 6, "unreadable": 0},
        [f"videos/{id}.mp4" for id in range(3)],
    )
    judged = dimension(
        "consistency", lambda clips, prompts: found, higher_is_better=True, binary=True
    )
    monkeypatch.setattr(scoring, "is_published", lambda prompts: True)
    report = evaluate(systems[:1], PROMPTS, [judged])
    # Wilson's interval of one in two.
    assert "| ours | 0.50 [0.09, 0.91] 2 of 3 |" in to_markdown(report)
    assert "| MDM (published) | 0.42 |" in to_markdown(report)
    assert extremes(report, "ours") == {
        0: "ours, consistency right (“It <i>walks</i>. Answer: yes”)",
        2: "ours, consistency wrong (“It bows. Answer: no”)",
    }
    write_html(report, systems[:1], tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    page = Reader(text)
    seen = [attributes["src"] for tag, attributes in page.tags if tag == "video"]
    assert seen == found.videos
    badges = [attributes["class"] for tag, attributes in page.tags if tag == "strong"]
    assert badges == ["right", "unanswered", "wrong"]
    assert "consistency of ours: 1 of 2 (3 asked, 6 failed)" in text
    assert "It &lt;i&gt;walks&lt;/i&gt;.\nAnswer: yes" in text and "<i>" not in text
    (svg,) = re.findall(r"<svg.*?</svg>", text)
    assert ">1 of 2<" in svg and "<circle" not in svg
    assert svg.count("(published): 0.") == 7


def test_joints_alone_can_be_played(systems):
    motion = to_motion(systems[1].clips[1])
    np.testing.assert_allclose(motion.joints(), systems[1].clips[1].joints, atol=0.02)


def test_agreement_is_shown(report):
    votes = {"spearman": None, "preferred": {"ours": 1.0}, "votes": 3, "left_out": 0}
    text = to_markdown(report | {"votes": {"foot_sliding": votes}})
    assert "| foot_sliding | too few systems | 1 | 3 | 0 |" in text
