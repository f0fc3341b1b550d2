"""What a bag lacks for a replay, and the line of a parameter file or the option that helps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from terrain_seg_ros.bag.dry_node import CameraTally
from terrain_seg_ros.bag.own_topics import own_outputs
from terrain_seg_ros.bag.plan import image_folder
from terrain_seg_ros.bag.stream import negligible
from terrain_seg_ros.bag.survey import LEFT_OUT, BagSurvey, TopicRow
from terrain_seg_ros.bag.work import ASSUMPTION
from terrain_seg_ros.doctor.bag_cameras import camera_findings
from terrain_seg_ros.doctor.finding import Finding, State
from terrain_seg_ros.messages.topic_spec import Group
from terrain_seg_ros.messages.topics import topic
from terrain_seg_ros.runtime.health import Note, Refusal
from terrain_seg_ros.runtime.health_report import note_line

TOPIC_LIMIT = 60
"""Topics in the table; those that are only copied come last."""
NOTES = {
    Note.ODD_STAMP: "time",
    Note.TIME_JUMP: "time",
    Note.POSE_JUMP: "TF",
    Note.FRAME_SLASH: "TF",
}
"""Notes that concern the whole bag; the others belong to a camera or to depth."""
CHANGES_NAMED = 5
CELL_WIDTH = 80
LARGE_OUTPUT_BYTES = 10 * 2**30
TOPIC_HEAD = ("topic", "type", "messages", "Hz", "longest gap s", "form", "use")


def bag_findings(survey: BagSurvey) -> list[Finding]:
    """Return what a replay of a bag would find, in the order in which it matters."""
    found = [*_bag(survey)]
    if survey.no_camera:
        return [*found, Finding("camera", State.MISSING, survey.no_camera, _image_topic(survey))]
    for tally in survey.cameras.values():
        found += camera_findings(tally, survey)
    found += [*_shared(survey), *_depth(survey), *_work(survey)]
    return [*found, _result(survey)]


def topic_rows(survey: BagSurvey) -> list[tuple[str, ...]]:
    """Return the table of the bag's topics, with `TOPIC_HEAD`; of many only the first."""
    rows = [_topic_row(item) for item in survey.topics[:TOPIC_LIMIT]]
    rest = len(survey.topics) - TOPIC_LIMIT
    if rest > 0:
        rows.append((f"and {rest} more", *[""] * (len(TOPIC_HEAD) - 1)))
    return rows


def bag_json(survey: BagSurvey) -> dict[str, Any]:
    """Return the figures of a survey, ready for JSON."""
    work = survey.work
    return {
        "path": str(survey.path),
        "size_bytes": survey.size_bytes,
        "duration_s": survey.duration_s,
        "read_share": survey.read_share,
        "topics": [_topic_json(item) for item in survey.topics],
        "cameras": {name: _camera_json(item) for name, item in survey.cameras.items()},
        "frames": dict(survey.parents),
        "refused": {reason.value: count for reason, count in survey.health.refused.items()},
        "work": None
        if work is None
        else {
            "images": work.images,
            "pixels": work.pixels,
            "network_pixels": work.network_pixels,
            "seconds": work.seconds,
            "output_bytes": dict(work.output_bytes),
        },
    }


def _bag(survey: BagSurvey) -> Iterator[Finding]:
    count = sum(item.count for item in survey.topics)
    detail = (
        f"{survey.path.absolute().name}: {survey.duration_s:.1f} s, {count} messages on "
        f"{len(survey.topics)} topics, {_size(survey.size_bytes)}"
    )
    yield Finding("bag", State.USABLE, detail)
    yield from (Finding("bag", State.DOUBTFUL, note) for note in survey.notes)
    for kind, (times, text) in survey.defects.items():
        yield Finding("bag", State.DOUBTFUL, f"{times} x {kind}, last: {text}")
    if survey.stopped_early and survey.read_share < 1.0:
        detail = f"only the first {survey.read_share:.0%} of the messages were read"
        yield Finding("bag", State.DOUBTFUL, detail, "--whole reads the rest too")
    elif survey.read_share < 1.0:
        lost = count - round(survey.read_share * count)
        detail = f"{lost} of {count} messages that the bag's index counts are not in its data"
        yield Finding("bag", State.DOUBTFUL, f"{detail}: they are lost", "copy the bag again")


