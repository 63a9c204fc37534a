"""The flags that commands share which must know what is done in each take, or asked for."""

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
    "caption files that name the action of each take; of takes that are in none, what the dataset "
    "says of them, or if it says nothing of any, their captions",
)


def define_sentences() -> flags.FlagHolder[str]:
    """Give a command `--sentences`; `eval.model.read_sentences` reads the file."""
    return flags.DEFINE_string(
        "sentences",
        str(NEW_WORDINGS),
        "JSON lines of sentences not trained on, with their actions",
    )


def named() -> dict[str, str]:
    """The action of each take that the files name, by its id, and of their mirror images."""
    actions = read_actions(CAPTIONS.value)
    return actions | mirrored_actions(actions)
