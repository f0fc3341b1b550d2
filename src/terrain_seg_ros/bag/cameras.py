"""Find the cameras in a bag: image topics, and the camera_info that belongs to each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple

from rosbags.interfaces import Connection

from terrain_seg_ros.bag.names import safe_names, shown
from terrain_seg_ros.bag.reader import BagReader
from terrain_seg_ros.bag.stream import negligible
from terrain_seg_ros.core.errors import ConfigError, MessageError
from terrain_seg_ros.messages.cdr import deserialize
from terrain_seg_ros.messages.encodings import camera_encoding, parse_format
from terrain_seg_ros.messages.image_message import decode_stored
from terrain_seg_ros.messages.topic_spec import Direction
from terrain_seg_ros.messages.topics import topic, topics
from terrain_seg_ros.parameters.file import NAMESPACE
from terrain_seg_ros.parameters.input_settings import MAX_CAMERAS

RAW_TYPE = topic("image").type
COMPRESSED_TYPE = topic("image/compressed").type
INFO_TYPE = topic("camera_info").type
_COMPRESSED = "/compressed"
_DEPTH_TRANSPORT = "/compressedDepth"
_DEPTH_NAMES = ("depth", "disparity")
_MEASURED_WORDS = frozenset({"range", "ranges", "distance", "distances", "disp", "confidence"})
"""Words in a topic's name that mark its 16-bit grey images as measurements."""
_TRUTH_NAMES = ("truth", "label", "segmentation", "semantic")
_LOOKED_AT = 5
"""Number of first images of a topic that are inspected."""
_PREFERRED = ("image", "image_raw", "image_color", "image_rect_color", "image_rect", "image_mono")
"""Of several forms of one camera's image the first is taken, raw before compressed."""
_NAMED_LIMIT = 20
"""Number of topics that an error names."""


class BagCamera(NamedTuple):
    """One camera of a bag; `info_topic` is None where the bag has none for it."""

    name: str
    image_topic: str
    info_topic: str | None

    @property
    def info_is_beside(self) -> bool:
        """Return whether the camera_info has the image topic's namespace, not just the type."""
        return self.info_topic in _infos_beside(self.image_topic)


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
        other_topics: images that are not a camera's, such as true masks.

    Raises:
        ConfigError: the bag has no images, or not those that were asked for.
        MessageError: the bag is damaged.
    """
    found = [item for item in reader.connections if item.msgtype in (RAW_TYPE, COMPRESSED_TYPE)]
    filled = [item for item in found if item.msgcount]
    chosen = (
        _asked_for(reader, filled, image_topics)
        if image_topics
        else _detected(reader, [item for item in filled if item.topic not in other_topics])
    )
    if len(chosen) > MAX_CAMERAS:
        options = " ".join(f"--image-topic {shown(name)}" for name in chosen[:2])
        raise ConfigError(
            f"bag '{reader.path}' has {len(chosen)} image topics that are taken as cameras, "
            f"expected at most {MAX_CAMERAS}; choose some, such as {options}"
        )
    names = _ros_names(reader, chosen) if len(chosen) > 1 else [usual_name]
    infos = {item.topic for item in reader.connections if item.msgtype == INFO_TYPE}
    return [
        BagCamera(name, image_topic, _info_topic(image_topic, infos, alone=len(chosen) == 1))
        for name, image_topic in zip(names, chosen)
    ]


def left_out_images(
    reader: BagReader, cameras: Sequence[BagCamera], other_topics: Collection[str] = ()
) -> dict[str, str]:
    """Return the image topics that are neither a camera nor another form of one, with the reason.

    Raises:
        MessageError: the bag is damaged.
    """
    taken = {camera.image_topic for camera in cameras}
    keys = {_camera_key(name) for name in taken}
    result = {}
    for item in reader.connections:
        is_image = item.msgtype in (RAW_TYPE, COMPRESSED_TYPE) and item.msgcount
        if not is_image or item.topic in taken or item.topic in other_topics:
            continue
        if _is_output(item.topic):
            if not item.topic.startswith(f"{NAMESPACE}/"):
                result[item.topic] = (
                    "it has the name of an output of this node; select it with --image-topic"
                )
            continue
        why = _why_no_camera(reader, item)
        if why:
            result[item.topic] = why
        elif _is_truth(item.topic):
            result[item.topic] = "its name says truth or labels; select it with --image-topic"
        elif _camera_key(item.topic) not in keys:
            result[item.topic] = "not asked for" if cameras else "one of too many"
    return result


def _asked_for(
    reader: BagReader, filled: Iterable[Connection], image_topics: Sequence[str]
) -> list[str]:
    there = {item.topic: item for item in filled}
    for name in image_topics:
        if name not in there:
            raise ConfigError(
                f"bag '{reader.path}' has no images on {name!r}, expected one of {sorted(there)}; "
                "give the full name with its slash"
            )
        why = _why_no_content(reader, there[name])
        if why:
            raise ConfigError(f"images on {name!r} cannot be a camera's: {why}")
    return list(dict.fromkeys(image_topics))


def _detected(reader: BagReader, filled: Sequence[Connection]) -> list[str]:
    candidates = [item for item in filled if not _is_output(item.topic)]
    reasons = {item.topic: _why_no_camera(reader, item) for item in candidates}
    usable = [item for item in candidates if not reasons[item.topic]]
    usable = [item for item in usable if not _is_truth(item.topic)] or usable
    if not usable:
        told = "; ".join(f"{name}: {why}" for name, why in list(reasons.items())[:_NAMED_LIMIT])
        raise ConfigError(
            f"bag '{reader.path}' has no camera images, but {_what_there_is(reader)}; record a "
            f"topic of type {RAW_TYPE} or {COMPRESSED_TYPE}{f' ({told})' if told else ''}"
        )
    best: dict[str, str] = {}
    for item in sorted(usable, key=_rank):
        best.setdefault(_camera_key(item.topic), item.topic)
    for key, name in best.items():
        best[key] = _fuller_form(reader, name, {item.topic: item.msgcount for item in usable})
    return sorted(best.values())


def _fuller_form(reader: BagReader, name: str, counts: Mapping[str, int]) -> str:
    """Return a raw image topic, or its compressed form where clearly more images are in that."""
    other = f"{name}{_COMPRESSED}"
    raw, packed = counts[name], counts.get(other, 0)
    if raw >= packed - negligible(packed):
        return name
    reader.notes.append(
        f"{shown(other)} is taken, as it has {packed} images and {shown(name)} only {raw}; "
        "--image-topic chooses"
    )
    return other


def _what_there_is(reader: BagReader) -> str:
    rows = sorted(f"{c.topic} ({c.msgcount} x {c.msgtype})" for c in reader.connections)
    more = [f"{len(rows) - _NAMED_LIMIT} more topics"] if len(rows) > _NAMED_LIMIT else []
    return ", ".join([*rows[:_NAMED_LIMIT], *more]) or "no topic at all"


def _is_output(name: str) -> bool:
    """Return whether a topic has the name of one of our images, in any namespace or transport."""
    parts = name.split("/")
    outputs = {spec.name for spec in topics(Direction.OUT) if spec.type == RAW_TYPE}
    return not outputs.isdisjoint(parts[-2:])


def _is_truth(name: str) -> bool:
    """Return whether a topic has the name of a mask of class ids, not of a camera."""
    return any(word in name.lower() for word in _TRUTH_NAMES)


def _why_no_camera(reader: BagReader, connection: Connection) -> str:
    """Return why a topic's images are not a camera's, by name and content; empty if they may be."""
    why = _why_no_content(reader, connection)
    if why:
        return why
    parts = connection.topic.lower().strip("/").split("/")
    if any(part in _DEPTH_NAMES or part.startswith("aligned_depth") for part in parts):
        return "its name says depth; select it with --image-topic"
    named = any(name in part for part in parts for name in _DEPTH_NAMES)
    if named and _is_grey(reader, connection):
        return "its name says depth and it is grey; select it with --image-topic"
    words = {word for part in parts for word in part.split("_")} & _MEASURED_WORDS
    if words and _is_grey(reader, connection, bytes_per_channel=2):
        return (
            f"its name contains {min(words)!r} and it is 16-bit grey; select it with --image-topic"
        )
    return ""


def _why_no_content(reader: BagReader, connection: Connection) -> str:
    """Return why the first readable images are not a camera's; empty where one may be."""
    if connection.topic.endswith(_DEPTH_TRANSPORT):
        return "compressed depth is not a camera image"
    found = ""
    for message in _first(reader, connection):
        try:
            if connection.msgtype == RAW_TYPE:
                camera_encoding(str(message.encoding))
            else:
                parse_format(str(message.format))
        except MessageError as error:
            found = str(error)
            continue
        return ""
    return found


