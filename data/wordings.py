"""A caption said in other words, and the caption of a mirrored motion: for anyone's captions.

A small grammar: the subject, the verb, its form and common phrases are exchanged for others that
mean the same; what it does not know stays as it is. Sides are never changed but by `mirrored`.
"""

import itertools
import re
from collections.abc import Iterator

import numpy as np

_SUBJECTS = (
    *("a person", "someone", "a man", "a woman", "the person", "he", "she", "a figure"),
    *("somebody", "a girl", "a boy", "an actor", "the woman", "a student"),
)
_KNOWN_SUBJECT = re.compile(r"(a person|someone|somebody|a man|a woman|the person|he|she) ", re.I)

# A verb as captions have it: verbs and phrases in its place.
_VERBS: dict[str, tuple[str, ...]] = {
    "walks": ("steps", "takes a walk", "goes on foot", "moves along at a walk"),
    "runs": ("jogs", "moves at a run", "goes running"),
    "dashes": ("rushes", "sprints", "shoots off"),
    "jogs": ("runs lightly", "runs at an easy pace"),
    "jumps": ("leaps", "does a jump"),
    "hops": ("makes little jumps", "bounces"),
    "raises": ("lifts", "puts up", "holds up"),
    "waves": ("gives a wave",),
    "bows": ("takes a bow", "bends forward in a bow", "makes a bow"),
    "dances": ("does a dance", "performs a dance", "moves in dance"),
    "kicks": ("gives a kick", "swings a foot"),
    "punches": ("throws punches", "strikes out"),
    "boxes": ("spars", "shadowboxes"),
    "sits": ("takes a seat",),
    "bends": ("leans",),
    "picks": ("takes",),
    "climbs": ("goes up", "makes a climb"),
    "crouches": ("squats", "gets low"),
    "turns": ("veers", "swings around"),
    "spins": ("twirls", "turns in circles"),
    "stretches": ("does a stretch", "reaches out"),
    "washes": ("cleans", "scrubs"),
    "imitates": ("acts like", "pretends to be"),
    "pretends to be": ("imitates", "acts like"),
}
# These stand for a verb that has no object: another keeps what follows it.
_WITHOUT_OBJECT = {
    "takes a walk", "goes on foot", "goes running", "does a jump", "does a dance",
    "performs a dance", "gives a kick", "swings a foot", "throws punches", "makes a climb",
    "does a stretch", "takes a bow", "makes a bow", "gives a wave",
    "moves in dance", "veers", "swings around", "strikes out", "turns in circles", "gets low",
}  # fmt: skip
_AFTER = re.compile(r"(?:$|[.,]|and\b|with\b|in\b|like\b|as\b|without\b|\w+ly\b)")

