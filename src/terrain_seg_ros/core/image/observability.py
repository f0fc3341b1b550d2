"""Pixels that cannot be trusted, and the reasons."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.kernel import kernel
from terrain_seg_ros.core.settings import list_setting, setting, settings
from terrain_seg_ros.core.types import U8, UNLABELLED, Reason, Segmentation

_OBSERVED, _UNLABELLED = np.uint8(Reason.OBSERVED), np.uint8(Reason.UNLABELLED)
_LOW_CONFIDENCE = np.uint8(Reason.LOW_CONFIDENCE)


@settings
@dataclass(frozen=True)
class ObservabilitySettings:
    """Which pixels are not observed; levels are luma, 0 to 255."""

    min_confidence: Annotated[
        float,
        setting("Pixels with less confidence are not observed.", low=0.0, high=1.0, dynamic=True),
    ]
    shadow_level: Annotated[
        int,
        setting(
            "Pixels of this brightness or darker are not observed; 0: only black ones.",
            low=0,
            high=254,
            dynamic=True,
        ),
    ]
    saturation_level: Annotated[
        int,
        setting(
            "Pixels of this brightness or brighter are not observed.",
            low=1,
            high=255,
            dynamic=True,
        ),
    ]
    max_novelty: Annotated[
        float,
        setting(
            "Images of a higher novelty are not observed as a whole: they are unlike the model's "
            "training. 1 is the limit of the model's card, which at most 1 % of its validation "
            "images exceed; 0 switches the check off.",
            low=0.0,
            high=1000.0,
            dynamic=True,
        ),
    ]
    not_ground_classes: Annotated[
        tuple[str, ...],
        list_setting(
            "Classes that are not ground, such as sky: their pixels are not observed. Names that "
            "the model does not have are ignored."
        ),
    ] = ("",)

    def __post_init__(self) -> None:
        """Check that shadow is darker than saturation."""
        if self.shadow_level >= self.saturation_level:
            raise ConfigError(
                f"observability.shadow_level is {self.shadow_level} and "
                f"observability.saturation_level {self.saturation_level}, expected shadow < "
                "saturation"
            )

    def is_novel(self, novelty: float | None) -> bool:
        """Return whether an image is refused for its novelty; None stands for an unknown one."""
        return novelty is not None and 0.0 < self.max_novelty < novelty


def unobserved_reasons(
    tensor_hwc_u8: U8,
    segmentation: Segmentation,
    settings: ObservabilitySettings,
    *,
    class_names: tuple[str, ...],
) -> U8:
    """Return why each tensor pixel is not observed.

    If several reasons apply, the first of unlabelled, saturation, shadow and low confidence is
    returned, because a fault of the image explains a low confidence. A class that is not ground
    counts as unlabelled.

    Args:
        tensor_hwc_u8: (h, w, C), the network's input.
        segmentation: the network's result for that input.
        settings: the limits.
        class_names: the model's classes, in the order of the ids.

    Returns:
        (h, w) of `Reason`.
    """
    grey = tensor_hwc_u8.shape[2] == 1
    luma = tensor_hwc_u8[:, :, 0] if grey else cv2.cvtColor(tensor_hwc_u8, cv2.COLOR_RGB2GRAY)
    of_luma, is_ground = _tables(settings, class_names)
    reasons: U8 = _reasons(
        np.asarray(luma, dtype=np.uint8),
        segmentation.tensor_mask,
        segmentation.tensor_confidence,
        of_luma,
        is_ground,
        math.ceil(settings.min_confidence * 255.0),
    )
    return reasons


@functools.lru_cache(maxsize=1)
def _tables(
    settings: ObservabilitySettings, class_names: tuple[str, ...]
) -> tuple[U8, NDArray[np.bool_]]:
    """Return the reason by luma, and which class ids are ground, (256,) each."""
    of_luma = np.full(256, Reason.OBSERVED, dtype=np.uint8)
    of_luma[: settings.shadow_level + 1] = Reason.SHADOW
    of_luma[settings.saturation_level :] = Reason.SATURATION
    is_ground = np.ones(256, dtype=np.bool_)
    is_ground[UNLABELLED] = False
    for index, name in enumerate(class_names):
        is_ground[index] &= name not in settings.not_ground_classes
    return of_luma, is_ground


@kernel("uint8[:, :], uint8[:, :], uint8[:, :], uint8[::1], boolean[::1], int64")
def _reasons(
    luma: U8, mask: U8, confidence: U8, of_luma: U8, is_ground: NDArray[np.bool_], enough: int
) -> U8:
    """Return why pixels (h, w) are not observed."""
    reasons = np.empty(mask.shape, dtype=np.uint8)
    for row in range(mask.shape[0]):
        for col in range(mask.shape[1]):
            reason = of_luma[luma[row, col]]
            if reason == _OBSERVED and confidence[row, col] < enough:
                reason = _LOW_CONFIDENCE
            reasons[row, col] = reason if is_ground[mask[row, col]] else _UNLABELLED
    return reasons
