"""Which files a bag consists of, and what its metadata.yaml tells of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import yaml
from rosbags.interfaces import Qos
from rosbags.rosbag2 import ReaderError
from rosbags.rosbag2.metadata import parse_qos

from terrain_seg_ros.core.files.regular_file import check_regular_file, read_regular_file

METADATA = "metadata.yaml"
SUFFIXES = (".mcap", ".db3")
PACKED = ".zstd"
METADATA_LIMIT_BYTES = 4 * 2**20
_STORAGES = {"mcap": ".mcap", "sqlite3": ".db3"}
_NEWEST_VERSION = 9
NESTING_LIMIT = 50
_BRACKET = re.compile(r"[\[\]{}]")
_SPLIT = re.compile(r"(_\d+)?\.(mcap|db3)(\.zstd)?$")
"""What the files of one bag, split by size or duration, have after their common name."""
_NAMED = 10
_NUMBER = re.compile(r"(\d+)")


@dataclass(frozen=True)
class BagFiles:
    """A bag's files in their order.

    `packed` says whether every message is compressed for itself. `digests` and `quality` are by
    topic and type, as the metadata has them; `message_count` is None where there is none.
    """

    paths: Sequence[Path]
    packed: bool = False
    digests: Mapping[tuple[str, str], str] = field(default_factory=dict)
    quality: Mapping[tuple[str, str], list[Qos]] = field(default_factory=dict)
    message_count: int | None = None
    notes: Sequence[str] = ()


def find_files(path: Path) -> BagFiles:
    """Return the files of a bag: a folder with or without metadata.yaml, or one file.

    Raises:
        ReaderError: the metadata is damaged, of a newer version, or none of its files is there.
        OSError: the folder cannot be read.
    """
    if path.is_file():
        return BagFiles([path])
    metadata = path / METADATA
    if not metadata.is_file():
        files = storage_files(path)
        return BagFiles(files, notes=[_without_metadata(files)])
    try:
        return _from_metadata(path, _content(metadata))
    except KeyError as error:
        raise ReaderError(f"a metadata key is missing: {error}") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise ReaderError(f"invalid bag metadata: {error}") from error


def _without_metadata(files: Sequence[Path]) -> str:
    """Return which bags a folder without metadata seems to hold."""
    bags = list(dict.fromkeys(_SPLIT.sub("", item.name) for item in files))
    if len(bags) > 1:
        more = f" and {len(bags) - _NAMED} more" if len(bags) > _NAMED else ""
        return (
            f"there is no {METADATA}, and the files look like {len(bags)} bags "
            f"({', '.join(bags[:_NAMED])}{more}), which are read as one; name one file to read it "
            "alone"
        )
    names = ", ".join(item.name for item in files)
    return f"there is no {METADATA}, as after a recorder was killed; files read: {names}"


def check_folder(folder: Path, remedy: str) -> None:
    """Check that what a bag's folder consists of are regular files.

    Raises:
        ConfigError: one is a pipe or a device, or the metadata is too large.
    """
    if (folder / METADATA).exists():
        check_regular_file(folder / METADATA, METADATA_LIMIT_BYTES, remedy=remedy)
    for file in folder.iterdir():
        if _has_storage_name(file):
            check_regular_file(file, remedy=remedy)


def storage_files(folder: Path) -> list[Path]:
    """Return the files in a folder that hold messages, in the order in which they were split."""
    return sorted((item for item in folder.iterdir() if is_storage(item)), key=_natural)


def is_storage(path: Path) -> bool:
    """Return whether a file holds messages, by its name."""
    return path.is_file() and _has_storage_name(path)


def _has_storage_name(path: Path) -> bool:
    return PurePath(path.name.removesuffix(PACKED)).suffix in SUFFIXES


def _natural(path: Path) -> list[Any]:
    parts = _NUMBER.split(path.name)
    return [int(part) if part.isdigit() else part for part in parts]


def _content(metadata: Path) -> Any:
    data = read_regular_file(metadata, METADATA_LIMIT_BYTES)
    text = data.decode("utf-8")
    if _depth(text) > NESTING_LIMIT:
        raise ReaderError(f"{METADATA} is nested more than {NESTING_LIMIT} deep")
    try:
        return yaml.safe_load(text)["rosbag2_bagfile_information"]
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise ReaderError(f"{METADATA} is not valid YAML: {reason}") from error
    except RecursionError as error:
        raise ReaderError(f"{METADATA} is nested too deeply") from error


def _depth(text: str) -> int:
    """Return how deep brackets are nested, before anything is parsed."""
    depth = deepest = 0
    for found in _BRACKET.finditer(text):
        depth += 1 if found[0] in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _from_metadata(folder: Path, content: Any) -> BagFiles:
    if content["version"] > _NEWEST_VERSION:
        raise ReaderError(f"metadata version {content['version']} is newer than {_NEWEST_VERSION}")
    if content["storage_identifier"] not in _STORAGES:
        raise ReaderError(f"storage {content['storage_identifier']!r} is not supported")
    mode = (content.get("compression_mode") or "").lower()
    if mode not in {"", "none"} and content.get("compression_format") != "zstd":
        raise ReaderError(f"compression {content.get('compression_format')!r} is not supported")
    notes = []
    wanted = [folder / PurePath(str(name)).name for name in content["relative_file_paths"]]
    paths = [item for item in wanted if item.is_file()]
    missing = [item.name for item in wanted if not item.is_file()]
    if missing and not paths:
        raise ReaderError(f"its files are missing: {missing[:3]}")
    if missing:
        notes.append(
            f"{len(missing)} of {len(wanted)} files that {METADATA} names are missing "
            f"({', '.join(missing[:3])}): their messages are lost"
        )
    digests, quality = {}, {}
    for row in content["topics_with_message_count"]:
        topic = row["topic_metadata"]
        key = (str(topic["name"]), str(topic["type"]))
        digests[key] = str(topic.get("type_description_hash", ""))
        quality[key] = _quality(topic.get("offered_qos_profiles", []), key[0], notes)
    count = int(content["message_count"])
    return BagFiles(paths, mode == "message", digests, quality, None if missing else count, notes)


def _quality(told: Any, topic: str, notes: list[str]) -> list[Qos]:
    try:
        return parse_qos(told)
    except (ReaderError, TypeError, KeyError, ValueError, AttributeError):
        notes.append(f"quality of service of {topic} in {METADATA} cannot be read")
        return []
