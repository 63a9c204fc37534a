"""GLB files are valid glTF that moves as the body does, and read back as the same motion."""

import json
import struct

import numpy as np
import pytest

from vimogen_jax import formats
from vimogen_jax.body.mesh import Body, builtin_body
from vimogen_jax.body.rotations import axis_angle_to_matrix, quaternion_to_matrix
from vimogen_jax.body.skeleton import JOINT_NAMES, PARENTS, REST_JOINTS
from vimogen_jax.errors import BadInput
from vimogen_jax.formats import glb
from vimogen_jax.motion.motion import Motion

WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}
TYPES = {5121: "<u1", 5123: "<u2", 5125: "<u4", 5126: "<f4"}


def a_motion(frames=7, seed=0):
    rng = np.random.default_rng(seed)
    angles = np.cumsum(0.4 * rng.normal(size=(frames, 22, 3)), axis=0)
    angles[:, 0] += (np.pi / 2, 0, 0)
    transl = np.cumsum(0.1 * rng.normal(size=(frames, 3)), axis=0)
    return Motion(axis_angle_to_matrix(angles), transl, 20.0)


class Gltf:
    """A reader of GLB by the letter of the specification, independent of the writer's library."""

    def __init__(self, content):
        magic, version, length = struct.unpack_from("<4sII", content)
        assert (magic, version, length) == (b"glTF", 2, len(content))
        size, kind = struct.unpack_from("<I4s", content, 12)
        assert kind == b"JSON"
        assert size % 4 == 0
        self.json = json.loads(content[20 : 20 + size])
        size, kind = struct.unpack_from("<I4s", content, 20 + size)
        assert kind == b"BIN\0"
        self.blob = content[-size:]

    def array(self, index):
        accessor = self.json["accessors"][index]
        view = self.json["bufferViews"][accessor["bufferView"]]
        assert view["byteOffset"] % 4 == 0
        width = WIDTHS[accessor["type"]]
        array = np.frombuffer(
            self.blob,
            TYPES[accessor["componentType"]],
            accessor["count"] * width,
            view["byteOffset"],
        ).reshape(-1, width)
        assert array.nbytes == view["byteLength"]
        if "min" in accessor:
            np.testing.assert_array_equal(array.min(0), np.float32(accessor["min"]))
            np.testing.assert_array_equal(array.max(0), np.float32(accessor["max"]))
        return array

    def tracks(self):
        """Per (node, path): times and values."""
        (animation,) = self.json["animations"]
        found = {}
        for channel in animation["channels"]:
            sampler = animation["samplers"][channel["sampler"]]
            target = channel["target"]["node"], channel["target"]["path"]
            found[target] = self.array(sampler["input"])[:, 0], self.array(sampler["output"])
        return found

    def pose(self, frame):
        """Skinned vertices [v 3] of one frame (None: without the animation), in glTF's world."""
        tracks, nodes = self.tracks() if frame is not None else {}, self.json["nodes"]
        world = {}

        def place(index, above):
            node = nodes[index]
            local = np.eye(4)
            local[:3, 3] = node.get("translation", (0, 0, 0))
            rotation = np.array(node.get("rotation", (0, 0, 0, 1)), np.float64)
            if (index, "translation") in tracks:
                local[:3, 3] = tracks[index, "translation"][1][frame]
            if (index, "rotation") in tracks:
                rotation = tracks[index, "rotation"][1][frame].astype(np.float64)
            local[:3, :3] = quaternion_to_matrix(np.roll(rotation, 1))
            world[index] = above @ local
            for child in node.get("children", ()):
                place(child, world[index])

        for root in self.json["scenes"][self.json["scene"]]["nodes"]:
            place(root, np.eye(4))
        (skin,) = self.json["skins"]
        binds = self.array(skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1)
        carry = np.stack([world[n] @ bind for n, bind in zip(skin["joints"], binds, strict=True)])
        attributes = self.json["meshes"][0]["primitives"][0]["attributes"]
        points, joints, weights = (
            self.array(attributes[name]) for name in ("POSITION", "JOINTS_0", "WEIGHTS_0")
        )
        moved = np.einsum("vkxy,vy->vkx", carry[joints][..., :3, :3], points)
        return np.einsum("vk,vkx->vx", weights, moved + carry[joints][..., :3, 3])


@pytest.fixture(scope="module")
def written():
    motion = a_motion()
    return motion, Gltf(glb.to_bytes(motion))


def to_y_up(points):
    return points[..., [0, 2, 1]] * (-1, 1, 1)


def test_moves_as_the_body_does(written):
    motion, gltf = written
    posed = builtin_body().pose(motion.rotations, motion.transl + REST_JOINTS[0])
    for frame in (0, 3, motion.num_frames - 1):
        np.testing.assert_allclose(gltf.pose(frame), to_y_up(posed[frame]), atol=2e-6)


def test_rests_in_the_t_pose_on_the_floor(written):
    rest = builtin_body().vertices.copy()
    rest[:, 1] -= rest[:, 1].min()
    np.testing.assert_allclose(written[1].pose(None), rest, atol=1e-6)


