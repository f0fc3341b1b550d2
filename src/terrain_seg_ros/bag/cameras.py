"""Find the cameras in a bag: image topics, and the camera_info that belongs to each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from rosbags.interfaces import Connection

from terrain_seg_ros.bag.reader import BagReader
from terrain_seg_ros.core.errors import ConfigError, MessageError
from terrain_seg_ros.messages.cdr import deserialize
from terrain_seg_ros.messages.image_message import ENCODINGS
from terrain_seg_ros.messages.interfaces import Direction, topic, topics

RAW_TYPE = topic("image").type
COMPRESSED_TYPE = topic("image/compressed").type
INFO_TYPE = topic("camera_info").type
_COMPRESSED = "/compressed"
_DEPTH = "compressedDepth"
_OUTPUTS = frozenset(spec.name for spec in topics(Direction.OUT) if spec.type == RAW_TYPE)
_PREFERRED = ("image", "image_raw", "image_color", "image_rect_color", "image_rect", "image_mono")
"""Of several forms of one camera's image the first is taken, raw before compressed."""
_NAMED_LIMIT = 20
"""Topics that an error names."""


class BagCamera(NamedTuple):
    """Hold one camera of a bag; `info_topic` is None where the bag has none for it."""

    name: str
    image_topic: str
    info_topic: str | None


def find_cameras(
    reader: BagReader,
    usual_name: str,
    *,
    image_topics: Sequence[str] = (),
    other_topics: Collection[str] = (),
) -> list[BagCamera]:
    """Return the cameras of a bag.

    Args:
        reader: an open bag.
        usual_name: of the camera, where there is only one.
        image_topics: take these and no others; empty finds them.
        other_topics: images that are no camera's, such as true masks.

    Raises:
        ConfigError: the bag has no images, or not those that were asked for.
        MessageError: the bag is damaged.
    """
    found = [item for item in reader.connections if item.msgtype in (RAW_TYPE, COMPRESSED_TYPE)]
    filled = [item for item in found if item.msgcount]
    asked = bool(image_topics)
    chosen = (
        _asked_for(reader, filled, image_topics)
        if asked
        else _detected(reader, [item for item in filled if item.topic not in other_topics])
    )
    names = _names(chosen) if len(chosen) > 1 else [usual_name]
    infos = {item.topic for item in reader.connections if item.msgtype == INFO_TYPE}
    return [
        BagCamera(name, image_topic, _info_topic(image_topic, infos, alone=len(chosen) == 1))
        for name, image_topic in zip(names, chosen)
    ]


def _asked_for(
    reader: BagReader, filled: Iterable[Connection], image_topics: Sequence[str]
) -> list[str]:
    there = {item.topic for item in filled}
    for name in image_topics:
        if name not in there:
            raise ConfigError(
                f"bag '{reader.path}' has no images on {name!r}, expected one of {sorted(there)}; "
                "give the full name with its slash"
            )
    return list(dict.fromkeys(image_topics))


def _detected(reader: BagReader, filled: Sequence[Connection]) -> list[str]:
    candidates = [item for item in filled if not _is_output(item.topic)]
    if not candidates:
        raise ConfigError(
            f"bag '{reader.path}' has no camera images, but {_what_there_is(reader)}; record a "
            f"topic of type {RAW_TYPE} or {COMPRESSED_TYPE}"
        )
    readable = [item for item in candidates if _is_readable(reader, item)]
    best: dict[str, str] = {}
    for item in sorted(readable or candidates, key=_rank):
        best.setdefault(_camera_key(item.topic), item.topic)
    return sorted(best.values())


def _what_there_is(reader: BagReader) -> str:
    rows = sorted(f"{c.topic} ({c.msgcount} x {c.msgtype})" for c in reader.connections)
    more = [f"{len(rows) - _NAMED_LIMIT} more topics"] if len(rows) > _NAMED_LIMIT else []
    return ", ".join([*rows[:_NAMED_LIMIT], *more]) or "no topic at all"


def _is_output(name: str) -> bool:
    """Say whether a topic is called like one of our pictures, in any namespace or transport."""
    parts = name.split("/")
    return bool(_OUTPUTS.intersection(parts[-2:]))


def _is_readable(reader: BagReader, connection: Connection) -> bool:
    """Say whether a topic's first image is a picture; depth maps are not."""
    if connection.topic.endswith(_DEPTH):
        return False
    first = next(reader.messages([connection]), None)
    if first is None:
        return False
    try:
        message = deserialize(first.data, connection.msgtype)
    except MessageError:
        return True
    if connection.msgtype == RAW_TYPE:
        return message.encoding in ENCODINGS
    return _DEPTH not in message.format


def _base(name: str) -> str:
    return name.removesuffix(_COMPRESSED)


def _parent(name: str) -> str:
    return _base(name).rpartition("/")[0]


def _camera_key(name: str) -> str:
    """Return what all forms of one camera's image have in common."""
    base = _base(name)
    is_form = base.rpartition("/")[2].startswith("image")
    return _parent(name) if is_form else base


def _rank(connection: Connection) -> tuple[int, bool, str]:
    last = _base(connection.topic).rpartition("/")[2]
    place = _PREFERRED.index(last) if last in _PREFERRED else len(_PREFERRED)
    return place, connection.msgtype == COMPRESSED_TYPE, connection.topic


def _names(image_topics: Sequence[str]) -> list[str]:
    """Return the shortest ends of the topics' paths that tell the cameras apart."""
    keys = [_camera_key(name) for name in image_topics]
    if len(set(keys)) < len(keys):
        keys = [_base(name) for name in image_topics]
    if len(set(keys)) < len(keys):
        keys = list(image_topics)
    paths = [key.strip("/").split("/") for key in keys]
    names: list[str] = []
    for length in range(1, max(map(len, paths)) + 1):
        names = ["/".join(path[-length:]) or "camera" for path in paths]
        if len(set(names)) == len(names):
            break
    return names


def _info_topic(image_topic: str, infos: set[str], *, alone: bool) -> str | None:
    for name in (f"{_parent(image_topic)}/camera_info", f"{_base(image_topic)}/camera_info"):
        if name in infos:
            return name
    return next(iter(infos)) if alone and len(infos) == 1 else None
