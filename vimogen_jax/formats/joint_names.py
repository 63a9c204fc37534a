"""Which of a file's joints are ours, by their names and by the tree that they hang in."""

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from vimogen_jax.body.skeleton import JOINT_NAMES

SIDES = ("left", "right")
_HANDS, _FEET = {"hand", "wrist", "palm"}, {"foot", "ankle"}
# Words of joints that are no end of a limb, though they are named after one.
_OTHERS = {
    *("thumb", "index", "middle", "ring", "pinky", "little", "finger", "end", "nub", "site"),
    *("ik", "effector", "target", "roll", "twist", "prop", "weapon", "toe", "ball"),
}


def fold(names: Sequence[str]) -> dict[str, str]:
    """Names by what is left without prefix, case and separators; without those that then agree.

    A prefix is a namespace ("mixamorig:"), or the words that all names begin with ("Bip01 ").
    """
    spaceless = [name.rsplit(":")[-1] for name in names]
    # A root may be called by the prefix alone.
    longer = [name for name in spaceless if len(words(name)) > 1]
    shared = _beginning([words(name) for name in longer]) if len(longer) > 4 else []
    bare = lambda name: words(name)[len(shared) :] if words(name)[: len(shared)] == shared else []
    folded = ["".join(bare(name) or words(name)) for name in spaceless]
    often = Counter(folded)
    return {key: name for key, name in zip(folded, names, strict=True) if often[key] == 1}


def _beginning(lists: list[list[str]]) -> list[str]:
    """What all lists begin with."""
    least, most = min(lists), max(lists)
    pairs = zip(least, most, strict=False)
    return [one for one, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)]


def words(name: str) -> list[str]:
    """The words of a joint's name in small letters: "LeftUpLeg" and "left_up-leg" have the same."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)
    return [part.lower() for part in parts]


def matched(
    joints: Mapping[str, str | None], theirs: Mapping[str, str]
) -> dict[str, str | None] | None:
    """A table's joints as a file calls them, by its names as `fold` has them; None where it lacks
    one."""
    wanted = fold([name for name in joints.values() if name])
    keys = {name: key for key, name in wanted.items()}
    if any(name is not None and keys.get(name) not in theirs for name in joints.values()):
        return None
    return {ours: None if name is None else theirs[keys[name]] for ours, name in joints.items()}


def guessed(names: Sequence[str], parents: Sequence[int]) -> dict[str, str | None] | None:
    """Our joints by names for hands and feet, and by the tree for all between; None in vain.

    The limbs hang where the chains from hands and from feet meet; the spine lies between.
    """
    ends = {}
    for side in SIDES:
        for part, called in (("wrist", _HANDS), ("ankle", _FEET)):
            if (end := _end(names, parents, side, called)) is None:
                return None
            ends[side, part] = end
    chains = {key: list(_up(end, parents)) for key, end in ends.items()}
    legs, arms = ([chains[side, part] for side in SIDES] for part in ("ankle", "wrist"))
    pelvis, chest = _meet(*legs), _meet(*arms)
    if pelvis is None or chest is None or chest not in [*_down(pelvis, parents)]:
        return None
    joints: dict[str, int | None] = dict.fromkeys(JOINT_NAMES)
    joints["pelvis"] = pelvis
    for side in SIDES:
        leg = _bones(chains[side, "ankle"], pelvis, names)
        arm = _bones(chains[side, "wrist"], chest, names)
        if len(leg) < 3 or len(arm) < 3:
            return None
        joints |= {f"{side}_ankle": leg[0], f"{side}_knee": leg[1], f"{side}_hip": leg[2]}
        joints |= {f"{side}_wrist": arm[0], f"{side}_elbow": arm[1], f"{side}_shoulder": arm[2]}
        joints[f"{side}_collar"] = arm[3] if len(arm) > 3 else None
        joints[f"{side}_foot"] = next(_children(leg[0], parents), None)
    spine = [*_up(chest, parents)]
    spine = spine[: spine.index(pelvis)][::-1]
    if len(spine) > 2:
        spine = [spine[0], spine[len(spine) // 2], spine[-1]]
    joints |= dict(zip(("spine1", "spine2", "spine3"), spine, strict=False))
    joints |= dict(zip(("neck", "head"), _neck(chest, arms, names, parents), strict=False))
    return {ours: None if one is None else names[one] for ours, one in joints.items()}


def _end(names: Sequence[str], parents: Sequence[int], side: str, called: set[str]) -> int | None:
    """The joint at the end of a limb: of those called so, the one nearest to the root."""
    mine = [
        joint
        for joint, name in enumerate(names)
        if side in (has := _said(name)) and has & called and not has & _OTHERS
    ]
    depth = lambda joint: len([*_up(joint, parents)])
    return min(mine, key=depth) if mine else None


def _said(name: str) -> set[str]:
    """The words of a name, with "l" and "r", also before and after another word, spelt out."""
    said = set(words(name.rsplit(":")[-1]))
    for letter, side in (("l", "left"), ("r", "right")):
        for word in [*said]:
            if word == letter:
                said.add(side)
            for part in _HANDS | _FEET:
                if word in (letter + part, part + letter, side + part):
                    said |= {side, part}
    return said


def _up(joint: int, parents: Sequence[int]) -> Iterator[int]:
    while joint >= 0:
        yield joint
        joint = parents[joint]


def _down(joint: int, parents: Sequence[int]) -> Iterator[int]:
    return (each for each in range(len(parents)) if joint in _up(each, parents))


def _children(joint: int, parents: Sequence[int]) -> Iterator[int]:
    return (child for child, parent in enumerate(parents) if parent == joint)


def _meet(one: list[int], other: list[int]) -> int | None:
    return next((joint for joint in one if joint in other), None)


def _bones(chain: list[int], end: int, names: Sequence[str]) -> list[int]:
    """A limb's joints from its end up, without those that only twist."""
    limb = chain[: chain.index(end)]
    return [joint for joint in limb if not {"twist", "roll"} & set(words(names[joint]))]


def _neck(
    chest: int, arms: list[list[int]], names: Sequence[str], parents: Sequence[int]
) -> list[int]:
    """Neck and head, as far as they are there: what hangs at the chest and is no arm."""
    in_arms = {joint for arm in arms for joint in arm}
    heads = [joint for joint, name in enumerate(names) if "head" in words(name)]
    others = [joint for joint in _children(chest, parents) if joint not in in_arms]
    for first in others:
        below = [joint for joint in _down(first, parents) if joint in heads]
        if below:
            return [first, below[0]] if below[0] != first else [first]
    return others[:1]
