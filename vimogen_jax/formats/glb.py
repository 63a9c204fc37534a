"""GLB (binary glTF 2.0) out and back in: a skinned, animated mesh for Blender and web viewers.

glTF is y up and its models face +z, so a root node turns our z-up world, where a person faces
+y, by half a turn. Without the animation the joints stand in the rest pose. Pose blend shapes
of a licensed body do not fit glTF; such a body moves by linear blend skinning alone.
"""

import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pygltflib as gltf
from jaxtyping import Float, Real

from vimogen_jax.body.axes import UPS
from vimogen_jax.body.mesh import Body, builtin_body, strongest, vertex_normals
from vimogen_jax.body.rotations import matrix_to_quaternion, quaternion_to_matrix
from vimogen_jax.body.skeleton import JOINT_NAMES, NUM_JOINTS, REST_JOINTS
from vimogen_jax.errors import BadInput
from vimogen_jax.files import first_line, parse_json, require_no_stream, whole_file
from vimogen_jax.formats.arrays import FASTEST
from vimogen_jax.formats.found import Found
from vimogen_jax.motion.motion import Motion

_TO_Y_UP = [0.0, 0.5**0.5, 0.5**0.5, 0.0]  # xyzw: (x, y, z) to (-x, z, y), its own inverse
_COLOUR = [0.80, 0.33, 0.16, 1.0]  # linear
_COMPONENTS = {"<f4": gltf.FLOAT, "|u1": gltf.UNSIGNED_BYTE, "<u4": gltf.UNSIGNED_INT}


