"""A HumanML3D of made-up motions in its layout, and an evaluator of random weights for it."""

import pickle
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from tests.helpers.made_up import made_up_motion
from vimogen_jax.motion.humanml3d import to_features

WORDS = ["sos", "eos", "unk", "a", "person", "walk", "step", "slowly", "number"]
_SIZES = dict(movement_hidden=12, movement=10, motion_hidden=14, text_hidden=8, embedding=6)


def write_data(folder: Path, clips: int = 40) -> Path:
    """So many test motions of 40 to 60 frames with two captions each, and some to be left out.

    Clip 0 has a part with a caption of its own besides. Eight more are for training, two of them
    held out.
    """
    random = np.random.default_rng(0)
    for name in ("new_joint_vecs", "texts"):
        (folder / name).mkdir(parents=True)
    for i in range(clips):
        motion = made_up_motion("walk", random)
        features = to_features(motion)
        _write_clip(folder, f"{i:06}", np.concatenate([features, features[:4]]), i)
    with (folder / "texts" / "000000.txt").open("a") as file:
        file.write("a person steps.#a/DET person/NOUN step/VERB#0.1#2.1\n")
        file.write("too short.#a/DET#0.0#1.0\n")
    _write_clip(folder, "900000", features[:39], 0)
    _write_clip(folder, "900001", np.concatenate([features] * 5)[:200], 0)
    (folder / "texts" / "900002.txt").write_text("nobody.#nobody/PRON#0.0#0.0\n")
    for i in range(8):
        _write_clip(folder, f"{i + 800000}", to_features(made_up_motion("walk", random)), i)
    (folder / "train.txt").write_text("".join(f"{i + 800000}\n" for i in range(6)))
    (folder / "val.txt").write_text("800006\n800007\n")
    ids = [f"{i:06}" for i in range(clips)]
    (folder / "test.txt").write_text("\n".join([*ids, "900000", "900001", "900002"]) + "\n")
    return folder


def _write_clip(folder: Path, id: str, features: np.ndarray, number: int) -> None:
    np.save(folder / "new_joint_vecs" / f"{id}.npy", features.astype(np.float32))
    steps = " ".join(["step/VERB"] * (number % 5 + 1))
    (folder / "texts" / f"{id}.txt").write_text(
        f"a person walks, {number}.#a/DET person/NOUN walk/VERB number/NOUN {steps}#0.0#0.0\n"
        f"somebody walks slowly, {number}.#somebody/PRON walk/VERB slowly/ADV {steps}#nan#nan\n"
    )


def write_evaluator(folder: Path) -> Path:
    """Random weights of small networks, and a vocabulary of random vectors."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(1)
    weights = {
        name: (random.standard_normal(shape) / np.sqrt(max(np.prod(shape[1:]), 1))).astype("f4")
        for name, shape in _shapes(**_SIZES).items()
    }
    save_file(weights, folder / "evaluator.safetensors")
    (folder / "glove").mkdir()
    np.save(folder / "glove" / "our_vab_data.npy", random.standard_normal((len(WORDS), 300)))
    rows = {word: row for row, word in enumerate(WORDS)}
    (folder / "glove" / "our_vab_idx.pkl").write_bytes(pickle.dumps(rows))
    return folder


def _shapes(
    movement_hidden: int, movement: int, motion_hidden: int, text_hidden: int, embedding: int
) -> dict[str, tuple[int, ...]]:
    """The shapes of the published state dict, at these widths."""
    shapes: dict[str, tuple[int, ...]] = {
        "movement_encoder.main.0.weight": (movement_hidden, 259, 4),
        "movement_encoder.main.0.bias": (movement_hidden,),
        "movement_encoder.main.3.weight": (movement, movement_hidden, 4),
        "movement_encoder.main.3.bias": (movement,),
    }
    linears = {"movement_encoder.out_net": (movement, movement), "text_encoder.pos_emb": (300, 15)}
    for name, inputs, hidden in (
        ("motion_encoder", movement, motion_hidden),
        ("text_encoder", 300, text_hidden),
    ):
        linears[f"{name}.input_emb"] = (hidden, inputs)
        linears[f"{name}.output_net.0"] = (hidden, 2 * hidden)
        linears[f"{name}.output_net.3"] = (embedding, hidden)
        shapes[f"{name}.hidden"] = (2, 1, hidden)
        shapes[f"{name}.output_net.1.weight"] = shapes[f"{name}.output_net.1.bias"] = (hidden,)
        for kind in ("ih", "hh"):
            for end in ("l0", "l0_reverse"):
                shapes[f"{name}.gru.weight_{kind}_{end}"] = (3 * hidden, hidden)
                shapes[f"{name}.gru.bias_{kind}_{end}"] = (3 * hidden,)
    for name, (outputs, inputs) in linears.items():
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (outputs, inputs), (outputs,)
    return shapes
