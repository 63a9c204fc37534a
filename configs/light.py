"""A student of the shipped model: text alone, few steps, one pass in each.

python -m launch.distill --teacher=small --prompts=FILE --real=datasets/bandai_cmu \
    --steps=24 --shift=2 --legs=4 --out=out/light
python -m launch.train --config=configs/light.py --config.data.path=out/light/dataset

As wide as its teacher, so that it can start from its weights, but without the branch of references
and with three of its four layers: 2.4 M parameters, which is 4.7 MB in float16. It learns its
teacher's own path from noise to motion in four legs, guidance and all, so that few steps of one
pass suffice, at the shift of the teacher's times. In three it is recognised most often.
"""

from ml_collections import ConfigDict

from configs import small


def get_config() -> ConfigDict:
    """2.4 M parameters that begin as the teacher's."""
    config = small.get_config()
    config.update(
        init_from="small",
        model=dict(num_layers=3, reference_dim=0, reference_widths=(), infill=False, averages=True),
        objective=dict(path=1.0, infill=dict(share=0.0)),
        sampler=dict(steps=3, shift=2.0, guidance_scale=1.0),
        data=dict(path="out/light/dataset", buckets=(60, 100, 160), null_text_probability=0.0),
        train=dict(workdir="runs/light", steps=2700, preview_every=2700),
    )
    return config
