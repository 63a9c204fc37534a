"""A student of the shipped model: text alone, few steps, one pass in each.

python -m launch.distill --teacher=small --prompts=FILE --real=datasets/bandai_cmu --out=out/light
python -m launch.train --config=configs/light.py --config.data.path=out/light/dataset

As wide as its teacher, so that it can start from its weights, but without the branch of references
and with three of its four layers: 2.3 M parameters, which is 4.6 MB in float16. Guidance is
folded into what it learns, so that one pass a step is enough.
"""

from ml_collections import ConfigDict

from configs import small


def get_config() -> ConfigDict:
    """2.3 M parameters that begin as the teacher's."""
    config = small.get_config()
    config.update(
        init_from="small",
        model=dict(num_layers=3, reference_dim=0, reference_widths=(), infill=False),
        objective=dict(guidance=2.5, infill=dict(share=0.0)),
        sampler=dict(steps=4, guidance_scale=1.0),
        data=dict(path="out/light/dataset", buckets=(112, 200)),
        train=dict(workdir="runs/light", steps=2800, preview_every=2800),
    )
    return config