def _is_grey(reader: BagReader, connection: Connection, *, bytes_per_channel: int = 0) -> bool:
    """Return whether the first decodable image of a topic has one channel, of any size."""
    layouts = (_layout(message) for message in _first(reader, connection))
    channels, size = next((item for item in layouts if item is not None), (0, 0))
    return channels == 1 and bytes_per_channel in {0, size}


def _layout(message: Any) -> tuple[int, int] | None:
    """Return channels and bytes per channel of an image, None where it cannot be decoded."""
    try:
        if hasattr(message, "encoding"):
            encoding = camera_encoding(str(message.encoding))
            return encoding.channels, encoding.bytes_per_channel
        stored = decode_stored(message)
        return (1 if stored.ndim == 2 else 3), stored.itemsize
    except MessageError:
        return None


def _first(reader: BagReader, connection: Connection) -> Iterator[Any]:
    """Yield the first images of a topic, those that can be read at all."""
    for item in islice(reader.messages([connection]), _LOOKED_AT):
        with suppress(MessageError):
            yield deserialize(item.data, connection.msgtype)


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


def _ros_names(reader: BagReader, image_topics: Sequence[str]) -> list[str]:
    """Return the cameras' names as ROS allows them, and note which are not as in the topic."""
    named = _names(image_topics)
    names = safe_names(named)
    renamed = [
        f"{name} stands for {shown(topic_name)}"
        for old, name, topic_name in zip(named, names, image_topics)
        if old != name
    ]
    if renamed:
        reader.notes.append(
            "cameras get names of A-Z, a-z, 0-9 and _ that are not long, as ROS needs: "
            + ", ".join(renamed)
        )
    return names


def _infos_beside(image_topic: str) -> tuple[str, str]:
    return f"{_parent(image_topic)}/camera_info", f"{_base(image_topic)}/camera_info"


def _info_topic(image_topic: str, infos: set[str], *, alone: bool) -> str | None:
    for name in _infos_beside(image_topic):
        if name in infos:
            return name
    return next(iter(infos)) if alone and len(infos) == 1 else None
