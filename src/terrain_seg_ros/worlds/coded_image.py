"""Grey images that encode true classes, decoded by the model `truth_mask`."""

from __future__ import annotations

import numpy as np

from terrain_seg_ros.core.types import U8, UNLABELLED
from terrain_seg_ros.worlds.world import WORLD_TAXONOMY

CODED_SIDE_PX = 256
"""Side of the model's input: an image of this size is not interpolated."""
CODE_FIRST = 40
CODE_STEP = 40
"""Grey value of class 0 and step between classes; all are neither too dark nor saturated."""


def coded_image(mask: U8) -> U8:
    """Return the image (h, w) whose grey values encode the classes of a mask (h, w).

    Unlabelled pixels become black, which the node treats as shadow: not observed.
    """
    table = np.zeros(256, dtype=np.uint8)
    ids = np.arange(len(WORLD_TAXONOMY))
    table[ids] = CODE_FIRST + CODE_STEP * ids
    table[UNLABELLED] = 0
    coded: U8 = table[mask]
    return coded
