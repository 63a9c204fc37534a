"""Experiments of the pages of configs/, changed for tests, and one as a run wrote it long ago."""

from typing import Any

from configs import tiny
from vimogen_jax.experiment import Experiment
from vimogen_jax.train.run import Run, open_run, record_run


def experiment_of(page: Any, **changes: Any) -> Experiment:
    """The experiment of a module of configs/, with changes of whole keys or of keys in sections."""
    return Experiment.from_config(changed(page.get_config().to_dict(), changes))


def changed(config: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy of nested dictionaries with other values in it."""
    both = lambda key, value: isinstance(value, dict) and isinstance(config.get(key), dict)
    return config | {
        key: changed(config[key], value) if both(key, value) else value
        for key, value in changes.items()
    }


def begin(folder: Any, dataset: Any, **changes: Any) -> Run:
    """Begin the run of a tiny model in a folder, or go on with it."""
    sections = dict(model=dict(text_dim=12), train=dict(workdir=str(folder)))
    run = open_run(experiment_of(tiny, **changed(sections, changes)), dataset)
    record_run(run, dataset.statistics)
    return run


# As the library wrote it before its configs shared a page: no `finetune`, a strategy by its name.
OF_BEFORE = {
    "schema_version": 1,
    "seed": 0,
    "init_from": "",
    "model": {
        "dim": 32,
        "dtype": "float32",
        "ffn_dim": 64,
        "freq_dim": 32,
        "num_heads": 2,
        "num_layers": 2,
        "reference_dim": 138,
        "remat": "none",
        "text_dim": 12,
    },
    "objective": {
        "corruption": {
            "dropout_rate": 0.05,
            "jitter_rate": [0.03, 0.08],
            "jitter_strength": 0.3,
            "noise_rate": [0.5, 1.0],
            "noise_scale": [0.2, 1.0],
        },
        "prediction": "sample",
        "shift": 1.0,
        "times": "logit_normal",
    },
    "data": {
        "batch_size": 8,
        "buckets": [60],
        "corrupt": "refuse",
        "null_text_probability": 0.5,
        "path": "somewhere",
        "text_length": 8,
        "text_share": {"high": 0.8, "low": 0.4},
        "weights": {},
        "workers": 1,
    },
    "optim": {
        "b1": 0.9,
        "b2": 0.95,
        "clip_norm": 0.1,
        "ema_decay": 0.9,
        "learning_rate": 0.001,
        "schedule": "constant",
        "warmup_steps": 2,
        "weight_decay": 0.0001,
    },
    "sharding": {"strategy": "fsdp"},
    "train": {
        "accumulate": 1,
        "eval_every": 6,
        "keep": 3,
        "log_every": 1,
        "preview_every": 12,
        "save_every": 3,
        "steps": 12,
        "workdir": "runs/tiny",
    },
    "sampler": {
        "guidance_scale": 2.5,
        "shift": 1.0,
        "smoothing": 1.0,
        "solver": "euler",
        "start": 1.0,
        "steps": 4,
        "trajectory": "fused",
    },
    "text_encoder": {"name": "synthetic", "width": 12, "revision": "1"},
    "fps": 20.0,
    "skeleton": "smplx22",
    "dataset": "",
    "base": None,
}
