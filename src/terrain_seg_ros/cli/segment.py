"""`terrain-seg segment`: segment image files."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from terrain_seg_ros.cli.options import (
    add_image_arguments,
    add_model_arguments,
    open_segmenter,
)
from terrain_seg_ros.core.errors import ConfigError, MessageError
from terrain_seg_ros.report.output_place import check_output_file, holds_json, some, write_whole
from terrain_seg_ros.report.segmented_files import (
    MASK_END,
    OVERLAY_END,
    check_stems,
    write_segmented,
)
from terrain_seg_ros.segmenter import SegmentedImage, Segmenter

_WRONG_INPUT = 2
_SUFFIXES = (".jpeg", ".jpg", ".png", ".tif", ".tiff")
_OWN_KEYS = ("image", "model", "backend", "shares", "mean_confidence")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "images",
        nargs="+",
        type=Path,
        metavar="IMAGE",
        help="PNG, JPEG or TIFF file, or a folder of them",
    )
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="DIR",
        help="folder of the results: STEM_mask.png (class ids, 255 is unlabelled), "
        "STEM_overlay.png and STEM.json",
    )
    add_image_arguments(parser)
    add_model_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Segment every image; one that cannot be used is reported, the others are segmented.

    Returns:
        0, or 2 if an image could not be used.

    Raises:
        ConfigError: a folder has no images, two images would write the same files, or nothing can
            be written.
        ModelError: the model cannot be used.
        InferenceError: the backend cannot be used.
    """
    images = [image for path in arguments.images for image in _images_of(path)]
    check_stems(images)
    _check_places(images, arguments.out)
    arguments.out.mkdir(parents=True, exist_ok=True)
    refused = 0
    with open_segmenter(arguments) as segmenter:
        print(f"{segmenter.card.name} on {segmenter.backend} in {segmenter.precision}")
        for path in images:
            try:
                result = segmenter(path)
            except (ConfigError, MessageError) as error:
                refused += 1
                print(f"terrain-seg: error: {error}", file=sys.stderr)
                continue
            _write(result, _about(path, result, segmenter), arguments.out / path.stem)
            print(_line(path, result))
    print(f"{len(images) - refused} of {len(images)} images done; results are in {arguments.out}")
    return _WRONG_INPUT if refused else 0


def _images_of(path: Path) -> list[Path]:
    """Return the images of a folder, sorted, without earlier results; a file as it is.

    Raises:
        ConfigError: the folder has no images.
    """
    if not path.is_dir():
        return [path]
    found = [
        item
        for item in sorted(path.iterdir())
        if item.suffix.lower() in _SUFFIXES
        and not item.name.startswith(".")
        and not item.name.endswith((MASK_END, OVERLAY_END))
    ]
    if not found:
        raise ConfigError(f"folder '{path}' has no images ({', '.join(_SUFFIXES)})")
    return found


def _check_places(images: list[Path], out: Path) -> None:
    """Refuse to overwrite anything but earlier results, such as masks of the same names."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out '{out}' exists and is not a folder; choose another path")
    for path in images:
        base = out / path.stem
        told = base.with_name(f"{base.name}.json")
        if out.is_dir():
            check_output_file(told, option="--out", is_own=holds_json(*_OWN_KEYS))
        written = [base.with_name(f"{base.name}{end}") for end in (MASK_END, OVERLAY_END)]
        foreign = [item.name for item in written if item.exists() and not told.is_file()]
        sources = [item.name for item in (told, *written) if item.resolve() == path.resolve()]
        if foreign or sources:
            raise ConfigError(
                f"--out '{out}' has {some(foreign or sources)}, which would be overwritten and is "
                "not a result of this command; choose another folder"
            )


def _write(result: SegmentedImage, about: dict[str, Any], base: Path) -> None:
    # The JSON file comes first: it says that the pictures beside it are results.
    text = json.dumps(about, indent=2) + "\n"
    write_whole(base.with_name(f"{base.name}.json"), text)
    write_segmented(base, mask=result.mask, overlay_rgb=result.overlay())


def _about(path: Path, result: SegmentedImage, segmenter: Segmenter) -> dict[str, Any]:
    height_px, width_px = result.mask.shape
    return {
        "image": str(path),
        "width_px": width_px,
        "height_px": height_px,
        "model": segmenter.card.name,
        "version": segmenter.card.version,
        "backend": segmenter.backend,
        "precision": segmenter.precision,
        "shares": {name: round(share, 6) for name, share in result.shares().items()},
        "mean_confidence": round(result.mean_confidence(), 6),
        "novelty": None if result.novelty is None else round(result.novelty, 3),
        "ms": round(result.elapsed_ms, 3),
        "notes": list(result.notes),
    }


def _line(path: Path, result: SegmentedImage) -> str:
    largest = sorted(result.shares().items(), key=lambda item: -item[1])
    shares = ", ".join(f"{name} {share:.0%}" for name, share in largest if share >= 0.005)
    novelty = result.novelty or 0.0
    warning = f"; unlike the model's training (novelty {novelty:.1f})" if novelty > 1.0 else ""
    return (
        f"{path.name}: {shares}; confidence {result.mean_confidence():.2f}; "
        f"{result.elapsed_ms:.1f} ms{warning}"
    )
