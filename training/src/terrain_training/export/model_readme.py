"""The README beside a model, made from its card."""

from __future__ import annotations

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
        "chosen and the temperature fitted on the same images, so expect a little less elsewhere.",
        "",
        "| class | hazard | IoU | precision | recall |",
        "|---|---|---|---|---|",
    ]
    for item in card.taxonomy:
        figures = [metrics[key][item.name] for key in ("iou", "precision", "recall")]
        cells = " | ".join("-" if value is None else f"{value:.3f}" for value in figures)
        lines.append(f"| {item.name} | {item.hazard:g} | {cells} |")
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
