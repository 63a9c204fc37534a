"""Sentences of what one person does, by a small grammar: subjects, verbs, things, manners, ways."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from data.verbs import Verb, third_person

SUBJECTS = (
    *("a person", "someone", "a man", "a woman", "a dancer", "an athlete", "an old man", "a child"),
    *("an old woman", "a teenager", "a tall man", "a short woman", "a worker", "a performer"),
)
MANNERS = (
    *("slowly", "quickly", "carefully", "happily", "angrily", "sadly", "energetically", "clumsily"),
    *("gracefully", "nervously", "lazily", "proudly", "playfully", "calmly", "wildly", "stiffly"),
    *("gently", "firmly", "hesitantly", "boldly", "wearily", "eagerly", "shyly", "cautiously"),
    *("smoothly", "suddenly", "patiently", "dramatically", "silently", "heavily", "lightly"),
    *("awkwardly", "confidently", "cheerfully", "timidly", "vigorously", "steadily", "abruptly"),
    *("with big movements", "with small movements", "again and again", "with great effort"),
    *("in slow motion", "with bent knees", "with a straight back", "on tired legs", "with one arm"),
    *("with both arms stretched out", "while looking around", "while leaning forward", "twice"),
    *("with raised shoulders", "with the head down", "on tiptoe", "as if drunk", "as if asleep"),
)
WAYS = (
    *("forward", "backward", "to the left", "to the right", "in a circle", "in a zigzag"),
    *("and turns around", "diagonally forward", "up a few stairs", "along a narrow line"),
    *("and stops suddenly", "around an obstacle", "in a figure eight", "across the room"),
    *("down a gentle slope", "through a low doorway", "over a small puddle", "away from a fire"),
    *("against strong wind", "through deep snow", "on hot sand", "towards a window"),
)
PLACES = (
    *("on the spot", "on one leg", "while standing", "while kneeling", "on the floor", "in place"),
    *("with closed eyes", "with feet apart", "before a mirror", "in a narrow corridor"),
)
THINGS = (
    *("a ball", "a heavy box", "a rope", "a chair", "a table", "a door", "a basket", "a bucket"),
    *("a blanket", "a hammer", "a ladder", "a broom", "a bottle", "a book", "a suitcase", "a hat"),
    *(
        "a sack",
        "a wooden plank",
        "a stone",
        "a log",
        "a barrel",
        "a carpet",
        "a cushion",
        "a coat",
    ),
    *("a pole", "a wheel", "a tray", "a vase", "an umbrella", "a lamp", "a branch", "a brick"),
    *(
        "a curtain",
        "a drum",
        "a fishing net",
        "a flag",
        "a jar",
        "a kettle",
        "a pillow",
        "a shovel",
    ),
    *("a towel", "a violin case", "a watering can", "a wet shirt", "a piece of clay", "a tyre"),
    *("a tent", "a bench", "a fence", "a lump of dough", "a sheet of paper", "a spade", "a sword"),
)
LIMBS = (
    *("the left arm", "the right arm", "both arms", "the left leg", "the right leg", "the head"),
    *("the shoulders", "the hips", "the left knee", "the right knee", "the hands", "the back"),
)
RIVALS = ("an opponent", "a rival", "an invisible enemy", "a sparring partner", "a goalkeeper")
JOINS = ("then", "and then", "and after a pause", "and at once", "and finally")
_FUNCTION_WORDS = """
a an the and then at after in on of to up down with while as if from through over around along
against towards across before both one once away again someone twice
"""
_SECOND = 0.25  # share of sentences of two actions
SEQUENCE = "sequence"


@dataclass(frozen=True)
class Sentence:
    """What one person does; of a kind: the field of its verb, or `SEQUENCE` of two actions."""

    text: str
    kind: str


def sentences(verbs: Sequence[Verb], seed: int) -> Iterator[Sentence]:
    """Sentences without an end, each once: every verb in its turn, the commoner ones more often."""
    draw = random.Random(seed)
    weights = [1 / (50 + rank) for rank in range(len(verbs))]
    seen: set[str] = set()
    while True:
        in_turn = draw.sample(verbs, len(verbs))
        for first, often in zip(in_turn, draw.choices(verbs, weights, k=len(verbs)), strict=True):
            for verb in (first, often):
                sentence = _sentence(draw, verb, verbs, weights)
                if sentence.text not in seen:
                    seen.add(sentence.text)
                    yield sentence


def content_words(made: Iterable[str]) -> set[str]:
    """The different words of sentences that stand for something."""
    words = {word.strip(".,") for sentence in made for word in sentence.split()}
    return words - {*_FUNCTION_WORDS.split()}


def _sentence(
    draw: random.Random, verb: Verb, verbs: Sequence[Verb], weights: Sequence[float]
) -> Sentence:
    said, kind = f"{draw.choice(SUBJECTS)} {_action(draw, verb)}", verb.field
    if draw.random() < _SECOND:
        (second,) = draw.choices(verbs, weights)
        said, kind = f"{said}, {draw.choice(JOINS)} {_action(draw, second)}", SEQUENCE
    return Sentence(f"{said}.", kind)


def _action(draw: random.Random, verb: Verb) -> str:
    words = [third_person(verb.word)]
    takes = verb.object and not (verb.alone and draw.random() < 0.5)
    if takes:
        words.append(_object(draw, verb))
    elif verb.field == "motion":
        words.append(draw.choice(WAYS))
    if draw.random() < 0.6:
        words.append(draw.choice(MANNERS))
    elif not takes and verb.field != "motion":
        words.append(draw.choice(PLACES))
    return " ".join(words)


def _object(draw: random.Random, verb: Verb) -> str:
    if verb.field == "competition":
        return draw.choice(RIVALS)
    return draw.choice(LIMBS if verb.field == "body" and draw.random() < 0.7 else THINGS)
