"""The speed of HumanML3D's features: what is measured is finite, and told."""

import json

from tests.helpers.commands import run_command


def test_the_command(tmp_path):
    ended = run_command(
        "bench",
        "--config=configs/tiny.py",
        "--measure=features",
        "--repeats=1",
        f"--out={tmp_path}",
    )
    assert ended.returncode == 0, ended.stderr
    record = json.loads((tmp_path / "features.json").read_text())
    assert set(record["frames_per_second"]) == {
        "from joints",
        "to joints by positions",
        "to joints by rotations",
    }
    assert all(1 < rate < 1e12 for rate in record["frames_per_second"].values())
    assert "from joints " in ended.stdout and "64 motions of 120 frames" in ended.stdout
