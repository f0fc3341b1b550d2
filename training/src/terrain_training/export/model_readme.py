"""The README beside a model, made from its card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from terrain_seg_ros.core.model_card import ModelCard
from terrain_seg_ros.report.table import markdown_table

_KEYS = ("iou", "precision", "recall")


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
        *markdown_table(
            ("class", "hazard", "IoU", "precision", "recall"),
            [
                (
                    item.name,
                    f"{item.hazard:g}",
                    *(_cell(metrics[key][item.name], 3) for key in _KEYS),
                )
                for item in card.taxonomy
            ],
        ),
    ]
    if "reference" in metrics:
        lines += _against_float32(card)
    rounding = f"Its {metrics['rounding']}. " if "rounding" in metrics else ""
    lines += [
        "",
        f"{rounding}Against ONNX Runtime in float32:",
        "",
        *_parity_table(metrics["parity"]),
    ]
    if card.novelty is not None:
        lines += ["", *_novelty_text(card)]
    lines += ["", "## Limits", "", *(f"* {limit}" for limit in card.limits)]
    lines += ["", "## Credits", "", *(f"* {credit}" for credit in training["credits"])]
    return "\n".join(lines) + "\n"


def _novelty_text(card: ModelCard) -> list[str]:
    """Return how images unlike the training are told."""
    found = card.novelty
    if found is None:
        return []
    return [
        "## Images unlike its training",
        "",
        f"The card describes {found.images} training images; images whose distance to them is more "
        f"than {found.limit:g}, which at most 1 % of {found.validation_images} validation images "
        "exceed, are not observed (`observability.max_novelty`). `terrain-train novelty "
        f"{card.name} --images NAME=DIR` measures the share.",
    ]


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
        *markdown_table(
            ("class", "IoU", "of float32", "precision", "of float32", "recall", "of float32"),
            [
                (name, *(_cell(side[key][name]) for key in _KEYS for side in (own, exact)))
                for name in card.taxonomy.names
            ],
        ),
    ]
    lines += ["", *_lowering_text(own["lowering"]), *_speed_table(own["bare_call"])]
    return lines


def _lowering_text(notes: Mapping[str, Any]) -> list[str]:
    remark = f"Note: {notes['remark']}."
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
    return [
        f"One bare call on {calls['processor']} with {calls['threads']} threads:",
        "",
        *markdown_table(
            ("file", "backend", "precision", "median ms"),
            [
                (row["file"], row["backend"], row["precision"], f"{row['median_ms']:.2f}")
                for row in calls["rows"]
            ],
        ),
    ]


def _parity_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return markdown_table(
        (
            "backend",
            "precision",
            "images",
            "mean IoU lost",
            "dangerous recall lost",
            "clear pixels changed",
            "mask agreement",
        ),
        [
            (
                row["backend"],
                row["precision"],
                str(row["images"]),
                f"{row['mean_iou_loss']:.4f}",
                f"{row['dangerous_recall_loss']:.4f}",
                f"{row['clear_margin_changed']:.5f}",
                f"{row['mask_agreement']:.5f}",
            )
            for row in rows
        ],
    )


def _cell(value: float | None, digits: int = 4) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
