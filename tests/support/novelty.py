"""The novelty reference of a few images, as an export would fit it to many."""

from __future__ import annotations

import numpy as np

from terrain_seg_ros.core.image.novelty import input_statistics
from terrain_seg_ros.core.novelty_reference import NoveltyReference


def reference_of(tensors_hwc) -> NoveltyReference:
    """Return a reference whose points are the images themselves, each statistic of unit weight.

    The limit is twice the largest distance between an image and its nearest neighbour.
    """
    rows = np.array([input_statistics(tensor) for tensor in tensors_hwc], dtype=np.float64)
    deviation = np.maximum(rows.std(axis=0), 0.01)
    points = (rows - rows.mean(axis=0)) / deviation
    apart = np.linalg.norm(points[:, np.newaxis] - points, axis=-1) + 1e9 * np.eye(len(points))
    nearest = apart.min(axis=1) if len(points) > 1 else np.ones(1)
    return NoveltyReference(
        mean=tuple(rows.mean(axis=0).tolist()),
        whitening=tuple(tuple(row) for row in np.diag(1.0 / deviation).tolist()),
        references=tuple(tuple(row) for row in points.tolist()),
        limit=2.0 * float(nearest.max()),
        percentiles={"50": 0.0},
        images=len(rows),
        validation_images=len(rows),
        data="test images",
    )
