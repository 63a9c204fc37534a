"""A text-only model of HumanML3D's 263 features, to be scored as systems of these features are.

python -m launch.build_data --humanml3d=HumanML3D --layout=humanml3d --out=datasets/humanml3d
python -m launch.train --config=configs/humanml3d.py --config.data.path=datasets/humanml3d
python -m launch.humanml3d --data=HumanML3D --evaluator=DIR --checkpoint=runs/humanml3d

Sizes are those of `configs/small.py`. Not yet trained on HumanML3D, so there is no score to expect.
"""

from ml_collections import ConfigDict

from configs import small


def get_config() -> ConfigDict:
    """The shipped model without its reference branch, for other frames."""
    config = small.get_config()
    config.update(
        model=dict(motion_dim=263, reference_dim=0, reference_widths=(), infill=False),
        objective=dict(infill=dict(share=0.0)),
        sampler=dict(trajectory="absolute"),
        data=dict(path="datasets/humanml3d", text_share=dict(high=1.0, low=1.0)),
        optim=dict(optimizer="adamw", learning_rate=1e-3, warmup_steps=100),
        train=dict(workdir="runs/humanml3d"),
    )
    return config