_PHRASES: dict[str, tuple[str, ...]] = {
    "walks forward": (
        "walks ahead", "walks straight ahead", "walks forwards", "steps forward", "wanders ahead",
        "goes forward on foot", "takes steps forward", "tramps along", "trudges forward",
        "comes walking up", "proceeds on foot", "hikes onwards", "puts one foot before the other",
    ),
    "walks backward": (
        "walks backwards", "walks in reverse", "steps backward", "goes backwards", "backs up",
        "backs away", "backpedals", "takes steps back", "walks with the back first",
        "goes in reverse", "withdraws step by step", "takes one step back after another",
    ),
    "runs forward": (
        "runs ahead", "runs straight ahead", "runs forwards", "sprints ahead", "rushes forward",
        "speeds along", "trots ahead", "comes running", "tears along", "flies along on foot",
        "storms ahead", "scampers forward", "runs on and on",
    ),
    "turns right": (
        "turns to the right", "makes a right turn", "turns rightwards", "takes a right turn",
        "swings right", "veers to the right", "curves away to the right", "bears right",
        "goes right", "follows a bend to the right", "turns off towards the right",
        "swerves over to the right",
    ),
    "to the right": ("rightwards", "toward the right", "over to the right"),
    "with both hands": ("with two hands", "using both hands", "with both arms"),
    "with the right hand": ("with the right arm", "using the right hand", "with a right hand"),
    "raises both hands": (
        "lifts both hands", "raises both arms", "puts up two hands", "throws up both arms",
        "stretches both arms up high", "swings both hands up over the head", "holds two arms up",
        "brings up both hands", "points upwards with both hands", "pushes both hands up high",
        "lifts the hands above the head", "shows both hands up high", "cheers with both arms up",
    ),
    "raises the right hand": (
        "lifts the right hand", "raises the right arm", "puts up the right hand",
        "holds up the right arm", "stretches the right arm up high", "throws up the right hand",
        "swings the right hand up over the head", "points upwards with the right hand",
        "brings the right hand above the head", "asks to speak with the right hand up",
        "shows the right hand up high", "lets the right arm shoot up",
    ),
    "waves with both hands": (
        "waves both hands", "waves both arms to and fro", "gives a wave with both arms",
        "swings both hands to and fro", "wags two raised hands", "says hello with both hands",
        "seeks attention by waving both arms", "moves both raised hands about",
        "gestures hello with two hands", "swings two arms above the head",
    ),
    "waves with the right hand": (
        "waves the right hand", "waves the right arm to and fro", "gives a wave with the right arm",
        "swings the raised right hand to and fro", "wags the right hand",
        "says hello with the right hand", "seeks attention by waving the right arm",
        "moves the raised right hand about", "gestures hello with the right hand",
    ),
    "waves goodbye": ("waves bye", "says goodbye with a wave", "waves farewell"),
    "bows": (
        "bends low in respect", "bends down from the hips", "makes a deep bow to the audience",
        "lowers the trunk in thanks", "bends the back and lowers the head",
        "folds forward at the hips", "leans forward deeply",
        "thanks with a low bow", "bends the upper body forward and comes up again",
    ),
    "energetically": ("with energy", "full of energy", "in a lively way", "with vigour"),
    "angrily": ("in anger", "furiously", "with anger"),
    "sadly": ("in a sad way", "full of sorrow", "with sadness"),
    "happily": ("in a happy way", "cheerfully", "full of joy"),
    "proudly": ("with pride", "in a proud way"),
    "slowly": ("at a slow pace", "without haste"),
    "quickly": ("fast", "at a quick pace"),
    "as if exhausted": ("looking exhausted", "as though worn out", "in an exhausted way"),
    "as if tired": ("looking tired", "as though weary"),
    "like an elderly person": ("like an old person", "as the elderly do", "in an elderly way"),
    "like an old person": ("like an elderly person", "as old people do"),
    "like a child": ("as a child would", "in a childish way"),
    "like a giant": ("as a giant would", "with giant heaviness"),
    "in a feminine way": ("in a womanly manner", "femininely", "as a woman might"),
    "in a masculine way": ("in a manly manner", "as a man might", "with a masculine air"),
    "in a youthful way": ("as a youth would", "youthfully", "like a young person"),
    "without confidence": ("timidly", "unsurely", "in an insecure way"),
    "at speed": ("fast", "at high speed"),
    "dances salsa": ("dances a salsa", "does salsa steps", "performs a salsa"),
}  # fmt: skip

_SIDES = {
    "left": "right", "leftward": "rightward", "leftwards": "rightwards",
    "left-handed": "right-handed", "lefthand": "righthand", "clockwise": "counterclockwise",
}  # fmt: skip
_SIDES |= {right: left for left, right in _SIDES.items()} | {"anticlockwise": "clockwise"}
# "right" says no side here.
_NO_SIDE = r"right(?= angles?\b| away\b| after\b| there\b| back\b| now\b)|(?<=all )right"
_SIDE = re.compile(
    rf"(?:{_NO_SIDE})|\b(?:{'|'.join(sorted(_SIDES, key=len, reverse=True))})\b", re.I
)


def mirrored(caption: str) -> str:
    """The caption of the motion seen in a mirror: left and right exchanged, and so on."""

    def other(match: re.Match[str]) -> str:
        word = match[0]
        if re.match(_NO_SIDE, caption[match.start() :], re.I) or (
            caption[: match.start()].lower().endswith("all ")
        ):
            return word
        swapped = _SIDES[word.lower()]
        return swapped.capitalize() if word[0].isupper() else swapped

    return _SIDE.sub(other, caption)


# What is said of the right is said of the left, too.
_PHRASES |= {
    mirrored(phrase): tuple(map(mirrored, others))
    for phrase, others in _PHRASES.items()
    if _SIDE.search(phrase)
}

