"""Turn the counters into diagnostics for people and machines (REP-107)."""

from __future__ import annotations

from collections.abc import Mapping

from terrain_seg_ros.messages.diagnostics_message import Level, Status
from terrain_seg_ros.runtime.health import DEFECTS_IN_A_ROW, HealthSnapshot, Note, Refusal

STATUS_NAME = "terrain_seg: pipeline"


def health_status(
    snapshot: HealthSnapshot,
    *,
    age_s: float,
    stale: bool,
    about: Mapping[str, str],
    idle: str = "",
) -> Status:
    """Return the node's state.

    Args:
        snapshot: the counters.
        age_s: since the last image that reached the grid, or since the start.
        stale: the watchdog has turned the grid unknown.
        about: what does not change: model, backend, precision.
        idle: why no images are taken, where that is intended.
    """
    level, text = _summary(snapshot, age_s=age_s, stale=stale)
    if idle:
        level, text = Level.OK, idle
    return Status(
        name=STATUS_NAME,
        level=level,
        message=text,
        values={**about, **_values(snapshot), "age_s": f"{age_s:.3f}"},
    )


def _summary(snapshot: HealthSnapshot, *, age_s: float, stale: bool) -> tuple[Level, str]:
    refusal = f"; last refused: {snapshot.last_refusal}" if snapshot.last_refusal else ""
    refusal += "".join(f"; {text}" for text in snapshot.standing.values())
    failing = snapshot.defects_in_a_row >= DEFECTS_IN_A_ROW
    if failing or stale:
        defect = snapshot.refusal_texts.get(Refusal.DEFECT, "")
        return Level.ERROR, (
            f"{snapshot.defects_in_a_row} defects in a row, last: {defect}"
            if failing
            else f"no image reached the grid for {age_s:.1f} s{refusal}"
        )
    if snapshot.refused_since_good:
        return Level.WARN, f"{snapshot.refused_since_good} inputs refused in a row{refusal}"
    if snapshot.standing:
        return Level.WARN, "; ".join(snapshot.standing.values())
    if snapshot.images_out == 0:
        return Level.WARN, "waiting for the first image"
    if snapshot.recent_notes:
        return Level.WARN, "; ".join(_with_text(snapshot, note) for note in snapshot.recent_notes)
    return Level.OK, f"{snapshot.rate_out_hz:.1f} images per second"


def _values(snapshot: HealthSnapshot) -> dict[str, str]:
    values = {
        "images_in": str(snapshot.images_in),
        "images_out": str(snapshot.images_out),
        "grids_out": str(snapshot.grids_out),
        "rate_in_hz": f"{snapshot.rate_in_hz:.2f}",
        "rate_out_hz": f"{snapshot.rate_out_hz:.2f}",
        "dropped": str(sum(snapshot.dropped.values())),
        "refused": str(sum(snapshot.refused.values())),
    }
    values.update({f"dropped: {reason.value}": str(n) for reason, n in snapshot.dropped.items()})
    for refusal, count in snapshot.refused.items():
        text = snapshot.refusal_texts.get(refusal, "")
        values[f"refused: {refusal.value}"] = f"{count}, last: {text}"
    for note, count in snapshot.notes.items():
        text = snapshot.note_texts.get(note, "")
        values[f"note: {note.value}"] = f"{count}, last: {text}" if text else str(count)
    values.update({f"assumed: {about}": text for about, text in snapshot.remarks.items()})
    values.update({f"warning: {what}": text for what, text in snapshot.standing.items()})
    values.update({name: f"{value:.3f}" for name, value in snapshot.gauges.items()})
    for stage, latency in snapshot.latency.items():
        values[f"latency_{stage}_ms"] = (
            f"p50 {latency.median_ms:.2f}, p90 {latency.p90_ms:.2f}, p99 {latency.p99_ms:.2f}"
        )
    return values


def note_line(snapshot: HealthSnapshot, note: Note) -> str:
    """Return a note with how often it was made and its last text, for summaries."""
    text = snapshot.note_texts.get(note, "")
    return f"{note.value} ({snapshot.notes[note]} times){': ' if text else ''}{text}"


def _with_text(snapshot: HealthSnapshot, note: Note) -> str:
    text = snapshot.note_texts.get(note, "")
    return f"{note.value}: {text}" if text else note.value
