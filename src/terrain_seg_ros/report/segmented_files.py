"""The files of a segmented image: STEM_mask.png and STEM_overlay.png."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import cv2

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.report.output_place import write_whole

MASK_END, OVERLAY_END = "_mask.png", "_overlay.png"


def check_stems(images: Iterable[Path]) -> None:
    """Check that no two images would write the same files.

    Raises:
        ConfigError: two images have one stem.
    """
    stems = Counter(path.stem for path in images)
    twice = sorted(stem for stem, count in stems.items() if count > 1)
    if twice:
        raise ConfigError(
            f"several images are called {twice[0]!r} and would overwrite each other's results; "
            "segment them into different folders"
        )


def write_segmented(base: Path, *, mask: U8, overlay_rgb: U8) -> None:
    """Write mask and overlay of an image.

    Args:
        base: the files' path up to the stem of the image.
        mask: (H, W) class ids, 255 where unlabelled.
        overlay_rgb: (H, W, 3).

    Raises:
        OSError: a file cannot be written.
    """
    write_whole(base.with_name(f"{base.name}{MASK_END}"), png_of(mask))
    write_whole(base.with_name(f"{base.name}{OVERLAY_END}"), png_of(overlay_rgb))


def png_of(pixels: U8) -> bytes:
    """Return pixels (H, W) or (H, W, 3) RGB as a PNG file."""
    ordered = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    encoded: U8 = cv2.imencode(".png", ordered)[1]
    return encoded.tobytes()
