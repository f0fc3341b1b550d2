"""The README beside a model, made from its card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from terrain_seg_ros.core.model_card import ModelCard


def model_readme(card: ModelCard) -> str:
    """Return Markdown with scores, credits and limits; the card is the only source."""
    metrics, training = card.metrics, card.training
    lines = [
        f"# {card.name} {card.version}",
        "",
        f"Made by `terrain-train export` from the card; input {card.width_px} x {card.height_px} "
        f"{card.channels}, classes {', '.join(card.taxonomy.names)}.",
        "",
        "## Scores",
        "",
        f"{metrics['data']}, {metrics['images']} images: mean IoU {metrics['mean_iou']:.3f}, "
        f"pixel accuracy {metrics['pixel_accuracy']:.3f}, expected calibration error "
        f"{metrics['expected_calibration_error']:.3f}. Split {training['split']}. The epoch was "
        "chosen and the temperature fitted on the same images, so expect a little less elsewhere. "
        f"Scored at {metrics.get('scored_at', 'the size of the input')}; `terrain-train evaluate` "
        "scores at the size of the labels, which is another figure.",
        "",
        "| class | hazard | IoU | precision | recall |",
        "|---|---|---|---|---|",
    ]
    for item in card.taxonomy:
        figures = [metrics[key][item.name] for key in ("iou", "precision", "recall")]
        cells = " | ".join("-" if value is None else f"{value:.3f}" for value in figures)
        lines.append(f"| {item.name} | {item.hazard:g} | {cells} |")
    if "reference" in metrics:
        lines += _against_float32(card)
    rounding = f"Its {metrics['rounding']}. " if "rounding" in metrics else ""
    lines += [
        "",
        f"{rounding}Against ONNX Runtime in float32:",
        "",
        "| backend | precision | images | mean IoU lost | dangerous recall lost "
        "| clear pixels changed | mask agreement |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['backend']} | {row['precision']} | {row['images']} | {row['mean_iou_loss']:.4f} "
        f"| {row['dangerous_recall_loss']:.4f} | {row['clear_margin_changed']:.5f} "
        f"| {row['mask_agreement']:.5f} |"
        for row in metrics["parity"]
    ]
    lines += ["", "## Limits", "", *(f"* {limit}" for limit in card.limits)]
    lines += ["", "## Credits", "", *(f"* {credit}" for credit in training["credits"])]
    return "\n".join(lines) + "\n"


def _against_float32(card: ModelCard) -> list[str]:
    """Return what the file of lower precision gains and loses, class by class."""
    own, exact = card.metrics, card.metrics["reference"]
    lines = [
        "",
        f"## {card.precision} against float32",
        "",
        f"Mean IoU {own['mean_iou']:.4f}, in float32 {exact['mean_iou']:.4f}; false-safe rate "
        f"{_cell(own['false_safe_rate'])}, in float32 {_cell(exact['false_safe_rate'])}.",
        "",
        "| class | IoU | of float32 | precision | of float32 | recall | of float32 |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in card.taxonomy.names:
        cells = [
            _cell(side[key][name])
            for key in ("iou", "precision", "recall")
            for side in (own, exact)
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", *_lowering_text(own["lowering"]), *_speed_table(own["bare_call"])]
    return lines


def _lowering_text(notes: Mapping[str, Any]) -> list[str]:
    remark = f"Mind: {notes['remark']}."
    if "float_nodes" not in notes:
        return [remark, ""]
    kept = ", ".join(f"`{name}` ({snr:.0f} dB)" for name, snr in notes["float_nodes"].items())
    text = (
        f"{notes['int8_nodes']} nodes compute in int8, {notes['int8_work_share']:.0%} of the "
        f"multiplications; activations are {notes['activations']}, calibrated on "
        f"{notes['calibration_images']} images of the {notes['calibration_split']} split. Kept "
        f"in float, with the signal to noise of the logits were each alone in int8: "
        f"{kept or 'none'}."
    )
    if notes["rule_holds"]:
        return [text, "", remark, ""]
    return [text, "", remark, "", "**It does not keep the rule of reduced precision.**", ""]


def _speed_table(calls: Mapping[str, Any]) -> list[str]:
    lines = [
        f"One bare call on {calls['processor']} with {calls['threads']} threads:",
        "",
        "| file | backend | precision | median ms |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {row['file']} | {row['backend']} | {row['precision']} | {row['median_ms']:.2f} |"
        for row in calls["rows"]
    ]
    return lines


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
