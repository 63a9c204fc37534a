"""Which records make which batch: a pure NumPy function of a seed, a step and the index.

Records are drawn from permutations, one an epoch, so that each comes once an epoch; with
mixture weights every source has permutations of its own and a fixed share of the draws, and so has
every action of a source where these are balanced. The draws are cut into windows of about an epoch.
Within a window records are dealt to the T2M and the M2M part, each part is sorted by length and cut
into batches, so that a batch holds records of like length and little padding, and the batches are
shuffled.

How many samples of a batch are T2M may have to change where a run goes on with other shards. The
records that its window has left are then dealt and cut anew, so each still comes once an epoch.
"""

import copy
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Int, Real

from vimogen_jax.errors import BadInput
from vimogen_jax.input_pipeline.dataset import Index
from vimogen_jax.input_pipeline.records import MAX_FRAMES, MIN_FRAMES, QUALITIES

Shards = slice | np.ndarray  # indices of shards in a batch, ascending
Counts = Sequence[tuple[int, int]]  # steps, rising from 0, and the T2M samples of batches since

NEAR = 0.02  # so near to the share of T2M wanted, one is taken that is the same on more shards


@dataclasses.dataclass(frozen=True)
class BatchSpec:
    """One batch, before any record is read. The first bt samples of a shard are its T2M part.

    num_frames: t, to which all motions are padded.
    records, starts: indices in the split and the first frame of each window.
    null_text: true where the text is replaced by the null text.
    wordings: which of a record's texts is read, counted around: 0 is the caption.
    filmed: true where the reference is the reading of a film, if the record has one.
    filler: true where a sample only fills the shape and must not count.
    """

    num_frames: int
    records: Int[np.ndarray, "s b"]
    starts: Int[np.ndarray, "s b"]
    null_text: Bool[np.ndarray, "s bt"]
    wordings: Int[np.ndarray, "s bt"]
    filmed: Bool[np.ndarray, "s br"]
    filler: Bool[np.ndarray, "s b"]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shards, and their samples of the T2M and the M2M part."""
        shards, samples = self.records.shape
        texts = self.null_text.shape[1]
        return shards, texts, samples - texts

    def shards(self, part: Shards) -> "BatchSpec":
        """The share of one process."""
        arrays = {
            name: value[part] for name, value in vars(self).items() if isinstance(value, np.ndarray)
        }
        return dataclasses.replace(self, **arrays)


class TrainOrder:
    """`order(step)` is the BatchSpec of a training step.

    batch_size: samples of a batch over all shards and processes; text_share: by quality, the
    share of T2M samples; buckets: the padded lengths allowed, ascending, the last of which is
    also the longest window; weights: by source, its share of the draws; balance: of the actions of
    a source, see `DataConfig`; filmed_share: of M2M samples, those whose reference is the reading
    of a film where there is one.

    Raises BadInput if these do not fit each other or the index.
    """

    def __init__(
        self,
        index: Index,
        *,
        batch_size: int,
        shards: int,
        text_share: Mapping[str, float],
        null_text_probability: float,
        buckets: Sequence[int],
        seed: int,
        weights: Mapping[str, float] | None = None,
        balance: float = 0.0,
        filmed_share: float = 0.0,
    ):
        _check_arguments(text_share, null_text_probability, seed)
        self._shards, self._shard_size = shards, shard_size(batch_size, shards)
        self._index = index
        self._buckets = check_buckets(buckets)
        self._seed = seed
        self._null_text_probability = null_text_probability
        self._filmed_share = filmed_share
        self._num_batches = max(1, len(index) // batch_size)  # of a window
        self._groups = _groups(index, weights, balance, self._num_batches * batch_size)
        self._text_share = np.zeros(len(index))
        for quality in QUALITIES:
            self._text_share[index.qualities == quality] = text_share[quality]
        share = np.average(
            [self._text_share[members].mean() for members, _ in self._groups],
            weights=[quota for _, quota in self._groups],
        )
        self._batch_size = batch_size
        texts, _ = split_shard(batch_size, shards, float(share))
        self._counts: Counts = [(0, shards * texts)]
        self._cached: tuple[int, list[tuple[np.ndarray, np.ndarray]]] = (-1, [])

    def __call__(self, step: int) -> BatchSpec:
        window, k = divmod(step, self._num_batches)
        cached = self._cached
        if cached[0] != window:
            cached = self._cached = (window, self._window(window))
        records, starts = cached[1][k]
        null_text = self._null_text(step)

        def by_shard(flat: np.ndarray) -> np.ndarray:
            parts = np.split(flat, [null_text.size])
            return np.concatenate([part.reshape(self._shards, -1) for part in parts], axis=1)

        longest = min(self._index.frames[records].max(), self._buckets[-1])
        return BatchSpec(
            num_frames=int(self._buckets[np.searchsorted(self._buckets, longest)]),
            records=by_shard(records),
            starts=by_shard(starts),
            null_text=null_text,
            wordings=self._rng("wording", step).integers(2**31, size=null_text.shape),
            filmed=self._filmed(step, null_text.shape[1]),
            filler=np.zeros((self._shards, self._shard_size), bool),
        )

    @property
    def text_samples(self) -> Counts:
        """How many samples of a batch are T2M, since which step."""
        return self._counts

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the batches that come: shards, and their samples of the T2M and the M2M part."""
        texts = self._counts[-1][1] // self._shards
        return self._shards, texts, self._shard_size - texts

    @property
    def num_frames(self) -> list[int]:
        """To how many frames batches may be padded."""
        members = np.concatenate([members for members, _ in self._groups])
        longest = np.minimum(self._index.frames[members], self._buckets[-1])
        return np.unique(self._buckets[np.searchsorted(self._buckets, longest)]).tolist()

    def resumed(self, step: int, text_samples: Counts) -> "TrainOrder":
        """The order of a run that goes on at a step, the T2M samples of whose batches were so many.

        They stay so many where that divides over these shards.
        """
        counts = [(first, count) for first, count in text_samples if first < step] or self._counts
        if counts[-1][1] % self._shards:
            counts = [*counts, (step, self._counts[-1][1])]
        order = copy.copy(self)
        order._counts, order._cached = counts, (-1, [])
        return order

    def real_share(self, windows: int = 1) -> float:
        """Of the frames computed in the first windows, the share that is motion, not padding."""
        specs = [self(step) for step in range(windows * self._num_batches)]
        frames = np.minimum(self._index.frames, self._buckets[-1])
        real = sum(frames[spec.records].sum() for spec in specs)
        return float(real / sum(spec.records.size * spec.num_frames for spec in specs))

    def _window(self, window: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Records and first frames `[batch_size]` of each batch, its T2M part first."""
        rng = self._rng("window", window)
        records, starts = self._draw(window)
        frames = np.minimum(self._index.frames[records], self._buckets[-1])
        left = np.lexsort((rng.random(len(records)), frames))  # ties at random
        batches = []
        begin, end = window * self._num_batches, (window + 1) * self._num_batches
        for (first, count), (following, _) in pairwise([*self._counts, (end, 0)]):
            number = min(following, end) - max(first, begin)
            if number <= 0:
                continue
            parts = self._deal(records, left, count, rng)
            draws = np.concatenate([self._cut(part, len(left), rng) for part in parts], axis=1)
            draws = draws[rng.permutation(len(draws))][:number]
            left = left[~np.isin(left, draws)]
            batches += [(records[each], starts[each]) for each in draws]
        return batches

    def _draw(self, window: int) -> tuple[np.ndarray, np.ndarray]:
        """Records and first frames of the window's draws, group by group."""
        pieces = []
        for g, (members, quota) in enumerate(self._groups):
            first, last = window * quota, (window + 1) * quota
            for epoch in range(first // len(members), -(-last // len(members))):
                base = epoch * len(members)
                piece = slice(max(first - base, 0), last - base)
                pieces.append([x[piece] for x in self._epoch(g, epoch)])
        records, starts = zip(*pieces, strict=True)
        return np.concatenate(records), np.concatenate(starts)

    def _epoch(self, group: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        rng = self._rng("epoch", group, epoch)
        records = rng.permutation(self._groups[group][0])
        spare = np.maximum(self._index.frames[records] - self._buckets[-1], 0)
        return records, rng.integers(spare + 1)

    def _deal(
        self, records: np.ndarray, by_length: np.ndarray, count: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Of draws by length the T2M and the M2M ones, in stratified counts by quality.

        T2M takes its quota of a quality evenly along the lengths, so that both parts have the
        same lengths and pair up without padding. count: of T2M in a batch.
        """
        records = records[by_length]
        of_quality = self._index.qualities[records] == np.array(QUALITIES)[:, None]
        wanted = (of_quality * self._text_share[records]).sum(axis=1)
        sizes = of_quality.sum(axis=1)
        quotas = largest_remainder(_shift(wanted, sizes, len(records) * count // self._batch_size))
        is_text = np.zeros(len(records), bool)
        for members, quota, size in zip(of_quality, quotas, sizes, strict=True):
            ranks = np.arange(size + 1) * quota + rng.integers(max(size, 1))
            is_text[members] = np.diff(ranks // max(size, 1))
        return by_length[is_text], by_length[~is_text]

    def _cut(self, part: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
        """Cut the part of so many draws, sorted by length, into batches `[w part]`."""
        return rng.permuted(part.reshape(draws // self._batch_size, -1), axis=1)

    def _null_text(self, step: int) -> np.ndarray:
        """Exactly the wanted share of a batch, or in turn just above and just below it."""
        (size,) = [count for first, count in self._counts if first <= step][-1:]
        wanted = size * self._null_text_probability
        count = int((step + 1) * wanted) - int(step * wanted)
        chosen = self._rng("null_text", step).permutation(size) < count
        return chosen.reshape(self._shards, -1)

    def _filmed(self, step: int, texts: int) -> np.ndarray:
        shape = self._shards, self._shard_size - texts
        return self._rng("filmed", step).random(shape) < self._filmed_share

    def _rng(self, purpose: str, *key: int) -> np.random.Generator:
        purposes = ("window", "epoch", "null_text", "wording", "filmed")
        return np.random.default_rng([self._seed, purposes.index(purpose), *key])


def validation_order(
    index: Index, *, batch_size: int, shards: int, reference: bool, buckets: Sequence[int]
) -> Iterator[BatchSpec]:
    """Go once over a split from short to long, with centred windows and real text.

    With `reference` every record comes as T2M and as M2M in the same batch, without it as T2M.
    The last batch is filled up with repetitions that do not count.
    """
    parts = 2 if reference else 1
    text = max(1, shard_size(batch_size, shards) // parts)
    lengths = check_buckets(buckets)
    records = np.argsort(index.frames, kind="stable")
    for first in range(0, len(index), text * shards):
        ranks = np.arange(first, first + text * shards).reshape(shards, text)
        chosen = records[np.minimum(ranks, len(index) - 1)]
        frames = index.frames[chosen]
        longest = min(frames.max(), lengths[-1])
        yield BatchSpec(
            num_frames=int(lengths[np.searchsorted(lengths, longest)]),
            records=np.tile(chosen, parts),
            starts=np.tile(np.maximum(frames - lengths[-1], 0) // 2, parts),
            null_text=np.zeros((shards, text), bool),
            wordings=np.zeros((shards, text), int),
            filmed=np.zeros((shards, (parts - 1) * text), bool),
            filler=np.tile(ranks >= len(index), parts),
        )


def shard_size(batch_size: int, shards: int) -> int:
    """Samples of a shard, b. Raises BadInput if the shards would be unequal or empty."""
    if batch_size < 1 or batch_size % shards:
        raise BadInput(f"batch_size {batch_size} is not divisible by {shards} shards")
    return batch_size // shards


def split_shard(batch_size: int, shards: int, text_share: float) -> tuple[int, int]:
    """Samples of the T2M and of the M2M part of a shard, bt and br.

    T2M has the share of a batch that is next to the one wanted, or within `NEAR` of it the one
    whose count divides most often by two: that is the same on any number of shards up to there.

    Raises BadInput if the shards would be unequal, or a part that is wanted empty.
    """
    size, wanted = shard_size(batch_size, shards), batch_size * text_share
    unit = batch_size & -batch_size
    far = lambda count: abs(count - wanted) > NEAR * batch_size
    gone = lambda count, share: count == 0 and share > 0
    empty = lambda count: gone(count, text_share) or gone(batch_size - count, 1 - text_share)
    while unit > 1 and (far(count := _nearest(wanted, unit)) or empty(count)):
        unit //= 2
    count = _nearest(wanted, unit)
    if count % shards:
        count = _nearest(wanted, shards)
    if empty(count):
        raise BadInput(
            f"batch_size leaves {size} samples a shard, too few for both parts at a text share "
            f"of {text_share:.2f}; use a larger batch_size or a text_share of 1"
        )
    return count // shards, size - count // shards


def _nearest(number: float, unit: int) -> int:
    return unit * round(number / unit)


def check_buckets(buckets: Sequence[int]) -> Int[np.ndarray, " n"]:
    """The buckets as an array. Raises BadInput unless they ascend within the length window."""
    lengths = np.array(buckets, int)
    if len(lengths) == 0 or (np.diff(lengths) <= 0).any():
        raise BadInput(f"the buckets {list(buckets)} are not ascending frame lengths")
    if lengths[0] < MIN_FRAMES or lengths[-1] > MAX_FRAMES:
        raise BadInput(f"the buckets {list(buckets)} leave {MIN_FRAMES} to {MAX_FRAMES} frames")
    return lengths


def largest_remainder(wanted: Real[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Round so that the sum, which must be whole, stays what it was."""
    counts = np.floor(wanted).astype(int)
    missing = round(wanted.sum()) - counts.sum()
    counts[np.argsort(counts - wanted, kind="stable")[:missing]] += 1
    return counts


def _shift(wanted: np.ndarray, limits: np.ndarray, total: int) -> np.ndarray:
    """Move `wanted` to the given total, in proportion to the room up to the limits or down to 0."""
    missing = total - wanted.sum()
    room = limits - wanted if missing > 0 else wanted
    return wanted + missing * room / max(room.sum(), 1e-9)


def _groups(
    index: Index, weights: Mapping[str, float] | None, balance: float, draws: int
) -> list[tuple[np.ndarray, int]]:
    """Records that share permutations, and how many draws of a window are theirs."""
    sources = [(np.arange(len(index)), draws)]
    if weights is not None:
        sources = _by_source(index, weights, draws)
    if not balance:
        return sources
    groups = []
    for members, quota in sources:
        names, of_action = np.unique(index.actions[members], return_inverse=True)
        shares = np.bincount(of_action) ** (1 - balance)
        spare = quota - len(names)  # each action is drawn at least once a window
        if spare < 0:
            raise BadInput(
                f"balance leaves some of the {len(names)} actions of a source less than a record "
                f"an epoch, as its weight leaves it {quota}"
            )
        quotas = 1 + largest_remainder(spare * shares / shares.sum())
        groups += [(members[of_action == i], int(quotas[i])) for i in range(len(names))]
    return groups


def _by_source(
    index: Index, weights: Mapping[str, float], draws: int
) -> list[tuple[np.ndarray, int]]:
    """The records of each source that has a weight, and how many draws of a window are theirs."""
    known = np.unique(index.sources).tolist()
    if set(weights) != set(known) or min(weights.values()) < 0 or not sum(weights.values()) > 0:
        raise BadInput(
            f"weights must give each of the sources {', '.join(known)} a number of at least 0, "
            f"not all 0, and no other source; got {dict(weights)}"
        )
    shares = np.array([weights[source] for source in known], float)
    quotas = largest_remainder(draws * shares / shares.sum())
    for source, share, quota in zip(known, shares, quotas, strict=True):
        if share > 0 and quota == 0:
            raise BadInput(f"the weight {share} of source {source} is less than a record an epoch")
    return [
        (np.flatnonzero(index.sources == source), int(quota))
        for source, quota in zip(known, quotas, strict=True)
        if quota > 0
    ]


def _check_arguments(
    text_share: Mapping[str, float], null_text_probability: float, seed: int
) -> None:
    if set(text_share) != set(QUALITIES) or not all(0 <= v <= 1 for v in text_share.values()):
        raise BadInput(
            f"text_share must give a share of 0 to 1 for {' and '.join(QUALITIES)}; "
            f"got {dict(text_share)}"
        )
    if not 0 <= null_text_probability <= 1:
        raise BadInput(f"null_text_probability {null_text_probability} is not within 0 to 1")
    if seed < 0:
        raise BadInput(f"the seed {seed} is negative")
