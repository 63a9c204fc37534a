"""The matcher of motions and texts: scores which motion shows which sentence.

python -m launch.train --config=configs/matcher.py --config.data.path=datasets/mine
python -m launch.calibrate --run=runs/matcher --dataset=datasets/mine --out=matchers/mine

It sees every motion with the noise of cameras, so that it judges what was read from films as well.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
    """0.9 M parameters; a batch is what each text looks for its motion in."""
    config = base.get_config()
    config.update(
        model=dict(
            dim=128,
            ffn_dim=512,
            num_heads=4,
            num_layers=3,
            text_dim=384,
            reference_dim=0,
            matching_dim=128,
            dtype="float32",
        ),
        objective=dict(
            learns="matching",
            camera=dict(white=0.1, drift=0.2, constant=0.2, tilt=0.15, held=0.4, lost=0.25),
        ),
        data=dict(
            path="datasets/mine",
            batch_size=64,
            text_share=dict(high=1.0, low=1.0),
            null_text_probability=0.0,
            buckets=(160,),
        ),
        optim=dict(schedule="cosine", warmup_steps=50, weight_decay=0.05, ema_decay=0.99),
        train=dict(workdir="runs/matcher", steps=600, eval_every=100),
    )
    return config
