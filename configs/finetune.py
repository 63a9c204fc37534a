"""Adapt a trained model to motion capture of your own, on one GPU, or on a CPU if it is small.

python -m launch.train --config=configs/finetune.py --config.data.path=DATASET \\
    --config.init_from=CHECKPOINT

What is None or left out of the model, the objective and the sampler is as in the checkpoint.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder


def get_config() -> ConfigDict:
    """LoRA of all attention. With `finetune.lora_rank=0`, everything that is not frozen learns."""
    return ConfigDict(
        dict(
            seed=0,
            init_from="small",
            finetune=dict(
                lora_rank=16,
                lora_alpha=16.0,
                lora_targets=("self_attention", "text_attention", "reference_attention"),
                freeze=(),
            ),
            model=dict(dtype=placeholder(str), remat=placeholder(str)),
            objective=dict(),
            data=dict(
                path="",
                batch_size=32,
                text_share=dict(high=0.8, low=0.4),
                null_text_probability=0.1,
                text_length=64,
                buckets=(60, 80, 110, 150, 200),  # few, for a short run compiles each
                weights=dict(),
                workers=1,
                corrupt="refuse",
            ),
            optim=dict(
                learning_rate=1e-3,  # of full fine-tuning, rather 1e-5 to 1e-4
                schedule="cosine",
                warmup_steps=20,
                b1=0.9,
                b2=0.95,
                weight_decay=1e-4,
                clip_norm=1.0,
                ema_decay=0.99,
            ),
            sharding=dict(strategy="fsdp"),
            train=dict(
                workdir="runs/finetune",
                steps=300,
                accumulate=1,
                log_every=20,
                eval_every=50,
                preview_every=300,
                save_every=100,
                keep=2,
            ),
            sampler=dict(),
        )
    )
