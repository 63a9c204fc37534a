"""Which takes are held out: by their sources' word, or by a hash, so that a take stays where it is
when others are added, and its mirror image with it."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import TypeVar

from data.sources.take import Take

Content = TypeVar("Content")


def split_of(take: Take, share: float) -> str:
    """The split of a take whatever others there are; `share` is that of the validation split."""
    return take.split or ("validation" if _hash(take) < share else "train")


def deal(
    takes: Iterable[tuple[Take, Content]], share: float
) -> Iterator[tuple[str, Take, Content]]:
    """Name the split of each take: its source's word, or whether its hash lies under the share.

    The take of the smallest hash above the share waits to the end, to be held out if no other was.
    Where all takes are then in one of the two splits, as a single one is, that of the smallest hash
    comes in the other too: to learn a few by heart is how a new setup is tried.
    """
    dealt = set[str]()
    waiting: list[tuple[float, Take, Content]] = []  # a take, and its mirror image
    least: tuple[float, Take, Content] | None = None
    for take, content in takes:
        item = _hash(take), take, content
        if take.split != "test" and (least is None or item[0] < least[0]):
            least = item
        split, ready = split_of(take, share), [item]
        if not take.split and split == "train" and (not waiting or item[0] <= waiting[0][0]):
            twins = bool(waiting) and item[0] == waiting[0][0]
            ready = [] if twins else waiting
            waiting = [*waiting, item] if twins else [item]
        for each in ready:
            dealt.add(split)
            yield split, *each[1:]
    split = "train" if "validation" in dealt else "validation"
    for each in waiting:
        dealt.add(split)
        yield split, *each[1:]
    if least:
        yield from ((split, *least[1:]) for split in ("train", "validation") if split not in dealt)


def _hash(take: Take) -> float:
    """From 0 to 1; a mirror image has that of its original."""
    digest = hashlib.sha256((take.twin_of or take.id).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
