"""The autoencoder of HumanML3D's features that `configs/humanml3d_latent.py` needs, of MLD's sizes.

python -m launch.build_data --humanml3d=HumanML3D --layout=humanml3d --out=datasets/humanml3d
python -m launch.train --config=configs/humanml3d_vae.py --config.data.path=datasets/humanml3d
"""

from ml_collections import ConfigDict

from configs import humanml3d_latent


def get_config() -> ConfigDict:
    """The model of latents, of which the autoencoder alone learns."""
    config = humanml3d_latent.get_config()
    config.update(
        init_from="",
        objective=dict(learns="autoencoder"),
        finetune=dict(freeze=()),
        # Decay would shrink the denoiser, which learns nothing here.
        optim=dict(learning_rate=2e-4, weight_decay=0.0),
        train=dict(workdir="runs/humanml3d_vae"),
    )
    return config
