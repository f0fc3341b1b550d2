"""`terrain-train render-sheet`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.files.yaml_file import read_yaml
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import F64, U8
from terrain_seg_ros.report.output_place import check_output_file, write_whole
from terrain_training.commands.common import cell, positive, print_table
from terrain_training.data.files import find_pictures
from terrain_training.data.taxonomy_file import parse_taxonomy_file
from terrain_training.rendering.contact_sheet import contact_sheet, read_image, read_labels
from terrain_training.rendering.cycles.realism import NAMES, compare, features

HELP = "draw a contact sheet of renders and measure how real they look"
EXAMPLES = (
    "terrain-train render-sheet data/renders --out sheet.jpg",
    "terrain-train render-sheet data/renders --out sheet.jpg --labels --count 12",
)
INTERRUPTED = "nothing was written; run the same command again to start over"
COLUMNS = 6
JPEG_QUALITY = 88
MEASURED = 200
SKY_AND_VEHICLE = (3, 4)
"""Ids in `masks_index`, and in masks of the lunar rover."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="renders, with images and masks")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="the sheet, .jpg or .png"
    )
    parser.add_argument(
        "--count", type=positive, default=24, metavar="N", help="pictures (default %(default)s)"
    )
    parser.add_argument(
        "--side",
        type=positive,
        default=256,
        metavar="PX",
        help="of each picture on the sheet (default %(default)s)",
    )
    parser.add_argument("--labels", action="store_true", help="draw the labels below each picture")
    parser.add_argument(
        "--photographs",
        type=Path,
        metavar="DIR",
        help="images of a real camera, with masks_index (0 ground, 1 small rock, 2 large rock, 3 "
        "sky) or masks in which 255 marks what is not ground, as in AI4Mars: measure how well a "
        "small classifier tells them from the renders, as grey pictures where they are grey",
    )


def run(options: argparse.Namespace) -> int:
    """Write the sheet and print what is measured.

    Raises:
        ConfigError: a folder or the file cannot be used.
    """
    if options.out.suffix not in (".jpg", ".png"):
        raise ConfigError(f"--out is '{options.out}', expected a name that ends in .jpg or .png")
    check_output_file(options.out, option="--out", is_own=lambda _: False)
    stems = sorted(path.stem for path in (options.folder / "images").glob("*.png"))
    if not stems:
        raise ConfigError(f"'{options.folder}' has no images/*.png; give a folder of renders")
    chosen = _spread(stems, options.count)
    taxonomy: Taxonomy | None = None
    if options.labels:
        path = options.folder / "taxonomy.yaml"
        content = read_yaml(path, "the classes of renders")
        taxonomy = parse_taxonomy_file(content, source=str(path)).taxonomy
    sheet = contact_sheet(
        options.folder, chosen, side_px=options.side, columns=COLUMNS, taxonomy=taxonomy
    )
    done, data = cv2.imencode(
        options.out.suffix,
        np.ascontiguousarray(sheet[..., ::-1]),
        [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY],
    )
    if not done:
        raise ConfigError(f"a sheet of shape {sheet.shape} cannot be encoded; lower --count")
    write_whole(options.out, bytes(data.tobytes()))
    print(f"written  {len(chosen)} pictures on {options.out}")
    if options.photographs is not None:
        _measure(options.folder, _spread(stems, MEASURED), options.photographs)
    return 0


def _measure(folder: Path, stems: list[str], photographs: Path) -> None:
    by_index = (photographs / "masks_index").is_dir()
    masks = photographs / ("masks_index" if by_index else "masks")
    pictures, truth = find_pictures(photographs / "images"), find_pictures(masks)
    names = _spread(sorted(pictures.keys() & truth.keys()), MEASURED)
    if not names:
        raise ConfigError(f"'{photographs}' has no image with a mask of its name in '{masks.name}'")
    grey = all(_is_grey(read_image(pictures[name])) for name in names)
    not_ground = SKY_AND_VEHICLE if by_index else (IGNORE,)
    real = _features_of([(pictures[name], truth[name]) for name in names], not_ground, grey=grey)
    pairs = [
        (folder / "images" / f"{stem}.png", folder / "masks" / f"{stem}.png") for stem in stems
    ]
    made = _features_of(pairs, _not_ground(folder), grey=grey)
    result = compare(real, made)
    rows = [
        [name, cell(a, 3), cell(b, 3), cell(c, 2)]
        for name, a, b, c in zip(NAMES, result.photographs, result.renders, result.apart)
    ]
    print_table(("median of", "photographs", "renders", "tells apart"), rows)
    print(
        f"a logistic regression on all of it tells {len(real)} photographs from {len(made)} "
        f"renders with an area under the ROC curve of {result.area:.2f} (0.5: cannot tell)"
    )


def _not_ground(folder: Path) -> tuple[int, ...]:
    """Return the ids of sky and vehicle in a folder of renders."""
    path = folder / "taxonomy.yaml"
    if not path.is_file():
        return SKY_AND_VEHICLE
    content = read_yaml(path, "the classes of renders")
    taxonomy = parse_taxonomy_file(content, source=str(path)).taxonomy
    return tuple(item.id for item in taxonomy if item.name in ("sky", "vehicle"))


def _is_grey(image_hwc: U8) -> bool:
    return bool((image_hwc == image_hwc[..., :1]).all())


def _features_of(
    pairs: Sequence[tuple[Path, Path]], not_ground: Sequence[int], *, grey: bool
) -> F64:
    """Return the features of pictures with masks, without those that show hardly any ground."""
    found = []
    for picture, mask in pairs:
        image = read_image(picture)
        if grey:
            flat = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.uint8)
            image = np.repeat(flat[..., np.newaxis], 3, axis=-1)
        ground = ~np.isin(read_labels(mask), not_ground)
        try:
            found.append(features(image, ground.astype(np.uint8)))
        except ConfigError:
            continue
    return np.array(found).reshape(-1, len(NAMES))


def _spread(stems: list[str], count: int) -> list[str]:
    """Return so many stems, evenly from all."""
    places = np.unique(np.linspace(0, len(stems) - 1, min(count, len(stems))).round().astype(int))
    return [stems[place] for place in places]
