"""The shipped model: small enough to train on two CPU cores, on a GPU in minutes.

python -m launch.train --config=configs/small.py --config.data.path=datasets/bandai_cmu

It predicts the clean motion: at this width a velocity, noise and all, does not fit through.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """4.4 M parameters; learning rate and batch for one machine."""
    return ConfigDict(
        dict(
            seed=0,
            model=dict(
                dim=192,
                ffn_dim=768,
                num_heads=4,
                num_layers=4,
                text_dim=384,
                freq_dim=256,
                reference_dim=138,
                dtype="float32",
                remat="none",
            ),
            objective=dict(prediction="sample", times="logit_normal"),
            data=dict(
                path="datasets/bandai_cmu",
                batch_size=32,
                text_share=dict(high=0.8, low=0.4),
                null_text_probability=0.15,
                text_length=32,
                buckets=(60, 80, 100, 120, 140, 160, 200),
                weights=dict(),
                workers=0,
            ),
            optim=dict(
                learning_rate=1e-3,
                schedule="cosine",
                warmup_steps=200,
                b1=0.9,
                b2=0.95,
                weight_decay=1e-2,
                clip_norm=1.0,
                ema_decay=0.998,
            ),
            sharding=dict(strategy="fsdp"),
            train=dict(
                workdir="runs/small",
                steps=10_000,
                log_every=50,
                eval_every=500,
                preview_every=2000,
                save_every=500,
                keep=2,
            ),
            sampler=dict(
                steps=30, solver="euler", guidance_scale=2.5, start=1.0, shift=1.0, smoothing=1.0
            ),
        )
    )
