"""Published weights to a checkpoint package, and a package back to published weights.

python -m launch.convert --weights model.pt --statistics DIR --out models/vimogen
python -m launch.convert --to=reference --weights models/vimogen --out back/model.pt

Weights of Wan2.1-T2V-1.3B become a package to start training from.
"""

import os
from pathlib import Path

from absl import flags

from launch import cli, outputs
from vimogen_jax import package
from vimogen_jax.convert.checkpoint import to_package, to_reference
from vimogen_jax.errors import BadInput

TO = flags.DEFINE_enum("to", "package", ["package", "reference"], "what to convert to")
WEIGHTS = flags.DEFINE_string(
    "weights", None, "published .pt or .safetensors, or its folder; or a package", required=True
)
STATISTICS = flags.DEFINE_string("statistics", None, "folder with the published mean.npy, std.npy")
OUT = flags.DEFINE_string(
    "out", None, "folder of the package, or .pt or .safetensors file to write", required=True
)
NUM_HEADS = flags.DEFINE_integer(
    "num_heads", None, "number of attention heads; by default heads are 128 wide, as published", 1
)
SEED = flags.DEFINE_integer("seed", 0, "seed of the parameters that Wan's weights lack")


def main() -> None:
    """Convert as the command line says."""
    if not os.path.exists(WEIGHTS.value):
        raise BadInput(f"{WEIGHTS.value} is missing")
    if TO.value == "reference":
        out = Path(OUT.value)
        outputs.files(out.parent, [out.name, "mean.npy", "std.npy"])
        lines = to_reference(WEIGHTS.value, OUT.value, progress=True)
    elif STATISTICS.value is None:
        raise BadInput("give --statistics, a folder with mean.npy and std.npy: a package has them")
    else:
        lines = to_package(
            WEIGHTS.value,
            STATISTICS.value,
            OUT.value,
            NUM_HEADS.value,
            SEED.value,
            replaces=outputs.whole(OUT.value, package.FILES),
            progress=True,
        )
    print(*lines, sep="\n")


if __name__ == "__main__":
    cli.run(main)
