"""What Cycles gives for each pixel, read back from its files; runs in Blender's Python only."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from terrain_seg_ros.core.types import F32


@dataclass(frozen=True)
class Passes:
    """Hold passes (H, W): linear light (H, W, 3), depth along the optical axis, label, sunlight.

    `label` is 0 for ground, rock number + 1, or -1 for vehicles; `depth_m` is huge for the sky;
    `direct` is above 0 where the pixel's middle is in the sun.
    """

    light: F32
    depth_m: F32
    label: F32
    direct: F32


def read_pass(folder: Path, name: str, channels: int) -> F32:
    """Return a pass (H, W) or (H, W, channels) and remove its file.

    Raises:
        OSError: Cycles has not written it.
    """
    path = next(folder.glob(f"{name}_*.exr"), None)
    if path is None:
        raise OSError(errno.ENOSPC, "Cycles wrote no file; is the disk full?", str(folder / name))
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    cols, rows = image.size
    pixels = np.empty(cols * rows * image.channels, np.float32)
    image.pixels.foreach_get(pixels)
    pixels = pixels.reshape(rows, cols, -1)[::-1]
    bpy.data.images.remove(image)
    path.unlink()
    return np.ascontiguousarray(pixels[..., 0] if channels == 1 else pixels[..., :channels])
