"""Files that are not the published networks are refused by their hash."""

import pytest

from vimogen_jax.convert.blazepose import read_tflite
from vimogen_jax.errors import BadInput


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "pose_detection.tflite"
    path.write_bytes(b"TFL3")
    with pytest.raises(BadInput, match=r"pose_detection\.tflite is not the published detector"):
        read_tflite(path, "detector")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        read_tflite(tmp_path / "no.tflite", "landmarks")
