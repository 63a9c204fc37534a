"""Turn the newest checkpoint of a run into a package: the averaged weights, config, statistics.

python -m launch.export --run runs/small --out exported/small --dtype float16

With --adapter, only what LoRA learnt is written, for use with the same base.
"""

from absl import flags

from launch import cli, outputs
from vimogen_jax import adapter, package
from vimogen_jax.files import whole_folder
from vimogen_jax.train.run import load_run, load_run_adapter

RUN = flags.DEFINE_string("run", None, "run folder", required=True)
OUT = flags.DEFINE_string("out", None, "folder to write the package to", required=True)
DTYPE = flags.DEFINE_enum("dtype", "float32", package.WEIGHT_DTYPES, "dtype of the weights on disk")
ADAPTER = flags.DEFINE_bool("adapter", False, "write the LoRA adapter alone, in float32")


def main() -> None:
    """Export what the command line names."""
    replaces = outputs.whole(OUT.value, adapter.FILES if ADAPTER.value else package.FILES)
    if ADAPTER.value:
        learnt = load_run_adapter(RUN.value)
        with whole_folder(OUT.value, replaces) as aside:
            adapter.save_adapter(aside, learnt)
        print(f"{OUT.value} holds the adapter after step {learnt.step}")
        return
    model = load_run(RUN.value)
    with whole_folder(OUT.value, replaces) as aside:
        package.save_package(aside, model, DTYPE.value)
    print(f"{OUT.value} holds the weights after step {model.step}")


if __name__ == "__main__":
    cli.run(main)
