"""Turn the newest checkpoint of a run into a package: the averaged weights, config, statistics.

python -m launch.export --run runs/small --out exported/small --dtype float16

With --adapter, only what LoRA learnt is written, for use with the same base.
"""

from absl import flags

from launch import cli
from vimogen_jax.adapter import save_adapter
from vimogen_jax.package import DTYPES, save_package
from vimogen_jax.train.checkpoint import load_run, load_run_adapter

RUN = flags.DEFINE_string("run", None, "folder of the run", required=True)
OUT = flags.DEFINE_string("out", None, "folder to write the package to", required=True)
DTYPE = flags.DEFINE_enum("dtype", "float32", DTYPES, "of the weights on disk")
ADAPTER = flags.DEFINE_bool("adapter", False, "write the LoRA adapter alone, in float32")


def main() -> None:
    """Export what the command line names."""
    if ADAPTER.value:
        adapter = load_run_adapter(RUN.value)
        save_adapter(OUT.value, adapter)
        print(f"{OUT.value} holds the adapter after step {adapter.step}")
        return
    package = load_run(RUN.value)
    save_package(OUT.value, package, DTYPE.value)
    print(f"{OUT.value} holds the weights after step {package.step}")


if __name__ == "__main__":
    cli.run(main)
