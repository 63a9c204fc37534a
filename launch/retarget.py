"""Put motions onto a rig of your own, a BVH or GLB file.

python -m launch.retarget --motion wave.npz --onto rig.bvh --out out/rig
"""

from pathlib import Path

from absl import flags

from launch import cli, motion_flags, outputs
from vimogen_jax.formats import rig

MOTION = flags.DEFINE_multi_string("motion", None, "motion file; may be repeated", required=True)
ONTO = flags.DEFINE_string("onto", None, "BVH or skinned GLB file of the rig", required=True)
READING = motion_flags.define_flags()
OUT = flags.DEFINE_string("out", "out/retarget", "folder to write to")


def main() -> None:
    """Read the motions, then write each on the rig."""
    reads = list(READING.motions(MOTION.value))
    onto = Path(ONTO.value)
    names = [f"{each.name}-{onto.stem}{onto.suffix.lower()}" for each in reads]
    out = outputs.files(OUT.value, names)
    tables = READING.world().skeletons
    out.mkdir(parents=True, exist_ok=True)
    for each, name in zip(reads, names, strict=True):
        rig.write_onto(each.motion, onto, out / name, tables)
        print(out / name)


if __name__ == "__main__":
    cli.run(main)
