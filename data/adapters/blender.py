"""FBX, BVH and GLB files into each other, by Blender: `python blender.py walk.fbx walk.bvh`.

It is run by a Python that has Blender's module `bpy`, and imports nothing of this project. A file's
own frame rate is kept.
"""

import json
import math
import struct
import sys
from pathlib import Path

import bpy  # pyright: ignore[reportMissingImports]
from mathutils import Matrix  # pyright: ignore[reportMissingImports]

_CENTIMETRE = 0.01  # BVH files of ours, and of most programs, are in centimetres


def convert(source: Path, target: Path) -> None:
    """Read a scene of one kind, write it as another; the kinds are the files' endings."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    _read(source)
    rigs = [each for each in bpy.data.objects if each.type == "ARMATURE"]
    if not rigs:
        sys.exit(f"{source}: has no skeleton")
    rig = max(rigs, key=lambda each: len(each.data.bones))
    if not (rig.animation_data and rig.animation_data.action):
        sys.exit(f"{source}: its skeleton does not move")
    first, last = rig.animation_data.action.frame_range
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = round(first), round(last)
    bpy.context.view_layer.objects.active = rig
    bpy.context.view_layer.update()
    _write(rig, target)


def _read(source: Path) -> None:
    kind, path = source.suffix.lower(), str(source)
    if kind == ".fbx":
        bpy.ops.import_scene.fbx(filepath=path)
    elif kind == ".bvh":
        bpy.ops.import_anim.bvh(
            filepath=path,
            global_scale=_CENTIMETRE,
            update_scene_fps=True,
            update_scene_duration=True,
            rotate_mode="QUATERNION",
        )
    else:
        _keep_rate(bpy.context.scene.render, _glb_rate(source))
        bpy.ops.import_scene.gltf(filepath=path, disable_bone_shape=True)


def _write(rig, target: Path) -> None:
    kind, path = target.suffix.lower(), str(target)
    if kind == ".fbx":
        if not any(each.type == "MESH" for each in bpy.data.objects):
            _dress(rig)
        bpy.ops.export_scene.fbx(
            filepath=path,
            object_types={"ARMATURE", "MESH"},
            add_leaf_bones=False,
            bake_anim_use_all_bones=True,
            bake_anim_use_nla_strips=False,
            bake_anim_use_all_actions=False,
            bake_anim_simplify_factor=0.0,
        )
    elif kind == ".bvh":
        # Blender writes a skeleton in its own axes and unit: let those be y up, and centimetres.
        _, turn, scale = rig.matrix_world.decompose()
        rig.data.transform((Matrix.Rotation(-math.pi / 2, 3, "X") @ turn.to_matrix()).to_4x4())
        rig.data.update_tag()
        scene = bpy.context.scene
        bpy.ops.export_anim.bvh(
            filepath=path,
            global_scale=scale.x / _CENTIMETRE,
            frame_start=scene.frame_start,
            frame_end=scene.frame_end,
            rotate_mode="NATIVE",
        )
    else:
        bpy.ops.export_scene.gltf(filepath=path, export_format="GLB", export_force_sampling=True)


def _dress(rig) -> None:
    """Give a bare skeleton a mesh of a point a bone, without which FBX forgets how it stands at
    rest and takes the first frame for that."""
    bones = rig.data.bones
    mesh = bpy.data.meshes.new("rest")
    points = [bone.head_local[:] for bone in bones]
    mesh.from_pydata(points, [], [(0, 1, 2)] if len(points) > 2 else [])
    body = bpy.data.objects.new("rest", mesh)
    bpy.context.scene.collection.objects.link(body)
    body.parent = rig
    body.modifiers.new("rest", "ARMATURE").object = rig
    for number, bone in enumerate(bones):
        body.vertex_groups.new(name=bone.name).add([number], 1.0, "REPLACE")


def _keep_rate(render, rate: float) -> None:
    """glTF counts seconds, Blender frames: of this rate."""
    render.fps = max(1, round(rate))
    render.fps_base = render.fps / rate


def _glb_rate(source: Path) -> float:
    """Keys a second of the longest animation of a GLB, by the first chunk, which is JSON."""
    content = source.read_bytes()
    model = json.loads(content[20 : 20 + struct.unpack_from("<I", content, 12)[0]])
    times = [
        model["accessors"][sampler["input"]]
        for animation in model.get("animations", [])
        for sampler in animation["samplers"]
    ]
    longest = max(times, key=lambda each: each["count"], default=None)
    if longest is None or longest["count"] < 2:
        sys.exit(f"{source}: its skeleton does not move")
    return (longest["count"] - 1) / (longest["max"][0] - longest["min"][0])


if __name__ == "__main__":
    convert(*map(Path, sys.argv[1:]))
