"""Score a replay: its masks against the truth by stamp, its times, what was lost."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from terrain_seg_ros.bag.reader import BagReader
from terrain_seg_ros.bag.replay import ReplayReport
from terrain_seg_ros.bag.truth import Truth, decode_truth, is_mask_type, read_truth
from terrain_seg_ros.core.errors import ConfigError, MessageError
from terrain_seg_ros.core.hazard_rule import HazardRule
from terrain_seg_ros.core.scores.label_values import resize_labels, truth_from_mask
from terrain_seg_ros.core.scores.segmentation_metrics import ConfusionMatrix
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.messages.cdr import deserialize
from terrain_seg_ros.messages.header_message import stamp_ns
from terrain_seg_ros.messages.image_message import decode_image
from terrain_seg_ros.runtime.health import HealthSnapshot

WAITING_LIMIT = 64
"""Masks, and truths, that wait for their counterpart; memory does not grow with the bag."""
_SHOWN_STAMPS = 3
_SHOWN_REASONS = 3


@dataclass
class TruthCounts:
    """Count what of the truth was used."""

    matched: int = 0
    truth_without_mask: int = 0
    masks_without_truth: int = 0
    damaged: int = 0
    last_damage: str = ""
    stamps: dict[str, list[int]] = field(default_factory=lambda: {"truth": [], "mask": []})

    def missed(self, kind: str, stamp: int) -> None:
        """Count a truth or a mask without a counterpart."""
        if kind == "truth":
            self.truth_without_mask += 1
        else:
            self.masks_without_truth += 1
        if len(self.stamps[kind]) < _SHOWN_STAMPS:
            self.stamps[kind].append(stamp)


def score_masks(
    bag: Path, truths: Sequence[tuple[Truth, str]], *, table: U8, matrix: ConfusionMatrix
) -> TruthCounts:
    """Compare the masks in a bag that was replayed with the truth, by stamp, at the truth's size.

    Args:
        bag: the replay's.
        truths: each with the topic of our masks.
        table: class id of every truth value.
        matrix: is filled.

    Raises:
        ConfigError: a truth holds a value without a meaning, or nothing matches.
        MessageError: the bag is damaged.
    """
    counts = TruthCounts()
    for truth, mask_topic in truths:
        pairs = _from_files if truth.topic is None else _from_topics
        for values, mask, source in pairs(bag, truth, mask_topic, counts=counts):
            ids = truth_from_mask(values, table, source=source)
            _check_aspect(ids, mask, source)
            matrix.add(ids, resize_labels(mask, ids.shape))
            counts.matched += 1
    if counts.matched == 0:
        raise ConfigError(
            f"no truth of {', '.join(truth.name for truth, _ in truths)} has the stamp of a mask: "
            f"truth {counts.stamps['truth']}, masks {counts.stamps['mask']}, {counts.damaged} "
            f"damaged{': ' if counts.last_damage else ''}{counts.last_damage}; stamps must be equal"
        )
    return counts


def _check_aspect(truth: U8, mask: U8, source: str) -> None:
    """Check that truth and mask have the same aspect ratio; one may be smaller.

    Raises:
        ConfigError: they are not.
    """
    (rows, cols), (height_px, width_px) = truth.shape, mask.shape
    apart = abs(cols / width_px - rows / height_px)
    if apart * max(height_px, width_px) > 1.0:
        raise ConfigError(
            f"{source}: the truth is {cols} x {rows} px, but the mask of its stamp {width_px} x "
            f"{height_px} px, which cannot be the same picture; give truth of the camera's images"
        )


def bag_scores(
    report: ReplayReport,
    matrix: ConfusionMatrix | None,
    counts: TruthCounts | None,
    *,
    rule: HazardRule,
) -> dict[str, Any]:
    """Return everything about one replay, ready for JSON.

    Args:
        report: of the replay.
        matrix: masks against truth, None without truth.
        counts: of the truth, None without it.
        rule: what is a hazard.
    """
    health = report.health
    about = {
        "model": report.about["model"],
        "backend": report.about["backend"],
        "backend_precision": report.about["precision"],
    }
    result: dict[str, Any] = {
        **about,
        **_counters(health),
        "defects": {"total": sum(report.defects.values()), **report.defects},
        "left_out": dict(report.left_out),
        "bag_notes": list(report.notes),
    }
    if matrix is None or counts is None:
        return result
    found = asdict(counts)
    del found["stamps"]
    scores = matrix.scores()
    return {
        **asdict(scores),
        "absent_classes": scores.absent,
        "missed_hazard_rate": matrix.missed_share(rule.hazardous_classes().tolist()),
        "hazard_unavailable": rule.undivided() or None,
        **result,
        "truth": found,
    }


def why_nothing_came(scores: Mapping[str, Any]) -> str:
    """Return why a replay gave no mask or no grid, empty where it gave both."""
    missing = [
        name for name, key in (("masks", "images_out"), ("grids", "grids_out")) if not scores[key]
    ]
    if not missing:
        return ""
    texts = {**scores["refusal_texts"], **scores["note_texts"]}
    reasons = []
    for kind in ("refused", "dropped", "defects", "notes"):
        found = {name: count for name, count in scores[kind].items() if name != "total"}
        for name, count in sorted(found.items(), key=lambda item: -item[1])[:_SHOWN_REASONS]:
            text = f" ({texts[name]})" if name in texts else ""
            reasons.append(f"{count} x {name}{text}")
    why = "; ".join(reasons) or "nothing was refused"
    return f"no {' and no '.join(missing)} came of {scores['images_in']} images: {why}"


def _counters(health: HealthSnapshot) -> dict[str, Any]:
    latency = {
        stage: {"p50": item.median_ms, "p90": item.p90_ms, "p99": item.p99_ms}
        for stage, item in health.latency.items()
    }
    dropped = {reason.value: count for reason, count in health.dropped.items()}
    refused = {reason.value: count for reason, count in health.refused.items()}
    share = health.grids_out / health.images_in if health.images_in else None
    return {
        "images_in": health.images_in,
        "images_out": health.images_out,
        "grids_out": health.grids_out,
        "grid_availability": share,
        "latency_ms": latency,
        "dropped": {"total": sum(dropped.values()), **dropped},
        "refused": {"total": sum(refused.values()), **refused},
        "refusal_texts": {r.value: text for r, text in health.refusal_texts.items()},
        "notes": {note.value: count for note, count in health.notes.items()},
        "note_texts": {note.value: text for note, text in health.note_texts.items()},
        "assumed": dict(health.remarks),
    }


def _from_topics(
    bag: Path, truth: Truth, mask_topic: str, *, counts: TruthCounts
) -> Iterator[tuple[Any, U8, str]]:
    """Yield truth, mask and a name for each stamp that both have."""
    waiting: dict[str, OrderedDict[int, U8]] = {"truth": OrderedDict(), "mask": OrderedDict()}
    kinds = {str(truth.topic): "truth", mask_topic: "mask"}
    for kind, stamp, pixels in _stream(bag, kinds, counts):
        other = "mask" if kind == "truth" else "truth"
        partner = waiting[other].pop(stamp, None)
        if partner is not None:
            both = (pixels, partner) if kind == "truth" else (partner, pixels)
            yield *both, f"{truth.topic} at {stamp} ns"
            continue
        waiting[kind][stamp] = pixels
        if len(waiting[kind]) > WAITING_LIMIT:
            counts.missed(kind, waiting[kind].popitem(last=False)[0])
    for kind, items in waiting.items():
        for stamp in items:
            counts.missed(kind, stamp)


def _from_files(
    bag: Path, truth: Truth, mask_topic: str, *, counts: TruthCounts
) -> Iterator[tuple[Any, U8, str]]:
    left = dict(truth.files)
    for _, stamp, mask in _stream(bag, {mask_topic: "mask"}, counts):
        path = left.pop(stamp, None)
        if path is None:
            counts.missed("mask", stamp)
            continue
        try:
            values = read_truth(path)
        except ConfigError as error:
            counts.damaged += 1
            counts.last_damage = str(error)
            continue
        yield values, mask, str(path)
    for stamp in sorted(left):
        counts.missed("truth", stamp)


def _stream(bag: Path, kinds: dict[str, str], counts: TruthCounts) -> Iterator[tuple[str, int, U8]]:
    """Yield what kind of mask, its stamp and its pixels, in the order of recording."""
    with BagReader(bag) as reader:
        chosen = [c for c in reader.connections if c.topic in kinds and is_mask_type(c.msgtype)]
        for item in reader.messages(chosen) if chosen else ():
            kind = kinds[item.connection.topic]
            try:
                message = deserialize(item.data, item.connection.msgtype)
                pixels = decode_image(message).pixels if kind == "mask" else decode_truth(message)
                stamp = stamp_ns(message.header)
            except MessageError as error:
                counts.damaged += 1
                counts.last_damage = str(error)
                continue
            yield kind, stamp, pixels
