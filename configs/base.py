"""Every key that a config has, so that each can be set in any, with the value that most share.

None is what is not set: in the model, the objective and the sampler it is as in the checkpoint of
`init_from`, and without one the library's default; elsewhere it is that default, too.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder


def get_config() -> ConfigDict:
    """What an experiment adds to: sizes, data, and how long to train."""
    return ConfigDict(
        dict(
            seed=0,
            init_from="",
            model=dict(
                dim=placeholder(int),
                ffn_dim=placeholder(int),
                num_heads=placeholder(int),
                num_layers=placeholder(int),
                text_dim=placeholder(int),
                freq_dim=placeholder(int),
                motion_dim=placeholder(int),
                reference_dim=placeholder(int),
                text_rows=placeholder(int),
                reference_widths=placeholder(tuple),
                least_trust=placeholder(float),
                infill=placeholder(bool),
                averages=placeholder(bool),
                dtype=placeholder(str),
                grad_dtype=placeholder(str),  # that of the products
                remat=placeholder(str),
                matching_dim=placeholder(int),
                autoencoder=dict(
                    tokens=placeholder(int),
                    dim=placeholder(int),
                    ffn_dim=placeholder(int),
                    num_heads=placeholder(int),
                    num_layers=placeholder(int),
                ),
            ),
            objective=dict(
                learns=placeholder(str),
                prediction=placeholder(str),
                times=placeholder(str),
                shift=placeholder(float),
                corruption=dict(
                    noise_rate=placeholder(tuple),
                    noise_scale=placeholder(tuple),
                    jitter_rate=placeholder(tuple),
                    jitter_strength=placeholder(float),
                    dropout_rate=placeholder(float),
                ),
                camera=dict(
                    white=placeholder(float),
                    drift=placeholder(float),
                    constant=placeholder(float),
                    tilt=placeholder(float),
                    alone=placeholder(float),
                    held=placeholder(float),
                    lost=placeholder(float),
                    flipped=placeholder(float),
                    like=placeholder(str),
                ),
                infill=dict(share=placeholder(float)),
                guidance=placeholder(float),
                average=placeholder(float),
                path=placeholder(float),
            ),
            sampler=dict(
                steps=placeholder(int),
                solver=placeholder(str),
                guidance_scale=placeholder(float),
                start=placeholder(float),
                shift=placeholder(float),
                smoothing=placeholder(float),
                trajectory=placeholder(str),
                reference_smoothing=placeholder(float),
                clean_feet=placeholder(bool),
            ),
            data=dict(
                path="",
                batch_size=32,
                text_share=dict(high=0.8, low=0.4),
                null_text_probability=0.5,
                text_length=placeholder(int),  # as long as the longest text of the dataset
                buckets=(46, 56, 62, 72, 82, 92, 102, 112, 122, 130, 142, 150, 160, 170, 184, 200),
                weights=placeholder(object),  # a dictionary of shares by source
                balance=0.0,  # of actions
                filmed_share=0.5,  # of references, where takes were filmed
                workers=1,
                corrupt="refuse",
                keep_gb=placeholder(float),  # all of a dataset on a store
            ),
            optim=dict(
                optimizer="adamw",
                learning_rate=1e-3,
                schedule="constant",
                warmup_steps=100,
                b1=0.9,
                b2=0.95,
                weight_decay=1e-4,
                clip_norm=1.0,
                ema_decay=0.99,
            ),
            finetune=dict(
                lora_rank=0,  # all weights are trained
                lora_alpha=16.0,
                lora_targets=("self_attention", "text_attention", "reference_attention"),
                freeze=(),
            ),
            sharding=dict(
                strategy="fsdp",
                mesh=placeholder(object),  # a dictionary, in place of the strategy's own
                rules=placeholder(object),
                optimizer_rules=placeholder(object),
            ),
            train=dict(
                workdir="runs/mine",
                steps=1000,
                accumulate=1,  # more needs less memory
                log_every=50,
                eval_every=1000,
                preview_every=1000,
                save_every=250,
                keep=2,
                nonfinite="stop",
                lost_after=120,
                stuck_after=1800,
                profile=(),
                wandb="",
            ),
        )
    )
