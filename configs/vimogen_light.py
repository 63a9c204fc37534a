"""ViMoGen-light: a text-only student of the published teacher, by plain flow matching.

python -m launch.distill --teacher=TEACHER --prompts=FILE --real=DATASET --out=out/vimogen_light
python -m launch.train --config=configs/vimogen_light.py --config.init_from=TEACHER \\
    --config.data.path=out/vimogen_light/dataset

The paper says of its student that it is text-only and trained on the teacher's motions of 14,000
sentences, not how large it is. Ten of the teacher's thirty layers, at its width, are a third of its
work and begin as its weights do, evenly chosen; without --config.init_from, as random ones. The
shares of both kinds of takes are `data.weights`, by source. It was not trained: that takes the
published weights and GPUs.
"""

from ml_collections import ConfigDict

from configs import vimogen_1b


def get_config() -> ConfigDict:
    """Published training at a third of the layers: 0.49 B parameters."""
    config = vimogen_1b.get_config()
    config.update(
        model=dict(num_layers=10, reference_dim=0),
        data=dict(text_share=dict(high=1.0, low=1.0)),
        train=dict(workdir="runs/vimogen_light"),
    )
    return config
