"""The flag that commands share which must know what is done in each take."""

from pathlib import Path

from absl import flags

from data.augment import mirrored_actions
from eval.real_motions import read_actions

CAPTIONS_FOLDER = Path(__file__).parents[1] / "data" / "captions"
NEW_WORDINGS = CAPTIONS_FOLDER / "new_wordings.jsonl"
CAPTION_FILES = sorted(set(CAPTIONS_FOLDER.glob("*.jsonl")) - {NEW_WORDINGS})

CAPTIONS = flags.DEFINE_multi_string(
    "captions",
    [str(path) for path in CAPTION_FILES],
    "caption files that name the action of each take; of takes that are in none, captions serve",
)


def named() -> dict[str, str]:
    """The action of each take that the files name, by its id, and of their mirror images."""
    actions = read_actions(CAPTIONS.value)
    return actions | mirrored_actions(actions)
