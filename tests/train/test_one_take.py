"""One take, built and learnt by heart: how everyone starts. And what a training says at its end."""

import json
import re

import numpy as np
import pytest

from tests.helpers.commands import run_command
from tests.helpers.made_up import made_up_motion
from vimogen_jax.formats import bvh

STEPS = 40


@pytest.mark.slow
def test_one_take_is_built_and_learnt_by_heart(tmp_path):
    motion = made_up_motion("walk", np.random.default_rng(0), 60)
    (tmp_path / "motions").mkdir()
    bvh.write(motion, tmp_path / "motions" / "walk.bvh")
    captions = tmp_path / "captions.jsonl"
    captions.write_text(json.dumps({"path": "walk.bvh", "caption": "a person walks."}))
    dataset, run = tmp_path / "dataset", tmp_path / "run of mine"
    sources = "--motions", tmp_path / "motions", "--captions", captions
    built = run_command("build_data", *sources, "--out", dataset)
    assert built.returncode == 0, built.stderr
    assert "1 takes to train on, 1 held out" in built.stdout
    assert "the take 'walk' is trained on and held out" in built.stderr

    done = run_command(
        *("train", "--config=configs/tiny.py", f"--config.data.path={dataset}"),
        *(f"--config.train.workdir={run}", f"--config.train.steps={STEPS}"),
        *("--config.data.buckets=(60,)", "--config.data.batch_size=16"),
        "--config.data.text_share.high=0.5",
        *("--config.sharding.strategy=data_parallel", "--config.optim.learning_rate=0.01"),
        *("--config.train.log_every=1", "--config.train.eval_every=10"),
        f"--config.train.preview_every={STEPS}",
    )
    assert done.returncode == 0, done.stderr
    assert "warning: the take 'walk' is trained on and held out" in done.stdout
    reports = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [line["validation_loss"] for line in reports if "validation_loss" in line]
    assert losses[-1] < losses[0] / 2

    end = done.stdout.splitlines()[-3:]
    previews = run / "previews" / str(STEPS)
    assert end[0] == (
        f"{run}: all {STEPS} steps are done, held-out loss {losses[-1]:.4g}, previews in {previews}"
    )
    look = re.fullmatch(r"to see its previews: python -m launch\.view '(.*)'/\*\.npz", end[1])
    assert look and [*(tmp_path / look[1]).glob("*.npz")] == [previews / "0.npz"]
    assert end[2].endswith(f"--checkpoint '{run}'")
