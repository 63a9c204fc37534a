"""The networks of visual motion capture agree with LiteRT running the published files.

Needs `ai-edge-litert`, and the wheel of mediapipe 0.10.21 at VIMOGEN_MEDIAPIPE_WHEEL.
"""

import os
import zipfile

import numpy as np
import pytest

from vimogen_jax.convert.blazepose import MEMBERS
from vimogen_jax.mocap import network

litert = pytest.importorskip("ai_edge_litert.interpreter", reason="LiteRT is not installed")

WHEEL = os.environ.get("VIMOGEN_MEDIAPIPE_WHEEL")
pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif(
        not WHEEL, reason="VIMOGEN_MEDIAPIPE_WHEEL does not name the published files"
    ),
]


def run(name: str, images: np.ndarray) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(WHEEL) as wheel:
        interpreter = litert.Interpreter(model_content=wheel.read(MEMBERS[name]))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images)
    interpreter.invoke()
    return {d["name"]: interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()}


@pytest.fixture(params=range(3))
def picture(request) -> np.ndarray:
    return np.random.default_rng(request.param).random((1, 256, 256, 3), np.float32)


def test_landmarks(picture):
    ours, theirs = network.landmarks(picture), run("landmarks", picture)
    difference = lambda a, b: np.abs(ours[a].ravel() - theirs[b].ravel()).max()
    assert difference("landmarks", "Identity") < 0.01  # of 256 pixels
    assert difference("world", "Identity_4") < 1e-4  # metres
    assert difference("presence", "Identity_1") < 1e-4
    assert difference("heatmaps", "Identity_3") < 2e-3


def test_detector(picture):
    picture = picture[:, :224, :224]
    ours, theirs = network.detector(picture), run("detector", 2 * picture - 1)
    assert np.abs(ours["boxes"] - theirs["Identity"]).max() < 0.01  # of 224 pixels
    assert np.abs(ours["scores"] - theirs["Identity_1"]).max() < 2e-3
