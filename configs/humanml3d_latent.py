"""A text-only model of an autoencoder's latents of HumanML3D's features.

python -m launch.train --config=configs/humanml3d_latent.py --config.data.path=datasets/humanml3d
python -m launch.humanml3d --data=HumanML3D --evaluator=DIR --checkpoint=runs/humanml3d_latent

It starts from the run of `configs/humanml3d_vae.py`. This is the way to the paper's row "MLD +
ViMoGen-light"; it was not trained on HumanML3D yet.
"""

from ml_collections import ConfigDict

from configs import humanml3d


def get_config() -> ConfigDict:
    """A wide denoiser, of one token: 21.6 M parameters, beside 17.8 M that are frozen."""
    config = humanml3d.get_config()
    config.update(
        init_from="runs/humanml3d_vae",
        model=dict(
            dim=512,
            ffn_dim=1024,
            num_heads=8,
            num_layers=6,
            autoencoder=dict(tokens=1, dim=256, ffn_dim=1024, num_heads=4, num_layers=9),
        ),
        objective=dict(learns="flow"),
        sampler=dict(smoothing=0.0),
        finetune=dict(freeze=("autoencoder",)),
        train=dict(workdir="runs/humanml3d_latent"),
    )
    return config
