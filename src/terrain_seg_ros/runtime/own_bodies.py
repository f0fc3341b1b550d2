"""Where each camera sees the vehicle itself, from the parameters."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from terrain_seg_ros.core.ground.own_body import MIN_CORNERS, OwnBody
from terrain_seg_ros.core.image.image_file import read_image
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.parameters.node_settings import NodeSettings


class OwnBodies:
    """Hold masks and outline of the vehicle by camera."""

    def __init__(self, parameters: NodeSettings) -> None:
        """Read the masks.

        Raises:
            ConfigError: a mask cannot be read or is coloured, or the outline is no list of pairs.
        """
        cameras, paths = parameters.input.cameras, parameters.own_body.masks
        if len(paths) == 1:
            paths *= len(cameras)
        values = parameters.own_body.polygon
        polygon = None
        if len(values) >= 2 * MIN_CORNERS:
            polygon = np.array(values, dtype=np.float64).reshape(-1, 2)
        masks = {path: _mask(path) for path in set(paths) if path}
        self._bodies = {
            camera: OwnBody(masks.get(path), polygon, source=path)
            for camera, path in zip(cameras, paths)
            if path or polygon is not None
        }

    def of(self, camera: str) -> OwnBody | None:
        """Return what a camera sees of the vehicle, None where nothing was given."""
        return self._bodies.get(camera)


def _mask(path: str) -> U8:
    """Return a mask (H, W); a coloured file that is grey in fact will do."""
    pixels = read_image(Path(path).expanduser())
    return pixels if pixels.ndim == 2 else np.asarray(pixels.max(axis=2), dtype=np.uint8)