def _image_topic(survey: BagSurvey) -> str:
    left = [item.name for item in survey.topics if "--image-topic" in item.use]
    return f"if it is a camera's after all: --image-topic {left[0]}" if left else ""


def _shared(survey: BagSurvey) -> Iterator[Finding]:
    """Yield what concerns no camera alone."""
    health = survey.health
    bad = health.refused.get(Refusal.BAD_TRANSFORM, 0)
    if bad:
        text = health.refusal_texts.get(Refusal.BAD_TRANSFORM, "")
        yield Finding("TF", State.DOUBTFUL, f"{bad} bad transforms, the last: {text}")
    for frame, text in islice(survey.static_changes.items(), CHANGES_NAMED):
        detail = f"{topic('/tf_static').name} places {frame!r} {text}"
        remedy = "each holds from when it was recorded: check which is right, and publish one only"
        yield Finding("TF", State.DOUBTFUL, detail, remedy)
    malformed = health.refused.get(Refusal.BAD_IMAGE, 0) - sum(
        tally.refused[Refusal.BAD_IMAGE] for tally in survey.cameras.values()
    )
    if malformed:
        text = health.refusal_texts.get(Refusal.BAD_IMAGE, "")
        yield Finding("images", State.DOUBTFUL, f"{malformed} malformed, the last: {text}")
    for note, item in NOTES.items():
        if note in health.notes:
            yield Finding(item, State.DOUBTFUL, note_line(health, note))


def _depth(survey: BagSurvey) -> Iterator[Finding]:
    settings = survey.parameters.depth
    used = [item.name for item in survey.topics if item.use == Group.GROUND.value]
    ours = own_outputs((item.name, item.type) for item in survey.topics)
    measured = [item for item in survey.topics if _measures(item) and item.name not in ours]
    if settings.source == "none":
        lines = {item.name: _use_depth(item, survey) for item in measured}
        name = next((name for name, line in lines.items() if line), next(iter(lines), ""))
        if name:
            detail = f"the ground is taken as a plane; {name} may measure it"
            yield Finding("depth", State.ABSENT, detail, lines[name])
        return
    needed = survey.parameters.pipeline.ground.source == "depth"
    if not used:
        state = State.MISSING if needed else State.DOUBTFUL
        there = ", ".join(item.name for item in measured[:5]) or "none"
        yield Finding(
            "depth",
            state,
            f"no topic {settings.topic!r} of depth.source {settings.source} beside the images; "
            f"topics that may measure the ground: {there}",
            "set depth.topic to the last part of its name, or depth: {source: none}",
        )
        return
    health = survey.health
    bad, none = health.refused.get(Refusal.BAD_DEPTH, 0), health.notes.get(Note.NO_DEPTH, 0)
    text = health.refusal_texts.get(Refusal.BAD_DEPTH, "")
    if bad or none:
        detail = f"{', '.join(used)}: {none} of the images looked at have none within "
        detail += f"depth.max_offset_s, {bad} cannot be used{f', the last: {text}' if text else ''}"
        yield Finding("depth", State.DOUBTFUL, detail, "check its stamps, size and frame")
    else:
        yield Finding("depth", State.USABLE, ", ".join(used))


def _use_depth(item: TopicRow, survey: BagSurvey) -> str:
    """Return the line that makes a topic measure the ground; empty where no name reaches it."""
    source = "image" if item.type == topic("depth").type else "cloud"
    for tally in survey.cameras.values():
        folder = f"{image_folder(tally.camera.image_topic)}/"
        if item.name.startswith(folder):
            name = item.name.removeprefix(folder)
            return f"optional, for --params: `depth: {{source: {source}, topic: {name}}}`"
    if source == "cloud":
        name = item.name.rpartition("/")[2]
        return f"optional, for --params: `depth: {{source: cloud, topic: {name}}}`"
    return ""