def write(
    motion: Motion,
    path: str | os.PathLike,
    body: Body | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Write the body (by default the built-in one) moved by the motion; float32.

    provenance: how the motion came about, written as `asset.extras.provenance`.
    """
    content = to_bytes(motion, body, provenance)
    with whole_file(path) as aside:
        aside.write_bytes(content)


def to_bytes(
    motion: Motion, body: Body | None = None, provenance: Mapping[str, Any] | None = None
) -> bytes:
    """The content of such a file."""
    body = body or builtin_body()
    joints = len(body.rest_joints)
    model = gltf.GLTF2(
        asset=gltf.Asset(
            version="2.0",
            generator="vimogen_jax",
            extras={} if provenance is None else {"provenance": dict(provenance)},
        ),
        scene=0,
        scenes=[gltf.Scene(nodes=[0, joints + 1])],
        nodes=_nodes(body),
    )
    blob = bytearray()
    inverse_bind = np.tile(np.eye(4), (joints, 1, 1))
    inverse_bind[:, 3, :3] = -body.rest_joints  # stored by columns: the last one translates
    bind = add(model, blob, inverse_bind.reshape(joints, 16), "MAT4")
    model.skins = [
        gltf.Skin(inverseBindMatrices=bind, joints=list(range(1, joints + 1)), skeleton=0)
    ]
    model.meshes = [gltf.Mesh(name="body", primitives=[_primitive(model, blob, body)])]
    surface = gltf.PbrMetallicRoughness(
        baseColorFactor=_COLOUR, metallicFactor=0.0, roughnessFactor=0.65
    )
    model.materials = [gltf.Material(name="body", pbrMetallicRoughness=surface)]
    moved = animation(
        model,
        blob,
        motion.fps,
        range(1, 1 + NUM_JOINTS),
        np.asarray(motion.rotations),
        1,
        np.asarray(motion.transl) + REST_JOINTS[0],
    )
    moved.extras = {"fps": float(motion.fps)}
    model.animations = [moved]
    model.buffers = [gltf.Buffer(byteLength=len(blob))]
    model.set_binary_blob(bytes(blob))
    return b"".join(model.save_to_bytes())


def find(path: str | os.PathLike) -> Found:
    """What a GLB that `write` made holds; to 1e-6 (its numbers are float32).

    Raises BadInput, naming the file, where it is damaged or was not written here.
    """
    try:
        model, blob = open_glb(path)
        motion = _motion(model, blob)
    except GLBError as fault:
        raise BadInput(f"{path}: {fault}") from None
    except OSError as fault:
        raise BadInput(f"{path}: cannot be read: {fault.strerror or fault}") from None
    except RecursionError:
        raise BadInput(f"{path}: not a GLB of one body's motion: nested too deep") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as fault:
        raise BadInput(f"{path}: not a GLB of one body's motion: {fault}") from None
    return Found(
        path=str(path),
        kind="GLB",
        rotations=np.asarray(motion.rotations),
        transl=np.asarray(motion.transl),
        fps=motion.fps,
        turn=UPS["z"],
        fixed=True,
    )


def read_provenance(path: str | os.PathLike) -> Any:
    """What `write` was told of how the motion came about; None where it was told nothing.

    Raises BadInput as `find` does.
    """
    try:
        model, _ = open_glb(path)
        extras = model.asset.extras
    except GLBError as fault:
        raise BadInput(f"{path}: {fault}") from None
    except AttributeError as fault:
        raise BadInput(f"{path}: not a GLB of one body's motion: {fault}") from None
    return extras.get("provenance") if isinstance(extras, dict) else None


class GLBError(Exception):
    """What is wrong with a GLB, for a person; whoever reads it adds the file's name."""


def _nodes(body: Body) -> list[gltf.Node]:
    """The root that turns z up into y up, the joints at rest on the floor, and the mesh."""
    joints = range(len(body.rest_joints))
    names = [*JOINT_NAMES, *(f"joint_{j}" for j in joints[NUM_JOINTS:])]
    turns = np.tile([0.0, 0.0, 0.0, 1.0], (len(names), 1))
    turns[0] = _TO_Y_UP
    if len(body.held):
        turns[NUM_JOINTS:] = np.roll(matrix_to_quaternion(body.held), -1, axis=-1)
    x, y, z = body.rest_joints[0]
    offsets = body.rest_joints - body.rest_joints[list(body.parents)]
    offsets[0] = -x, z, y - body.vertices[:, 1].min()
    nodes = [gltf.Node(name="armature", rotation=_TO_Y_UP, children=[1])]
    for j in joints:
        children = [1 + child for child in joints if body.parents[child] == j]
        nodes.append(
            gltf.Node(
                name=names[j],
                translation=offsets[j].tolist(),
                rotation=turns[j].tolist(),
                children=children,
            )
        )
    return [*nodes, gltf.Node(name="body", mesh=0, skin=0)]


def _primitive(model: gltf.GLTF2, blob: bytearray, body: Body) -> gltf.Primitive:
    """The mesh at rest; each vertex follows the four joints that pull it most."""
    joints, shares = strongest(body.weights)
    normals = vertex_normals(body.vertices, body.faces)
    attributes = gltf.Attributes(
        POSITION=add(model, blob, body.vertices, "VEC3", gltf.ARRAY_BUFFER),
        NORMAL=add(model, blob, normals, "VEC3", gltf.ARRAY_BUFFER),
        JOINTS_0=add(model, blob, joints, "VEC4", gltf.ARRAY_BUFFER, "|u1"),
        WEIGHTS_0=add(model, blob, shares, "VEC4", gltf.ARRAY_BUFFER),
    )
    indices = add(
        model, blob, body.faces.reshape(-1, 1), "SCALAR", gltf.ELEMENT_ARRAY_BUFFER, "<u4"
    )
    return gltf.Primitive(attributes=attributes, indices=indices, material=0)


def animation(
    model: gltf.GLTF2,
    blob: bytearray,
    fps: float,
    nodes: Sequence[int],
    rotations: Float[np.ndarray, "t j 3 3"],
    pelvis: int,
    track: Float[np.ndarray, "t 3"],
) -> gltf.Animation:
    """A rotation track for every node and a translation track for one; values go to the buffer.

    Args:
        nodes: of the joints, by their number in the model.
        rotations: of each node, relative to its parent.
        pelvis, track: the node that is moved, and its positions in its parent's frame.
    """
    clock = add(model, blob, np.arange(len(rotations))[:, None] / fps, "SCALAR")
    quaternions = matrix_to_quaternion(np.asarray(rotations, np.float64))  # [t j 4]
    turned = (quaternions[1:] * quaternions[:-1]).sum(-1, keepdims=True) < 0
    quaternions[1:] *= np.cumprod(np.where(turned, -1, 1), axis=0)  # the short way round
    tracks = [(pelvis, "translation", add(model, blob, track, "VEC3"))]
    for j, node in enumerate(nodes):
        xyzw = np.roll(quaternions[:, j], -1, axis=-1)
        tracks.append((node, "rotation", add(model, blob, xyzw, "VEC4")))
    return gltf.Animation(
        name="motion",
        samplers=[gltf.AnimationSampler(input=clock, output=values) for *_, values in tracks],
        channels=[
            gltf.AnimationChannel(
                sampler=k, target=gltf.AnimationChannelTarget(node=node, path=kind)
            )
            for k, (node, kind, _) in enumerate(tracks)
        ],
    )


def add(
    model: gltf.GLTF2,
    blob: bytearray,
    array: Real[np.ndarray, "n ..."],
    kind: str,
    target: int | None = None,
    dtype: str = "<f4",
) -> int:
    """Append an array, a row for each element, to the buffer; the index of its accessor."""
    array = np.ascontiguousarray(array, dtype)
    model.bufferViews.append(
        gltf.BufferView(buffer=0, byteOffset=len(blob), byteLength=array.nbytes, target=target)
    )
    blob += array.tobytes()
    blob += bytes(-len(blob) % 4)
    bounded = dtype == "<f4"
    model.accessors.append(
        gltf.Accessor(
            bufferView=len(model.bufferViews) - 1,
            componentType=_COMPONENTS[dtype],
            count=len(array),
            type=kind,
            min=array.min(axis=0).tolist() if bounded else None,
            max=array.max(axis=0).tolist() if bounded else None,
        )
    )
    return len(model.accessors) - 1


def open_glb(path: str | os.PathLike) -> tuple[Any, bytes]:
    """The parsed file, whose fields may each be missing, and its buffer.

    What comes after the length that the header states is no part of it, as for other readers.
    """
    require_no_stream(path)
    content = Path(path).read_bytes()
    if len(content) < 20 or content[:4] != b"glTF":
        raise GLBError("not a GLB file")
    version, length = struct.unpack("<II", content[4:12])
    if version != 2 or length > len(content):
        raise GLBError(f"glTF {version} of {length} bytes was announced, {len(content)} are there")
    content = content[:length]
    try:
        end = 20 + int.from_bytes(content[12:16], "little")
        parse_json(content[20:end].decode())  # within bounds, which the library has none of
        model: Any = gltf.GLTF2.load_from_bytes(content)
    except Exception as fault:  # damage can surface as nearly any exception of the parser
        raise GLBError(f"not a whole GLB file: {first_line(fault)}") from None
    return model, model.binary_blob()


def _motion(model: Any, blob: bytes) -> Motion:
    if model.asset.generator != "vimogen_jax" or len(model.animations) != 1:
        raise GLBError("not written by vimogen_jax, whose GLB files alone can be read as motions")
    (animation,) = model.animations
    tracks = {}
    for channel in animation.channels:
        joint = model.nodes[channel.target.node].name
        tracks[joint, channel.target.path] = _array(
            model, blob, animation.samplers[channel.sampler].output
        )
    pelvis = tracks["pelvis", "translation"].astype(np.float64)
    turns = np.stack([tracks[joint, "rotation"] for joint in JOINT_NAMES], axis=1)
    if not (np.isfinite(pelvis).all() and np.isfinite(turns).all()):
        raise GLBError("the motion holds NaN or infinity")
    rotations = quaternion_to_matrix(np.roll(turns.astype(np.float64), 1, axis=-1))
    fps = float(animation.extras["fps"])
    if not 1 <= fps <= FASTEST:
        raise GLBError(f"{fps:g} frames a second")
    return Motion(rotations, pelvis - REST_JOINTS[0], fps)


def _array(model: Any, blob: bytes, accessor: int) -> np.ndarray:
    found = model.accessors[accessor]
    view = model.bufferViews[found.bufferView]
    width = {"VEC3": 3, "VEC4": 4}[found.type]
    return np.frombuffer(blob, "<f4", found.count * width, view.byteOffset).reshape(-1, width)
