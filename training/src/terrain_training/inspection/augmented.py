"""What augmentation makes of samples: image, mask and classes, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.report.page import Page, Row, Section, render_page
from terrain_training.data.contract import Source
from terrain_training.data.dataset import Augment
from terrain_training.data.tensors import sample_to_tensor
from terrain_training.inspection.charts import STYLE
from terrain_training.settings.recipe import DataSettings

PAGE_FILE = "augmented.html"
_COLUMNS = ".row {{ grid-template-columns: repeat({}, 1fr); }}\n"


def write_augmented(
    source: Source,
    names: Sequence[str],
    data: DataSettings,
    augment: Augment,
    *,
    out: Path,
    count: int,
    seed: int,
) -> Path:
    """Write augmented.html: samples at equal distances, as the network gets them.

    Args:
        source: of the samples.
        names: to choose from.
        data: the input of the network.
        augment: takes and returns an image (h, w, C) and a mask (h, w).
        out: folder, created if it does not exist.
        count: how many samples.
        seed: of the augmentation.

    Raises:
        ConfigError: a sample cannot be used, or the file cannot be written.
    """
    sections = []
    for step in np.linspace(0, len(names) - 1, min(count, len(names))).astype(int).tolist():
        before = sample_to_tensor(source.load(names[step]), data)
        after = augment(*before, np.random.default_rng([seed, 0, step]))
        rows = [
            Row(what, _pictures(image, mask, source.taxonomy))
            for what, (image, mask) in (("before", before), ("after", after))
        ]
        sections.append(Section(names[step], "As the network gets it.", rows))
    page = Page(
        title="Augmented samples",
        lead=f"{len(sections)} samples, seed {seed}; black is ignored.",
        facts={},
        legends={"classes": [(item.name, item.color_rgb) for item in source.taxonomy]},
        tables={},
        notes=["Each class channel is white where the mask has that class."],
        sections=sections,
        style=STYLE + _COLUMNS.format(2 + len(source.taxonomy)),
    )
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / PAGE_FILE).write_text(render_page(page), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{out}: the page cannot be written: {error}") from error
    return out / PAGE_FILE


def _pictures(image: U8, mask: U8, taxonomy: Taxonomy) -> dict[str, U8]:
    shown = image[..., 0] if image.shape[2] == 1 else image
    channels = {item.name: np.where(mask == item.id, 255, 0).astype(np.uint8) for item in taxonomy}
    return {"image": shown, "mask": taxonomy.palette_rgb()[mask], **channels}