def _measures(item: TopicRow) -> bool:
    """Return whether a topic may measure the ground: a cloud, or an image left out as depth."""
    if item.type == topic("cloud").type:
        return bool(item.count)
    return (
        item.type == topic("depth").type and item.use.startswith(LEFT_OUT) and "depth" in item.use
    )


def _work(survey: BagSurvey) -> Iterator[Finding]:
    work = survey.work
    if work is None or not work.images:
        return
    total = sum(work.output_bytes.values())
    largest = ", ".join(f"{name} {_size(n)}" for name, n in list(work.output_bytes.items())[:3])
    detail = (
        f"{work.images} images, {work.pixels / 1e6:.1f} megapixels, about {_time(work.seconds)} "
        f"({ASSUMPTION}); adds up to {_size(total)} before compression, most of it {largest}"
    )
    heavy = total > LARGE_OUTPUT_BYTES
    skip = " ".join(f"--skip {name}" for name in list(work.output_bytes)[:2])
    yield Finding(
        "work", State.USABLE, detail, f"to write less, replay with {skip}" if heavy else ""
    )


def _result(survey: BagSurvey) -> Finding:
    tallies = survey.cameras.values()
    images = survey.health.images_in
    masks, grids = sum(t.masks for t in tallies), sum(t.grids for t in tallies)
    parts = " that were read" if survey.stopped_early else ""
    detail = f"a replay would give {masks} masks and {grids} grids of {images} images{parts}"
    useless = [name for name, tally in survey.cameras.items() if not tally.grids]
    if useless:
        detail += f"; no grid from {', '.join(useless)}"
        return Finding("replay", State.MISSING, detail, _without(survey, useless))
    lost = images - grids
    return Finding("replay", State.DOUBTFUL if lost > negligible(images) else State.USABLE, detail)


def _without(survey: BagSurvey, useless: list[str]) -> str:
    """Return how to replay the other cameras alone; empty where there are none."""
    topics = [t.camera.image_topic for name, t in survey.cameras.items() if name not in useless]
    options = " ".join(f"--image-topic {name}" for name in topics)
    return f"to leave {', '.join(useless)} out: {options}" if topics else ""


def _topic_row(item: TopicRow) -> tuple[str, ...]:
    stream = item.stream
    rate = f"{stream.rate_hz:.1f}" if stream.rate_hz else "-"
    gap = f"{stream.longest_gap_ns / 1e9:.2f}" if stream.longest_gap_ns else "-"
    cells = (item.name, item.type, str(item.count), rate, gap, ", ".join(stream.forms), item.use)
    return tuple(_cut(cell) for cell in cells)


def _cut(text: str) -> str:
    return text if len(text) <= CELL_WIDTH else f"{text[: CELL_WIDTH - 3]}..."


def _topic_json(item: TopicRow) -> dict[str, Any]:
    stream = item.stream
    return {
        "name": item.name,
        "type": item.type,
        "messages": item.count,
        "use": item.use,
        "rate_hz": stream.rate_hz,
        "longest_gap_s": stream.longest_gap_ns / 1e9,
        "forms": dict(stream.forms),
        "frames": dict(stream.frames),
    }


def _camera_json(tally: CameraTally) -> dict[str, Any]:
    stream = tally.stream
    return {
        "image_topic": tally.camera.image_topic,
        "camera_info_topic": tally.camera.info_topic,
        "images": tally.images,
        "masks": tally.masks,
        "grids": tally.grids,
        "refused": {reason.value: count for reason, count in tally.refused.items()},
        "refusal_texts": {reason.value: text for reason, text in tally.texts.items()},
        "zero_stamps": stream.zero_stamps,
        "swapped_stamps": stream.swapped_stamps,
        "delay_s": None if stream.delays_ns is None else [ns / 1e9 for ns in stream.delays_ns],
    }


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
