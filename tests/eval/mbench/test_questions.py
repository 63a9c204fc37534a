"""The questions: what they offer, in which order, and how answers are read."""

import numpy as np
import pytest

from eval.mbench.prompts import MBenchPrompt, load_prompts
from eval.mbench.questions import best_match, match

PROMPT = MBenchPrompt(7, "consistency", "a person bows.", 3.0, distractors=tuple("bcdefghij"))


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ("It bows. Answer: 3", "3"),
        ("**Answer:** 10.", "10"),
        ("Answer: **2**\n", "2"),
        ("Is the answer: 1? No.\nAnswer:\n\n4", "4"),
        ("The answer is 5", "5"),
        ("ANSWER: text number 6", "6"),
        ("Answer: 11", None),
        ("Answer: 0", None),
        ("3", None),
        ("I cannot see a video.", None),
        ("", None),
        ("The answers 3 and 4 are alike", None),
    ],
)
def test_a_number_is_read(answer, read):
    assert best_match(PROMPT).read(answer) == read


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ("The arms rise. Answer: yes.", "yes"),
        ("Answer: No", "no"),
        ("yes, it may be so.\n**Answer: no**", "no"),
        ('so it is: "Answer: YES"', "yes"),
        ("Answer: yesterday", None),
        ("Answer: perhaps", None),
        ("yes", None),
    ],
)
def test_yes_and_no_are_read(answer, read):
    assert match(PROMPT).read(answer) == read


def test_the_texts_are_in_an_order_of_prompt_and_seed():
    question = best_match(PROMPT, seed=3)
    assert sorted(question.choices.values()) == sorted([PROMPT.text, *PROMPT.distractors])
    assert list(question.choices) == [str(number) for number in range(1, 11)]
    assert question.choices[question.right] == PROMPT.text
    assert all(f"\n{number}. {text}" in question.text for number, text in question.choices.items())
    assert best_match(PROMPT, seed=3) == question
    positions = [best_match(PROMPT, seed).right for seed in range(40)]
    positions += [
        best_match(MBenchPrompt(id, *["consistency", "x", 1.0], distractors=("y",))).right
        for id in range(40)
    ]
    assert len(set(positions[:40])) > 6 and set(positions[40:]) == {"1", "2"}


def test_published_prompts_give_ten_texts(shared):
    prompts = load_prompts(shared / "mbench" / "MBench_final.json").values()
    asked = [best_match(each) for each in prompts if each.category == "consistency"]
    offered = np.array([len(question.choices) for question in asked])
    assert len(asked) == 100 and (offered == 9).sum() == 5 and (offered == 10).sum() == 95
    assert all(len(set(each.choices.values())) == len(each.choices) for each in asked)


def test_the_small_set_can_be_asked_too():
    prompts = load_prompts("small").values()
    asked = [best_match(each) for each in prompts if each.category == "consistency"]
    assert {len(question.choices) for question in asked} == {10}
