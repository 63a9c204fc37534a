"""UMT5's weights, Wan's .pth or Hugging Face's safetensors, to a folder in bfloat16.

python -m launch.convert_umt5 --weights models_t5_umt5-xxl-enc-bf16.pth --out models/umt5
"""

from absl import flags

from launch import cli
from vimogen_jax.convert.umt5 import convert_umt5
from vimogen_jax.text.umt5 import FOLDER_VARIABLE, PUBLISHED_SPEC, spec_of

WEIGHTS = flags.DEFINE_string(
    "weights", None, "Wan's .pth, or a folder of Hugging Face's safetensors", required=True
)
OUT = flags.DEFINE_string("out", None, "folder to write", required=True)


def main() -> None:
    """Convert, and tell which encoder it is."""
    spec = spec_of(convert_umt5(WEIGHTS.value, OUT.value))
    kind = "UMT5-XXL, as the published models use" if spec == PUBLISHED_SPEC else "another UMT5"
    print(f"{OUT.value} holds {kind}: {spec}")
    print(f"export {FOLDER_VARIABLE}={OUT.value} to encode with it")


if __name__ == "__main__":
    cli.run(main)
