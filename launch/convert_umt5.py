"""UMT5's weights, Wan's .pth or Hugging Face's safetensors, to a folder in bfloat16.

python -m launch.convert_umt5 --weights models_t5_umt5-xxl-enc-bf16.pth --out models/umt5
"""

from pathlib import Path

from absl import flags

from launch import cli, outputs
from vimogen_jax.convert.umt5 import FILES, convert_umt5
from vimogen_jax.text.umt5 import FOLDER_VARIABLE
from vimogen_jax.text.umt5_spec import PUBLISHED_SPEC, spec_of

WEIGHTS = flags.DEFINE_string(
    "weights", None, "Wan's .pth, or a folder of Hugging Face's safetensors", required=True
)
OUT = flags.DEFINE_string("out", None, "folder to write to", required=True)


def main() -> None:
    """Convert, and tell which encoder it is."""
    replaces = outputs.whole(OUT.value, FILES)
    spec = spec_of(convert_umt5(WEIGHTS.value, OUT.value, replaces))
    sizes = "has the sizes of UMT5-XXL" if spec == PUBLISHED_SPEC else "is not UMT5-XXL"
    print(f"{OUT.value} {sizes}; datasets will record {spec}")
    print(f"export {FOLDER_VARIABLE}={Path(OUT.value).resolve()}")


if __name__ == "__main__":
    cli.run(main)
