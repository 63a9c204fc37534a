"""A stand-in for HumanML3D, in its exact layout, of a dataset that `launch.build_data` has made.

python -m data.humanml3d_stand_in DATASET OUT

HumanML3D may not be passed on, and is made of AMASS, which may not either. With motions that may,
the protocol can be tried, and a system trained on 263 features; scores do not compare with others'.
"""

import argparse
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data import wordings
from vimogen_jax.body.axes import Y_UP_TO_Z_UP
from vimogen_jax.errors import BadInput
from vimogen_jax.files import whole_folder, write_text
from vimogen_jax.input_pipeline.dataset import Dataset
from vimogen_jax.input_pipeline.records import Record
from vimogen_jax.motion import humanml3d
from vimogen_jax.motion.representation import decode
from vimogen_jax.motion.resample import resample

SHARES = {"train": 0.75, "val": 0.05, "test": 0.2}
LONGEST = 199  # frames of a motion that the protocol takes
_PARTS = [  # whose deviations count as one, as HumanML3D's are computed
    *(humanml3d.TURN, humanml3d.STEP, humanml3d.HEIGHT, humanml3d.POSITIONS, humanml3d.ROTATIONS),
    *(humanml3d.VELOCITIES, humanml3d.CONTACTS),
]
_README = """A stand-in for HumanML3D, in its layout, of other motions: scores on it compare with
none that are published. Its words have no parts of speech (X), and are no lemmas.

"""


def write_stand_in(dataset: Dataset, folder: Path) -> dict[str, int]:
    """Write `new_joints/`, `new_joint_vecs/`, `texts/`, the lists, Mean.npy and Std.npy.

    Each motion is there twice, mirrored as M and its id. All of one file's are in one split.

    Returns:
        How many motions each split has, mirrored ones too.

    Raises:
        BadInput: the folder is there already.
    """
    splits: dict[str, list[str]] = {name: [] for name in SHARES}
    trained: list[np.ndarray] = []
    with whole_folder(folder) as aside:
        for name in ("new_joints", "new_joint_vecs", "texts"):
            (aside / name).mkdir()
        for number, (split, joints, captions) in enumerate(_motions(dataset)):
            mirrored = humanml3d.mirror(joints), [*map(wordings.mirrored, captions)]
            for id, shown in ((f"{number:06}", (joints, captions)), (f"M{number:06}", mirrored)):
                features = _write(aside, id, *shown)
                splits[split].append(id)
                if split == "train":
                    trained.append(features)
        if not trained:
            raise BadInput("too few motions: none of them is drawn for training")
        everyone = [id for ids in splits.values() for id in ids]
        lists = {**splits, "train_val": splits["train"] + splits["val"], "all": everyone}
        for name, ids in lists.items():
            write_text("".join(f"{id}\n" for id in ids), aside / f"{name}.txt")
        mean, std = _statistics(np.concatenate(trained))
        np.save(aside / "Mean.npy", mean)
        np.save(aside / "Std.npy", std)
        licences = sorted({record.licence for record in _records(dataset)})
        write_text(f"{_README}Motions: {'; '.join(licences)}.\n", aside / "README.md")
    return {name: len(ids) for name, ids in splits.items()}


def _write(folder: Path, id: str, joints: np.ndarray, captions: list[str]) -> np.ndarray:
    """Write one motion, and return its features."""
    features = humanml3d.encode(joints).astype(np.float32)
    positions = humanml3d.joints_from_positions(features).astype(np.float32)
    np.save(folder / "new_joint_vecs" / f"{id}.npy", features)
    np.save(folder / "new_joints" / f"{id}.npy", positions)
    write_text("".join(map(_line, captions)), folder / "texts" / f"{id}.txt")
    return features


def _records(dataset: Dataset) -> Iterator[Record]:
    return (records[i] for records in dataset.records.values() for i in range(len(records)))


def _motions(dataset: Dataset) -> Iterator[tuple[str, np.ndarray, list[str]]]:
    """Of each motion its split, joints [t 22 3] with y up at 20 fps, and captions."""
    by_motion: dict[bytes, tuple[Record, list[str]]] = {}
    for record in tqdm(_records(dataset), desc="reading", unit="record", disable=None):
        key = hashlib.sha256(record.motion.tobytes()).digest()
        by_motion.setdefault(key, (record, []))[1].append(record.caption)
    for record, captions in by_motion.values():
        motion = resample(decode(record.motion, fps=dataset.fps), humanml3d.FPS)
        joints = np.asarray(motion.joints(), np.float64)[: LONGEST + 1] @ Y_UP_TO_Z_UP
        yield _split(record.id), joints, list(dict.fromkeys(captions))


def _split(id: str) -> str:
    """Drawn by the file's id, which ids of parts of it and of other captions begin with."""
    digest = hashlib.sha256(id.partition("#")[0].encode()).digest()
    drawn = int.from_bytes(digest[:4], "big") / 2**32
    return list(SHARES)[int(np.searchsorted(np.cumsum([*SHARES.values()])[:-1], drawn, "right"))]


def _line(caption: str) -> str:
    """A caption as in `texts/`, of all of its motion."""
    text = " ".join(caption.replace("#", " ").split())
    tokens = " ".join(f"{word}/X" for word in re.findall(r"[a-z']+", caption.lower()))
    return f"{text}#{tokens}#0.0#0.0\n"


def _statistics(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean, std = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    for part in _PARTS:
        std[part] = std[part].mean()
    return mean.astype(np.float32), std.astype(np.float32)


def main() -> None:
    """Write it, and say how many motions it has."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", help="folder of a dataset")
    parser.add_argument("out", type=Path, help="folder to write to")
    arguments = parser.parse_args()
    try:
        counts = write_stand_in(Dataset.open(arguments.dataset), arguments.out)
    except BadInput as fault:
        raise SystemExit(f"error: {fault}") from None
    print(", ".join(f"{count} motions to {split}" for split, count in counts.items()))


if __name__ == "__main__":
    main()
