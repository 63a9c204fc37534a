"""The model that a company may use: as small as the shipped one, learnt from CMU's takes alone.

python -m launch.train --config=configs/free.py --config.data.path=datasets/cmu

Most of a batch follows texts: of motion that is free for all uses there are eighty minutes, and
sentences are what it is for. Crops of five seconds come first, as they cost half as much; whole
takes of up to ten follow in a second run, in which the learning rate falls (docs/free.md).
"""

from ml_collections import ConfigDict

from configs import small


def get_config() -> ConfigDict:
    """4.7 M parameters; the first of its two runs."""
    config = small.get_config()
    config.update(
        data=dict(path="datasets/cmu", buckets=(60, 100), text_share=dict(high=0.75)),
        optim=dict(schedule="constant"),
        train=dict(workdir="runs/free", steps=3000, preview_every=3000),
    )
    return config
