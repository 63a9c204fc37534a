"""Prompts: the small set is whole, the published files are read with their slips mended."""

import dataclasses
import json
import re
from collections import Counter

import pytest

from eval.mbench import prompts as module
from eval.mbench.prompts import CATEGORIES, MBenchPrompt, download, is_published, load_prompts
from vimogen_jax.errors import BadInput

WALK = {"id": 1, "category": "motion_quality", "text": "walking", "seconds": 3}
ROW = {  # of the published list
    "global_id": 1,
    "dimension": "Motion_Quality",
    "motion_duration": 4,
    "prompt": "walking",
    "prompt_motion_detailed": "",
    "prompt_video_detailed": "",
}


def test_the_small_set():
    prompts = load_prompts("small")
    assert list(prompts) == list(range(45))
    assert Counter(prompt.category for prompt in prompts.values()) == dict(
        zip(CATEGORIES, (15, 10, 10, 10), strict=True)
    )
    for prompt in prompts.values():
        assert 2 <= prompt.seconds <= 10
        choices = {prompt.text, *prompt.distractors}
        assert len(choices) == (10 if prompt.category == "consistency" else 1)
    assert len({prompt.text for prompt in prompts.values()}) == 45


def test_the_published_sets(shared):
    listed = load_prompts(shared / "mbench" / "MBench_final.json")
    table = load_prompts(shared / "mbench" / "MBench_eval_info.json")
    assert set(listed) == set(table) == set(range(450))
    counts = dict(zip(CATEGORIES, (150, 100, 100, 100), strict=True))
    for prompts in (listed, table):
        assert Counter(prompt.category for prompt in prompts.values()) == counts
        for prompt in prompts.values():
            assert 3 <= prompt.seconds <= 10
            assert prompt.text not in prompt.distractors
            assert len(set(prompt.distractors)) == len(prompt.distractors)
    same = [key for key in listed if listed[key].text == table[key].text]
    assert set(listed) - set(same) == {100, 177, 178, 356}
    assert all(listed[key].seconds == table[key].seconds for key in listed)
    short = [key for key, prompt in listed.items() if len(prompt.distractors) == 8]
    assert short == [256, 299, 316, 322, 325]
    assert listed[0].detailed.startswith("The person lowers into a squat")


def test_the_published_prompts_are_known_by_what_they_ask(shared, tmp_path):
    for name in ("MBench_final.json", "MBench_eval_info.json"):
        prompts = load_prompts(shared / "mbench" / name)
        assert is_published(prompts)
        (tmp_path / "mine.jsonl").write_text(
            "".join(f"{json.dumps(dataclasses.asdict(each))}\n" for each in prompts.values())
        )
        assert is_published(load_prompts(tmp_path / "mine.jsonl"))
        another = dataclasses.replace(prompts[7], text="another")
        assert not is_published(prompts | {7: another})
        assert not is_published({id: each for id, each in prompts.items() if id != 7})
        rows = json.loads((shared / "mbench" / name).read_text())
        (tmp_path / name).write_text(json.dumps(rows[:10]))
        assert not is_published(load_prompts(tmp_path / name))
    assert not is_published(load_prompts("small"))


def test_downloads_once_and_checks(shared, tmp_path, monkeypatch):
    source = shared / "mbench" / "MBench_final.json"
    monkeypatch.setattr(module, "PUBLISHED_URL", source.as_uri())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert len(load_prompts("published")) == 450
    monkeypatch.setattr(module, "PUBLISHED_URL", "file:///nowhere")
    assert len(load_prompts("published")) == 450
    with pytest.raises(BadInput, match="cannot be fetched"):
        download(tmp_path / "elsewhere")
    monkeypatch.setattr(module, "PUBLISHED_URL", module.SMALL.as_uri())
    with pytest.raises(BadInput, match="not the file that was published"):
        download(tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("a.jsonl", "[1]", "line 1 is no prompt"),
        ("a.jsonl", '{"id": 1}', "line 1 is no prompt: it has no 'category'"),
        ("a.jsonl", '{"id": 1, "txt": "a"}', "line 1 is no prompt: no prompt has 'txt'"),
        ("a.jsonl", '{"id": 1, "category": "x", "text": "a", "seconds": 1}', "no category 'x'"),
        ("a.json", "{", "is not JSON"),
        ("a.json", '[{"id": 1}]', "not a file of MBench's prompts"),
        ("a.json", "null", "not a file of MBench's prompts: no list of objects"),
        ("a.json", "[3]", "not a file of MBench's prompts: no list of objects"),
        ("a.jsonl", "null", "line 1 is no prompt: not an object of its fields"),
        ("a.json", "[]", "a.json holds no prompt"),
        ("a.txt", None, "is missing"),
        *(
            ("a.jsonl", json.dumps(WALK | change), f"line 1 is no prompt: {fault}")
            for change, fault in (
                ({"id": 1.0}, "the id 1.0 is no whole number"),
                ({"id": [1]}, "the id"),
                ({"id": "1"}, "the id '1'"),
                ({"text": 5}, "its texts"),
                ({"text": ""}, "its texts"),
                ({"distractors": [5]}, "its texts"),
                ({"distractors": "abc"}, "its distractors"),
                ({"seconds": "long"}, "'long' is no duration"),
                ({"seconds": -1}, "-1 is no duration"),
            )
        ),
        *(
            ("a.json", json.dumps([ROW | change]), f"not a file of MBench's prompts: {fault}")
            for change, fault in (
                ({"dimension": "Grace"}, "no category 'Grace'"),
                ({"dimension": ["Grace"]}, "no category ['Grace']"),
                ({"motion_duration": "4"}, "the duration '4' is no number"),
                ({"motion_duration": None}, "the duration None is no number"),
                ({"auxiliary_info": "walks"}, "auxiliary_info 'walks' is no list of texts"),
                ({"auxiliary_info": [["walks"]]}, "auxiliary_info [['walks']] is no list"),
                ({"prompt": 5}, "its texts"),
                ({"global_id": "1"}, "the id '1'"),
            )
        ),
    ],
)
def test_bad_files(name, content, fault, tmp_path):
    if content:
        (tmp_path / name).write_text(content)
    with pytest.raises(BadInput, match=re.escape(fault)):
        load_prompts(tmp_path / name)


def test_a_file_of_ones_own(tmp_path):
    mine = MBenchPrompt(7, "consistency", "waving", 3.0, distractors=("bowing",))
    (tmp_path / "mine.jsonl").write_text(json.dumps(vars(mine)) + "\n")
    assert load_prompts(tmp_path / "mine.jsonl") == {7: mine}