def test_quaternions_are_unit_and_turn_the_short_way(written):
    motion, gltf = written
    tracks = gltf.tracks()
    names = {gltf.json["nodes"][node]["name"]: node for node, _ in tracks}
    assert set(names) == set(JOINT_NAMES)
    for (_, path), (times, values) in tracks.items():
        np.testing.assert_allclose(times, np.arange(motion.num_frames) / motion.fps, atol=1e-6)
        if path == "rotation":
            np.testing.assert_allclose(np.linalg.norm(values, axis=-1), 1, atol=1e-6)
            assert ((values[1:] * values[:-1]).sum(-1) >= 0).all()


def test_weights_normals_and_indices_are_as_the_specification_asks(written):
    gltf = written[1]
    (primitive,) = gltf.json["meshes"][0]["primitives"]
    attributes = {name: gltf.array(i) for name, i in primitive["attributes"].items()}
    count = len(attributes["POSITION"])
    assert "min" in gltf.json["accessors"][primitive["attributes"]["POSITION"]]
    np.testing.assert_allclose(attributes["WEIGHTS_0"].sum(1), 1, atol=1e-6)
    assert (attributes["JOINTS_0"][attributes["WEIGHTS_0"] == 0] == 0).all()
    np.testing.assert_allclose(np.linalg.norm(attributes["NORMAL"], axis=1), 1, atol=1e-6)
    assert gltf.array(primitive["indices"]).max() == count - 1


def test_the_motion_reads_back(tmp_path):
    motion = a_motion()
    glb.write(motion, tmp_path / "a.glb")
    again = formats.read(tmp_path / "a.glb")
    np.testing.assert_allclose(again.rotations, motion.rotations, atol=1e-6)
    np.testing.assert_allclose(again.transl, motion.transl, atol=1e-6)
    assert again.fps == motion.fps
    assert list(tmp_path.iterdir()) == [tmp_path / "a.glb"]


def test_what_follows_the_end_that_the_header_states_is_not_read(tmp_path):
    motion = a_motion()
    (tmp_path / "a.glb").write_bytes(glb.to_bytes(motion) + b"\n\0more")
    np.testing.assert_allclose(formats.read(tmp_path / "a.glb").transl, motion.transl, atol=1e-6)


def test_a_single_frame_reads_back(tmp_path):
    glb.write(a_motion()[:1], tmp_path / "a.glb")
    assert formats.read(tmp_path / "a.glb").num_frames == 1


def test_joints_beyond_the_22_hold_still_and_carry_their_vertices():
    rng = np.random.default_rng(3)
    rest = np.concatenate([REST_JOINTS + 0.01, REST_JOINTS[20:] + 0.1])
    weights = np.zeros((40, 24))
    for row in weights:
        row[rng.choice(24, 4, replace=False)] = rng.random(4)
    body = Body(
        vertices=rng.normal(size=(40, 3)),
        faces=rng.integers(0, 40, (60, 3)),
        weights=weights / weights.sum(1, keepdims=True),
        rest_joints=rest,
        parents=(*PARENTS, 20, 21),
        held=axis_angle_to_matrix(rng.normal(size=(2, 3))),
    )
    motion = a_motion()
    posed = body.pose(motion.rotations, motion.transl + REST_JOINTS[0])
    gltf = Gltf(glb.to_bytes(motion, body))
    np.testing.assert_allclose(gltf.pose(4), to_y_up(posed[4]), atol=2e-6)


def _truncate(content):
    return content[: len(content) // 2]


def _rename(content):
    return content.replace(b'"left_knee"', b'"left_kn33"')


def _spoil(content):
    track = np.float32(np.nan).tobytes()
    return content[: -len(track)] + track


def _foreign(content):
    return content.replace(b'"vimogen_jax"', b'"other_maker"')


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda _: b"", "not a GLB file"),
        (lambda _: b"glTF", "not a GLB file"),
        (lambda _: b"HIERARCHY\nROOT Hips\n{ nothing more }", "not a GLB file"),
        (_truncate, "bytes"),
        (_rename, "left_knee"),
        (_spoil, "NaN"),
        (_foreign, "not written by vimogen_jax"),
        (lambda content: content[:24] + b"}}" + content[26:], "not a GLB of one body's motion"),
    ],
)
def test_refuses_what_it_cannot_read(tmp_path, damage, fault):
    path = tmp_path / "a.glb"
    path.write_bytes(damage(glb.to_bytes(a_motion())))
    with pytest.raises(BadInput, match=fault) as refusal:
        formats.read(path)
    assert "a.glb" in str(refusal.value)


def _with_json(text):
    """A GLB whose JSON is of our choosing."""
    chunk = text.encode() + b" " * (-len(text) % 4)
    whole = struct.pack("<II", len(chunk), 0x4E4F534A) + chunk
    return b"glTF" + struct.pack("<II", 2, 12 + len(whole)) + whole


@pytest.mark.parametrize(
    "text",
    [
        *("[" * 200_000, '{"a":' * 200_000, '{"asset": {"version": ' + "9" * 5000 + "}}"),
        *("[]", "1"),
        *('{"asset": {"version": NaN}}', '{"asset": {"version": "\\ud800"}}', '{"nodes": 1e999}'),
    ],
)
def test_refuses_json_that_is_none_of_a_motion(text, tmp_path):
    (tmp_path / "a.glb").write_bytes(_with_json(text))
    with pytest.raises(BadInput, match=r"a\.glb: not a"):
        formats.read(tmp_path / "a.glb")


def test_refuses_a_missing_file(tmp_path):
    with pytest.raises(BadInput, match=r"none\.glb: cannot be read"):
        formats.read(tmp_path / "none.glb")
