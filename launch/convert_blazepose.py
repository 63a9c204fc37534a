"""Make the embedded visual motion capture's weights from the published BlazePose files.

python -m launch.convert_blazepose --wheel mediapipe-0.10.21-….whl --out DIR
"""

import json
import os
import tempfile
import zipfile
from pathlib import Path

from absl import flags

from launch import cli, outputs
from vimogen_jax.convert.blazepose import MEMBERS, NETWORKS, read_tflite
from vimogen_jax.errors import BadInput
from vimogen_jax.files import first_line, write_text
from vimogen_jax.npz import unfold
from vimogen_jax.tensors import write_tensors

WHEEL = flags.DEFINE_string(
    "wheel",
    None,
    "wheel of mediapipe 0.10.21 from PyPI, the last with both networks",
    required=True,
)
OUT = flags.DEFINE_string("out", None, "folder to write to", required=True)


def main() -> None:
    """Read both networks out of the wheel, check their hashes, write graphs and weights."""
    names = [f"{network}.safetensors" for network in NETWORKS]
    out = outputs.files(OUT.value, ["graphs.json", *names])
    graphs, weights = {}, {}
    with tempfile.TemporaryDirectory() as unpacked:
        for network in NETWORKS:
            path = Path(unpacked) / os.path.basename(MEMBERS[network])
            try:
                with zipfile.ZipFile(WHEEL.value) as wheel:
                    path.write_bytes(unfold(wheel, MEMBERS[network]))
            except Exception as fault:  # damage surfaces as nearly any of the parsers'
                why = first_line(fault)
                raise BadInput(
                    f"{WHEEL.value} is not the wheel of mediapipe 0.10.21: {why}"
                ) from None
            graphs[network], weights[network] = read_tflite(path, network)
    out.mkdir(parents=True, exist_ok=True)
    for network, tensors in weights.items():
        write_tensors(out / f"{network}.safetensors", tensors, licence="Apache-2.0")
    write_text(_one_operation_a_line(graphs), out / "graphs.json")
    print(f"{out}: {', '.join(['graphs.json', *names])}")


def _one_operation_a_line(graphs: dict[str, list[dict]]) -> str:
    parts = [
        f"{json.dumps(name)}: [\n" + ",\n".join(map(json.dumps, graph)) + "\n]"
        for name, graph in graphs.items()
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    cli.run(main)
