"""How much a body's surface runs through itself: MBench's Body_Penetration.

Per frame, the pairs of triangles that meet but share no vertex, over the number of triangles.
Source: MBench (ViMoGen, arXiv:2510.26794), whose pairs come from the BVH of torch-mesh-isect.

The broad phase is a tree of boxes over the triangles, split once at medians of the first frame;
each frame fits its boxes anew and then walks pairs of nodes that overlap, a level at a time. The
narrow phase looks for a plane between two triangles (the separating axis theorem) in float64.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial, reduce
from itertools import product

import numpy as np
from jaxtyping import Float, Int, Real

MAX_PAIRS = 8  # that a triangle counts for, as published


def penetration(
    vertices: Float[np.ndarray, "t v 3"], faces: Int[np.ndarray, "f 3"]
) -> Float[np.ndarray, " t"]:
    """Percent of self-intersection in each frame.

    Vertices are in metres and finite. The number of pairs of triangles that meet, over that of
    triangles, times 100. A pair counts for the first of its two triangles, each of which counts for
    at most `MAX_PAIRS`; triangles that touch do meet. Frames are shared among threads.
    """
    if len(vertices) == 0:
        return np.zeros(0)
    order = _tree_order(vertices[0, faces].mean(axis=1))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pairs = pool.map(partial(_colliding_pairs, faces=faces, order=order), vertices)
        return np.array([100 * _count(found, len(faces)) / len(faces) for found in pairs])


def colliding_pairs(
    vertices: Real[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]
) -> Int[np.ndarray, "n 2"]:
    """The pairs of triangles that meet and share no vertex, in one frame.

    By their numbers, the lower one first, in rising order.
    """
    pairs = _colliding_pairs(vertices, faces, _tree_order(vertices[faces].mean(axis=1)))
    return pairs[np.lexsort(pairs.T[::-1])]


def _count(pairs: np.ndarray, faces: int) -> int:
    return int(np.minimum(np.bincount(pairs[:, 0], minlength=faces), MAX_PAIRS).sum())


def _tree_order(centres: np.ndarray) -> np.ndarray:
    """The leaves of a binary tree, from left to right: [2^levels], -1 where there is no triangle.

    Every node's triangles are halved along the axis in which their centres [f 3] spread most.
    """
    leaves = 1 << (len(centres) - 1).bit_length()
    order = np.full(leaves, -1)
    order[: len(centres)] = np.arange(len(centres))
    centres = np.concatenate([centres, np.broadcast_to(centres[-1], (leaves - len(centres), 3))])
    order, at = order[None], centres[None]
    while order.shape[1] > 1:
        axis = np.ptp(at, axis=1).argmax(axis=-1)
        ranks = np.take_along_axis(at, axis[:, None, None], axis=2)[..., 0].argsort(axis=1)
        half = order.shape[1] // 2
        order = np.take_along_axis(order, ranks, axis=1).reshape(-1, half)
        at = np.take_along_axis(at, ranks[..., None], axis=1).reshape(-1, half, 3)
    return order[:, 0]


def _colliding_pairs(vertices: np.ndarray, faces: np.ndarray, order: np.ndarray) -> np.ndarray:
    triangles = vertices.astype(np.float64)[faces]
    pairs = _overlapping(triangles, order)
    pairs = pairs[~_share_a_vertex(faces, pairs)]
    return pairs[_meet(triangles, pairs)]


def _overlapping(triangles: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Pairs [n 2] of triangles [f 3 3] whose boxes overlap, the lower number first."""
    low, high = (reduce(best, triangles.swapaxes(0, 1)).T for best in (np.minimum, np.maximum))
    low = np.where(order >= 0, low[:, order], np.inf)  # [3 leaves]
    high = np.where(order >= 0, high[:, order], -np.inf)
    boxes = [(low, high)]
    while low.shape[1] > 1:
        low, high = np.minimum(low[:, ::2], low[:, 1::2]), np.maximum(high[:, ::2], high[:, 1::2])
        boxes.append((low, high))
    a = b = np.zeros(0, np.intp)
    for low, high in boxes[-2::-1]:  # from the root's children to the leaves
        left = np.arange(0, low.shape[1], 2)  # siblings are a pair themselves
        a = np.concatenate([left, *(2 * a + i for i in (0, 0, 1, 1))])
        b = np.concatenate([left + 1, *(2 * b + i for i in (0, 1, 0, 1))])
        for axis in (2, 0, 1):
            near = low[axis].take(a) <= high[axis].take(b)
            near &= low[axis].take(b) <= high[axis].take(a)
            a, b = a[near], b[near]
    a, b = order[a], order[b]
    return np.stack([np.minimum(a, b), np.maximum(a, b)], axis=-1)


def _share_a_vertex(faces: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    first, second = ([column.take(side) for column in faces.T] for side in pairs.T)
    shared = np.zeros(len(pairs), bool)
    for one, other in product(first, second):
        shared |= one == other
    return shared


def _meet(triangles: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Whether pairs [n 2] of triangles [f 3 3] meet: no axis of 17 holds them apart."""
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    meet = np.ones(len(pairs), bool)
    for one, other in (pairs.T, pairs.T[::-1]):
        (left,) = meet.nonzero()
        i, j = one[left], other[left]
        height = np.einsum("nkc,nc->nk", triangles[j] - triangles[i, :1], normals[i])
        meet[left] = (height.min(axis=1) <= 0) & (height.max(axis=1) >= 0)
    (left,) = meet.nonzero()
    first, second = pairs[left].T
    origin = triangles[first, :1]  # near both, so that few digits are lost
    a, b = triangles[first] - origin, triangles[second] - origin
    edges_a, edges_b = (np.roll(x, -1, axis=1) - x for x in (a, b))
    across = np.cross(edges_a[:, :, None], edges_b[:, None]).reshape(-1, 9, 3)
    normal = normals[first, None]
    flat = [np.cross(normal, edges) for edges in (edges_a, edges_b)]  # where both lie in one plane
    axes = np.concatenate([across, *flat], axis=1)  # [n 15 3]
    on_a, on_b = (axes @ x.swapaxes(1, 2) for x in (a, b))  # [n 15 3]
    apart = (on_a.max(axis=-1) < on_b.min(axis=-1)) | (on_b.max(axis=-1) < on_a.min(axis=-1))
    meet[left] = ~apart.any(axis=1)
    return meet