# Those that a sentence can begin with, so that they have a continuous form.
_KNOWN_VERBS = {"does", "makes", "takes", "performs", "stands"}.union(
    *(
        {phrase.split()[0], *(other.split()[0] for other in others)}
        for phrase, others in _VERBS.items()
    ),
    *(
        {other.split()[0] for other in others if other.split()[0].endswith("s")}
        for phrase, others in _PHRASES.items()
        if phrase.split()[0] in _VERBS
    ),
)


def wordings(caption: str, count: int, seed: int = 0) -> list[str]:
    """At most `count` other wordings of a caption, each once, drawn by the seed.

    They are fewer where the grammar knows no more; a caption of which it knows nothing has none.
    """
    found = sorted(set(_all(caption)) - {caption})
    chosen = np.random.default_rng(seed).permutation(len(found))[:count]
    return [found[i] for i in sorted(chosen)]


def _all(caption: str) -> Iterator[str]:
    """Every wording: one exchange of a phrase or verb at a time, with each subject and form."""
    subject = _KNOWN_SUBJECT.match(caption)
    if subject is None:
        yield from _rephrased(caption)
        return
    said = caption[subject.end() :]
    for phrase in {said, *_rephrased(said)}:
        for other in _SUBJECTS:
            yield _sentence(f"{other} {phrase}", caption)
            if continuous := _continuous(phrase):
                yield _sentence(f"{other} is {continuous}", caption)


def _rephrased(said: str) -> Iterator[str]:
    """Sentences with one or two phrases exchanged, or the first verb."""
    swaps = [
        [said[: match.start()] + other + said[match.end() :] for other in others]
        for phrase, others in _PHRASES.items()
        if (match := re.search(rf"\b{phrase}\b", said))
    ]
    yield from itertools.chain.from_iterable(swaps)
    for phrase, others in _PHRASES.items():
        for once in itertools.chain.from_iterable(swaps):
            # Another phrase of the sentence as it was, so that nothing is exchanged twice.
            if phrase in said and phrase in once and (m := re.search(rf"\b{phrase}\b", once)):
                yield from (once[: m.start()] + other + once[m.end() :] for other in others)
    verb = next((verb for verb in _VERBS if said.startswith((f"{verb} ", f"{verb}."))), None)
    if verb is not None:
        rest = said[len(verb) :].lstrip()
        for other in _VERBS[verb]:
            if other not in _WITHOUT_OBJECT or _AFTER.match(rest):
                yield f"{other}{'' if rest[:1] in ('.', ',') else ' '}{rest}"


_DOUBLED = re.compile(r"(?:qu|[^aeiou])+[aeiou][^aeiouwxy]")  # such as run and squat, not bow
_JOINED = re.compile(r"(^|\b(?:and|then) )(\w+s)\b")
# Nouns that often follow "and": such a sentence has no continuous form that a rule finds.
_NOUNS = {"kicks", "punches", "turns", "steps", "arms", "legs", "hands", "jabs", "knees", "hips"}


def _continuous(said: str) -> str | None:
    """ "walks forward and turns left" as "walking forward and turning left"; None if unsure."""
    verbs = [match[2] for match in _JOINED.finditer(said)]
    if not verbs or not set(verbs) <= _KNOWN_VERBS:
        return None
    if len(verbs) > 1 and verbs[0] in ("does", "makes", "takes", "throws", "performs"):
        return None
    if "," in said or _NOUNS & set(verbs[1:]) - {"turns"}:
        return None
    return _JOINED.sub(lambda match: match[1] + _gerund(match[2]), said)


def _gerund(verb: str) -> str:
    """ "walks" to "walking"."""
    if verb.endswith("ies"):
        return f"{verb[:-3]}ying"
    stem = verb[:-2] if verb.endswith(("shes", "ches", "sses", "xes", "oes")) else verb[:-1]
    if _DOUBLED.fullmatch(stem):
        return f"{stem}{stem[-1]}ing"
    return f"{stem[:-1] if stem.endswith('e') and not stem.endswith('ee') else stem}ing"


def _sentence(text: str, like: str) -> str:
    """With a capital where the caption had one."""
    return text[0].upper() + text[1:] if like[:1].isupper() else text
