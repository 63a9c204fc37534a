"""Tell how often motions ask more of a humanoid robot's joints than they can turn.

python -m launch.robot_limits walk.npz --urdf gr1t1.urdf
"""

from absl import flags

from eval.robot_limits import read_urdf, violations
from launch import cli, motion_flags
from vimogen_jax.errors import BadInput
from vimogen_jax.markdown import markdown_table

READING = motion_flags.define_flags()
URDF = flags.DEFINE_string("urdf", None, "URDF of a robot of the Fourier GR family", required=True)


def main(files: list[str]) -> None:
    """Print a table of joints for each motion, those first that are beyond their limits most."""
    if not files:
        raise BadInput("nothing to do: name motion files")
    robot = read_urdf(URDF.value)
    for read in READING.motions(files):
        found = violations(read.motion, robot)
        rows = sorted(found.items(), key=lambda row: row[1], reverse=True)
        print(
            f"{read.name}: {sum(share > 0 for share, _ in found.values())} of {len(found)} joints"
        )
        print(
            markdown_table(
                ["joint", "frames beyond", "furthest, rad"],
                [[name, f"{100 * share:.0f} %", f"{far:.2f}"] for name, (share, far) in rows],
            )
        )


if __name__ == "__main__":
    cli.run(main, takes_words=True)
