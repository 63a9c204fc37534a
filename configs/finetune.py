"""Adapt a trained model to motion capture of your own, on one GPU, or on a CPU if it is small.

python -m launch.train --config=configs/finetune.py --config.data.path=DATASET \\
    --config.init_from=CHECKPOINT

The model, the objective and the sampler are as in the checkpoint, where they are not set.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
    """LoRA of all attention. With `finetune.lora_rank=0`, everything that is not frozen learns."""
    config = base.get_config()
    config.update(
        init_from="small",
        finetune=dict(lora_rank=16),
        data=dict(
            null_text_probability=0.1,
            buckets=(60, 80, 110, 150, 200),  # few, for a short run compiles each
        ),
        # Cut, every device would gather the frozen weights again in each step. For full fine-tuning
        # on several devices, fsdp.
        sharding=dict(strategy="data_parallel"),
        # The learning rate of full fine-tuning is rather 1e-5 to 1e-4.
        optim=dict(learning_rate=1e-3, schedule="cosine", warmup_steps=20),
        train=dict(
            workdir="runs/finetune",
            steps=300,
            log_every=20,
            eval_every=50,
            preview_every=300,
            save_every=100,
        ),
    )
    return config
