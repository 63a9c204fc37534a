"""The manifest of a dataset: what `DatasetWriter` says of the files beside it, read and checked."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from etils import epath

from vimogen_jax.errors import BadInput
from vimogen_jax.files import parse_json
from vimogen_jax.input_pipeline.records import READABLE, SCHEMA_VERSION

MANIFEST = "manifest.json"


def parse_manifest(text: str, path: epath.PathLike) -> dict[str, Any]:
    """The manifest that a text holds.

    Raises:
        BadInput: it is none, is of another schema version, or lists files outside its folder.
            `path` is named.
    """
    try:
        manifest = parse_json(text)
    except BadInput as fault:
        raise BadInput(f"{path} is {fault}") from None
    try:
        version = manifest["schema_version"]
        if version in READABLE:
            _check(manifest)
    except (TypeError, KeyError, ValueError, AttributeError):
        raise BadInput(f"{path} is not the manifest of a dataset") from None
    if version not in READABLE:
        raise BadInput(
            f"{path} has schema version {version}, but this version of vimogen_jax reads "
            f"{SCHEMA_VERSION}; build the dataset again"
        )
    for name in file_names(manifest):
        if PurePath(name).name != name or name in ("", ".."):
            raise BadInput(f"{path} lists {name!r}, which is no file of its folder")
    return manifest


def file_names(manifest: Mapping[str, Any]) -> list[str]:
    """The files of a dataset, but for the manifest."""
    shards = [shard for split in manifest["splits"].values() for shard in split["shards"]]
    return [*manifest["crc32"], *(shard["file"] for shard in shards)]


def _check(manifest: Mapping[str, Any]) -> None:
    """Raise an error where what is read later is not there, or of another type."""
    shards = [shard for split in manifest["splits"].values() for shard in split["shards"]]
    encoder = manifest["text_encoder"]
    texts = [*file_names(manifest), encoder["name"], encoder["revision"]]
    texts += manifest["splits"]["train"].get("licences", [])
    counts = [
        manifest["max_text_length"],
        manifest.get("path_points", 0),
        encoder["width"],
        *manifest["crc32"].values(),
    ]
    counts += [shard[key] for shard in shards for key in ("bytes", "records")]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError
    if not all(type(count) is int and count >= 0 for count in counts):
        raise TypeError
    if type(manifest["fps"]) not in (int, float) or not manifest["fps"] > 0:
        raise ValueError
