"""Write true classes into a grey image that the model `truth_mask` reads back."""

from __future__ import annotations

import numpy as np

from terrain_seg_ros.core.types import U8, UNLABELLED
from terrain_seg_ros.worlds.world import WORLD_TAXONOMY

CODED_SIDE_PX = 256
"""Of the model's input: an image of this size is not interpolated."""
CODE_FIRST = 40
CODE_STEP = 40
"""Grey value of class 0, and from one class to the next: none is too dark or too bright."""


def coded_image(mask: U8) -> U8:
    """Return the image (h, w) whose grey values say the classes of a mask (h, w).

    What has no class becomes black, which is shadow to the node: not observed.
    """
    table = np.zeros(256, dtype=np.uint8)
    ids = np.arange(len(WORLD_TAXONOMY))
    table[ids] = CODE_FIRST + CODE_STEP * ids
    table[UNLABELLED] = 0
    coded: U8 = table[mask]
    return coded
