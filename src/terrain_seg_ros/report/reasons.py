"""The reasons of cells that are not observed, in words."""

from __future__ import annotations

from terrain_seg_ros.core.types import Reason

REASONS: dict[Reason, tuple[str, str]] = {
    Reason.OBSERVED: ("observed: see `hazard_grid`", "nothing"),
    Reason.OUTSIDE_VIEW: (
        "no camera has seen it, or not since the grid was last withdrawn",
        "turn or drive until a camera sees it",
    ),
    Reason.TOO_FAR: (
        "beyond `ground.max_range_m`, or a pixel covers more ground than "
        "`ground.max_ground_sample_m`, or measured ground than `depth.max_ground_sample_m`",
        "go nearer, or use a camera of more pixels per degree",
    ),
    Reason.LOW_CONFIDENCE: (
        "the network is less sure than `observability.min_confidence`",
        "look from nearer or another side; if it is everywhere, the network does not fit the "
        "terrain",
    ),
    Reason.SHADOW: ("too dark to judge", "lengthen the exposure, or look under other light"),
    Reason.SATURATION: ("too bright to judge", "shorten the exposure, or look away from the sun"),
    Reason.OWN_BODY: (
        "the vehicle's own body is in the way",
        "drive on, or turn the camera; if the vehicle is not there, check `own_body.*`",
    ),
    Reason.STALE: (
        "no good image for `watchdog.stale_after_s`",
        "stop; `/diagnostics` says why images are missing or rejected",
    ),
    Reason.NO_TRANSFORM: (
        "no transform at the image's stamp",
        "check TF from `grid_frame` to the camera, and the clocks",
    ),
    Reason.UNLABELLED: (
        "no class there, or one of `observability.not_ground_classes`",
        "look at `mask` (255: no class); check `observability.not_ground_classes`",
    ),
    Reason.HIDDEN: ("hidden behind something nearer", "look from another side"),
    Reason.NO_DEPTH: (
        "no depth was measured there",
        "look from nearer or another side; check the range and gaps of the depth sensor",
    ),
    Reason.NOVEL: (
        "the image is unlike the network's training images (`observability.max_novelty`)",
        "look at the image: lens, exposure, stray light; if it is a good image, use a network that "
        "was trained on such images",
    ),
}
"""What a reason means, and what to do about it."""
