"""A skinned GLB as a rig: its joints at rest, and the same file with another animation.

Scales of its nodes are counted into lengths, so that all is in metres of the glTF's world.
"""

import os
from typing import Any

import numpy as np
from jaxtyping import Float

from vimogen_jax.body.rotations import matrix_to_quaternion, quaternion_to_matrix
from vimogen_jax.errors import BadInput
from vimogen_jax.files import whole_file
from vimogen_jax.formats.arrays import LARGEST
from vimogen_jax.formats.bvh import Bvh
from vimogen_jax.formats.glb import GLBError, animation, open_glb

_UNEVEN = 1.01  # of a node's scale along one axis to that along another


def read(path: str | os.PathLike) -> Bvh:
    """The skeleton of the skin with most joints, and all nodes above it, in one frame: at rest.

    Raises BadInput, naming the file, where it is damaged or has no skin.
    """
    model, _, order, parents, scales = _opened(path)
    places = [scales[parent] if parent >= 0 else 1.0 for parent in parents]
    turns, moves = zip(*(_rest(model.nodes[node])[:2] for node in order), strict=True)
    names = [model.nodes[node].name or f"node {node}" for node in order]
    names = [name if names.count(name) == 1 else f"{name} {i}" for i, name in enumerate(names)]
    positions = np.array(moves) * np.array(places)[:, None]
    return Bvh(tuple(names), tuple(parents), np.stack(turns)[None], positions[None], 1.0, str(path))


def write_like(
    rig: str | os.PathLike,
    rotations: Float[np.ndarray, "t j 3 3"],
    pelvis: int,
    track: Float[np.ndarray, "t 3"],
    fps: float,
    path: str | os.PathLike,
) -> None:
    """Write the rig with one animation in place of its own.

    rotations: of its joints as `read` lists them, relative to their parents.
    pelvis, track: the joint that is moved, and its positions in its parent's frame, metres.
    """
    model, blob, order, parents, scales = _opened(rig)
    content = bytearray(blob)
    content += bytes(-len(content) % 4)
    above = parents[pelvis]
    track = track / (scales[above] if above >= 0 else 1.0)
    moved = animation(model, content, fps, order, rotations, order[pelvis], track)
    for node in order:
        _split_matrix(model.nodes[node])
    model.animations = [moved]
    model.buffers[0].byteLength = len(content)
    model.set_binary_blob(bytes(content))
    with whole_file(path) as aside:
        aside.write_bytes(b"".join(model.save_to_bytes()))


def _opened(path: str | os.PathLike) -> tuple[Any, bytes, list[int], list[int], list[float]]:
    """The model, its buffer, the rig's nodes (parents first), their parents by place, and the scale
    of each in the world."""
    try:
        model, blob = open_glb(path)
        if not model.skins:
            raise GLBError("has no skin, so no rig")
        if blob is None or len(model.buffers) != 1:
            raise GLBError("keeps its numbers in other files")
        above = {child: i for i, node in enumerate(model.nodes) for child in node.children or ()}
        wanted: set[int] = set()
        for joint in max((skin.joints for skin in model.skins), key=len):
            while joint is not None and joint not in wanted:
                wanted.add(joint)
                joint = above.get(joint)
        order = _parents_first(wanted, above)
        place = {node: i for i, node in enumerate(order)}
        parents = [place[above[node]] if node in above else -1 for node in order]
        scales: list[float] = []
        for node, parent in zip(order, parents, strict=True):
            own = _rest(model.nodes[node])[2]
            if not own.min() > 0 or own.max() / own.min() > _UNEVEN:
                raise GLBError(f"scales {model.nodes[node].name} unevenly, or mirrors it")
            scales.append(float(own.mean()) * (scales[parent] if parent >= 0 else 1.0))
    except GLBError as fault:
        raise BadInput(f"{path}: {fault}") from None
    except OSError as fault:
        raise BadInput(f"{path}: cannot be read: {fault.strerror or fault}") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as fault:
        raise BadInput(f"{path}: not a GLB with a rig: {fault}") from None
    return model, blob, order, parents, scales


def _parents_first(wanted: set[int], above: dict[int, int]) -> list[int]:
    order: list[int] = []
    todo = sorted(node for node in wanted if node not in above)
    while todo:
        node = todo.pop(0)
        order.append(node)
        todo = sorted(child for child in wanted if above.get(child) == node) + todo
    if len(order) != len(wanted):
        raise GLBError("has nodes that hang in a circle")
    return order


def _rest(node: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rotation [3 3], translation [3] and scale [3] of a node."""
    if node.matrix:
        matrix = _numbers(node, node.matrix, 16).reshape(4, 4).T
        scale = np.linalg.norm(matrix[:3, :3], axis=0)
        if np.linalg.det(matrix[:3, :3]) <= 0:
            raise GLBError(f"mirrors {node.name}")
        return matrix[:3, :3] / scale, matrix[:3, 3], scale
    turn = _numbers(node, node.rotation or (0, 0, 0, 1), 4)
    move = _numbers(node, node.translation or (0, 0, 0), 3)
    scale = _numbers(node, node.scale or (1, 1, 1), 3)
    return quaternion_to_matrix(np.roll(turn / np.linalg.norm(turn), 1)), move, scale


def _numbers(node: Any, values: Any, count: int) -> np.ndarray:
    numbers = np.array(values, float)
    if numbers.shape != (count,) or not (np.abs(numbers) < LARGEST).all():
        raise GLBError(f"{node.name} has {count} numbers that place it, and they are wrong")
    return numbers


def _split_matrix(node: Any) -> None:
    """Say a node's matrix as rotation, translation and scale, as animations need it."""
    if node.matrix:
        turn, move, scale = _rest(node)
        node.matrix = None
        node.rotation = np.roll(matrix_to_quaternion(turn), -1).tolist()
        node.translation, node.scale = move.tolist(), scale.tolist()
