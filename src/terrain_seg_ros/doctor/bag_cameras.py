"""What the images of one camera in a bag lack: intrinsics, transforms, stamps, pixels."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator

from terrain_seg_ros.bag.cameras import INFO_TYPE
from terrain_seg_ros.bag.dry_node import MOTION, MOUNTING, CameraTally
from terrain_seg_ros.bag.stream import negligible
from terrain_seg_ros.bag.survey import BagSurvey
from terrain_seg_ros.doctor.finding import Finding, State
from terrain_seg_ros.messages.topics import topic
from terrain_seg_ros.runtime.health import Note, Refusal

GAP_S = 1.0
LATE_S = 1.0
"""Longer gaps, and stamps further from the time of recording, are told."""
FRAMES_NAMED = 12
ODOMETRY_TYPE = "nav_msgs/msg/Odometry"
FIELD_OF_VIEW = "measure the lens and set horizontal_fov_rad, such as `horizontal_fov_rad: 1.05`"
STATIC_MOUNTING = (
    "`mounting: {use_tf: false, x_m: 0.2, z_m: 1.5, pitch_rad: 0.3}` with your camera's pose"
)
_USUAL_BASES = ("base_link", "base_footprint", "chassis", "rover", "base")
_USUAL_GRIDS = ("odom", "map", "world")


def camera_findings(tally: CameraTally, survey: BagSurvey) -> Iterator[Finding]:
    """Yield what is there and what is missing for one camera."""
    yield _images(tally)
    yield from _refused(tally, Refusal.BAD_IMAGE, "images", tally.masks)
    yield from _bits(tally, survey)
    yield from _intrinsics(tally, survey)
    yield from _transforms(tally, survey)
    yield from _stamps(tally)
    if tally.grids and not tally.sees_ground:
        text = survey.health.note_texts.get(Note.NO_GROUND, "")
        yield Finding(f"{tally.camera.name} view", State.DOUBTFUL, text)
    if Note.NO_GROUND in survey.health.notes and not tally.grids and not tally.sees_ground:
        text = survey.health.note_texts.get(Note.NO_GROUND, "")
        yield Finding(f"{tally.camera.name} view", State.MISSING, text or Note.NO_GROUND.value)
    yield from _refused(tally, Refusal.GEOMETRY, "view", tally.grids)
    rolled = survey.health.remarks.get(f"frame of {tally.camera.name}")
    if rolled:
        yield Finding(f"{tally.camera.name} view", State.DOUBTFUL, rolled)


def _state(tally: CameraTally, count: int, *, remaining: int) -> State:
    """Return how bad it is that `count` images are lost and `remaining` are not."""
    if not remaining:
        return State.MISSING
    return State.DOUBTFUL if count > negligible(tally.images) else State.USABLE


def _images(tally: CameraTally) -> Finding:
    camera, stream = tally.camera, tally.stream
    forms = ", ".join(stream.forms) or "unknown form"
    detail = f"{camera.image_topic}: {stream.count} images read, {forms}, {stream.rate_hz:.1f} Hz"
    gap_s = stream.longest_gap_ns / 1e9
    if gap_s > max(GAP_S, 5.0 / max(stream.rate_hz, 1e-6)):
        at_s = (stream.gap_at_ns - stream.first_ns) / 1e9
        detail += f"; none for {gap_s:.1f} s after {at_s:.1f} s"
    if len(stream.forms) > 1:
        remedy = "one camera per topic: record others apart, or name one with --image-topic"
        return Finding(f"{camera.name}", State.DOUBTFUL, detail, remedy)
    return Finding(camera.name, State.USABLE, detail)


def _refused(tally: CameraTally, reason: Refusal, item: str, remaining: int) -> Iterator[Finding]:
    count = tally.refused[reason]
    if count:
        detail = f"{count} of {tally.images} images: {tally.texts[reason]}"
        state = _state(tally, count, remaining=remaining)
        yield Finding(f"{tally.camera.name} {item}", state, detail)


def _bits(tally: CameraTally, survey: BagSurvey) -> Iterator[Finding]:
    text = survey.health.remarks.get(f"images of {tally.camera.name}")
    if text:
        is_dark = "darkness" in text
        remedy = "check exposure and lens cap" if is_dark else "such as `image_bits: 12`"
        yield Finding(f"{tally.camera.name} bits", State.DOUBTFUL, text, remedy)


def _intrinsics(tally: CameraTally, survey: BagSurvey) -> Iterator[Finding]:
    item = f"{tally.camera.name} lens"
    fov_rad = survey.parameters.input.horizontal_fov_rad
    info = tally.camera.info_topic
    if tally.bad_infos and not tally.infos:
        state = State.DOUBTFUL if fov_rad else State.MISSING
        detail = f"{info} cannot be used: {tally.info_text}"
        yield Finding(item, state, detail, f"mend it, or: {FIELD_OF_VIEW}")
    elif tally.infos:
        yield from _lens(tally, item)
    elif fov_rad:
        detail = f"no camera_info: horizontal_fov_rad {fov_rad:g} is assumed, without distortion"
        yield Finding(item, State.DOUBTFUL, detail)
    else:
        others = [row.name for row in survey.topics if row.type == INFO_TYPE and row.count]
        there = f"; the bag has {', '.join(others[:5])}" if others else ""
        where = f"on {info}" if info else f"beside {tally.camera.image_topic}"
        yield Finding(
            item,
            State.MISSING,
            f"no camera_info {where}{there}",
            f"record {_beside(tally.camera.image_topic)}, or: {FIELD_OF_VIEW}",
        )
    yield from _refused(tally, Refusal.SIZE_MISMATCH, "lens", tally.grids)
    missing = tally.refused[Refusal.NO_CAMERA_INFO]
    if missing and tally.infos:
        yield from _refused(tally, Refusal.NO_CAMERA_INFO, "lens", tally.grids)


def _lens(tally: CameraTally, item: str) -> Iterator[Finding]:
    detail = f"{tally.camera.info_topic}"
    if tally.lens is not None:
        field_rad = 2.0 * math.atan(tally.lens.width_px / 2.0 / tally.lens.fx_px)
        detail += (
            f": {tally.lens.width_px}x{tally.lens.height_px}, about {field_rad:.2f} rad "
            f"({math.degrees(field_rad):.0f} degrees) wide, distortion "
            f"{tally.lens.distortion_model}"
        )
    if tally.camera.info_is_beside:
        yield Finding(item, State.USABLE, detail)
    else:
        remedy = f"check that it is of this camera; if not, {FIELD_OF_VIEW}"
        only = "it is the only camera_info, but not beside the images"
        yield Finding(item, State.DOUBTFUL, f"{detail}; {only}", remedy)
    if tally.bad_infos:
        detail = f"{tally.bad_infos} of {tally.infos + tally.bad_infos} camera_info cannot be used"
        yield Finding(item, State.DOUBTFUL, f"{detail}; {tally.info_text}")
    elif tally.info_text:
        yield Finding(item, State.DOUBTFUL, tally.info_text)


def _beside(image_topic: str) -> str:
    return f"{image_topic.removesuffix('/compressed').rpartition('/')[0]}/camera_info"


def _transforms(tally: CameraTally, survey: BagSurvey) -> Iterator[Finding]:
    settings = survey.parameters
    base, grid = settings.pipeline.ground.base_frame, settings.pipeline.grid.frame_id
    frame = next(iter(tally.stream.frames), "")
    item = f"{tally.camera.name} TF"
    if not settings.mounting.use_tf:
        at = settings.mounting
        detail = (
            f"mounting as given, not from TF: x {at.x_m:g}, y {at.y_m:g}, z {at.z_m:g} m, pitch "
            f"{at.pitch_rad:g} rad in {base}"
        )
        yield Finding(item, State.USABLE, detail)
    elif not frame:
        yield Finding(item, State.MISSING, "the images' frame_id is empty", _no_frame(survey))
    elif MOUNTING in tally.lacking:
        yield _lacking(tally, MOUNTING, _mounting_remedy(frame, base, survey))
    elif tally.masks:
        yield Finding(item, State.USABLE, f"{base} to {frame} at the images' stamps")
    if Note.FIXED_POSE in survey.health.notes and not tally.lacking:
        detail = f"none from {grid} to {base}: the vehicle is assumed to stand still"
        yield Finding(item, State.DOUBTFUL, detail, _motion_remedy(grid, base, survey))
    elif MOTION in tally.lacking:
        if MOUNTING not in tally.lacking or base in _frames(survey):
            yield _lacking(tally, MOTION, _motion_remedy(grid, base, survey))
    elif tally.grids or (tally.masks and settings.mounting.use_tf):
        yield Finding(item, State.USABLE, f"{grid} to {base} at the images' stamps")


def _lacking(tally: CameraTally, what: str, remedy: str) -> Finding:
    count, text = tally.lacking[what]
    state = _state(tally, count, remaining=tally.grids)
    detail = f"{what}: {count} of {tally.images} images lack it: {text}"
    return Finding(f"{tally.camera.name} TF", state, detail, remedy)


def _no_frame(survey: BagSurvey) -> str:
    known = _frames(survey)
    return f"let the driver name the optical frame ({_named(known)}), or {STATIC_MOUNTING}"


def _mounting_remedy(frame: str, base: str, survey: BagSurvey) -> str:
    """Return what connects a camera with the vehicle."""
    known = _frames(survey)
    if not known:
        return f"the bag has no TF: record /tf_static, or {STATIC_MOUNTING}"
    if base not in known:
        if base in survey.recorded_frames:
            return _gone(base, survey)
        return _rename("base_frame", base, known, _USUAL_BASES)
    if frame not in known:
        if frame.lstrip("/") in survey.recorded_frames:
            return _gone(frame.lstrip("/"), survey)
        near = difflib.get_close_matches(frame, known, n=2)
        like = f" (TF has {', '.join(near)})" if near else ""
        return f"publish {base} to {frame!r} on /tf_static{like}, or {STATIC_MOUNTING}"
    return f"publish what connects {frame!r} with {base!r}, or {STATIC_MOUNTING}"


def _motion_remedy(grid: str, base: str, survey: BagSurvey) -> str:
    """Return what tells where the vehicle is."""
    known = _frames(survey)
    odometry = [row.name for row in survey.topics if row.type == ODOMETRY_TYPE and row.count]
    also = f"; {odometry[0]} is not read, only TF is: let it be sent as TF too" if odometry else ""
    is_moving = bool(odometry) or grid in known
    stands = "" if is_moving else f"; for a vehicle that stands still: {STATIC_MOUNTING}"
    for name in (grid, base):
        if name not in known and name in survey.recorded_frames:
            return _gone(name, survey) + also
    if not known:
        return f"record /tf, with {grid} to {base}{also}{stands}"
    if grid not in known:
        above = _above(base, survey) if base in known else _roots(survey)
        if above:
            return _rename("grid_frame", grid, above, _USUAL_GRIDS) + also
    if base not in known:
        return _rename("base_frame", base, known, _USUAL_BASES) + also
    return f"record /tf with {grid} to {base} before, during and after the images{also}{stands}"


def _gone(name: str, survey: BagSurvey) -> str:
    """Return why a frame that was recorded is not known, and what helps."""
    health = survey.health
    named = repr(name) in health.refusal_texts.get(Refusal.BAD_TRANSFORM, "")
    if named or Note.TIME_JUMP not in health.notes:
        return (
            f"TF with {name!r} was recorded, but refused (see TF below): mend its publisher, or, "
            f"for a vehicle that stands still, {STATIC_MOUNTING}"
        )
    return (
        f"TF with {name!r} was recorded, but cleared when time jumped back: record each run as a "
        "bag of its own"
    )


def _above(frame: str, survey: BagSurvey) -> list[str]:
    """Return the frames in which a frame lies, the next one first."""
    found: list[str] = []
    while frame in survey.parents and survey.parents[frame] not in found:
        frame = survey.parents[frame]
        found.append(frame)
    return found


def _roots(survey: BagSurvey) -> list[str]:
    return [name for name in _frames(survey) if name not in survey.parents]


def _rename(parameter: str, value: str, known: list[str], usual: tuple[str, ...]) -> str:
    """Return the line that names one of the frames that are there."""
    best = next((name for name in usual if name in known), known[0])
    return (
        f"TF has no frame {value!r}, but {_named(known)}: set the right one, such as "
        f"`{parameter}: {best}`"
    )


def _frames(survey: BagSurvey) -> list[str]:
    return sorted({*survey.parents, *survey.parents.values()})


def _named(frames: list[str]) -> str:
    rest = len(frames) - FRAMES_NAMED
    return ", ".join(frames[:FRAMES_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _stamps(tally: CameraTally) -> Iterator[Finding]:
    stream, item = tally.stream, f"{tally.camera.name} time"
    if stream.zero_stamps:
        detail = f"{stream.zero_stamps} of {tally.images} images have a zero stamp"
        remedy = "let the driver stamp them: they cannot be placed with moving TF"
        yield Finding(item, State.DOUBTFUL, detail, remedy)
    if stream.swapped_stamps:
        detail = f"{stream.swapped_stamps} of {tally.images} stamps are not after the one before"
        yield Finding(item, State.DOUBTFUL, detail, "check that one node publishes this topic")
    yield from _refused(tally, Refusal.OUT_OF_ORDER, "time", tally.grids)
    if stream.delays_ns is not None:
        low_s, high_s = (value / 1e9 for value in stream.delays_ns)
        detail = f"recorded {low_s:.3f} to {high_s:.3f} s after the images' stamps"
        off = low_s < -LATE_S or high_s > LATE_S
        remedy = (
            f"a replay goes by stamps; for a live node check the clocks of camera and recorder, "
            f"and that {topic('/tf').name} is stamped by the camera's"
        )
        yield Finding(item, State.DOUBTFUL if off else State.USABLE, detail, remedy if off else "")
