"""Data sets that have a short name: where they are, whose they are, and under which licence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KnownSet:
    """Name a published data set, its place, its makers and its licence."""

    title: str
    source: str
    credit: str
    licence: str


KNOWN_SETS = {
    "lunar": KnownSet(
        title="Artificial Lunar Rocky Landscape Dataset",
        source="kaggle:romainpessia/artificial-lunar-rocky-landscape-dataset",
        credit="Romain Pessia and Genya Ishigami, Space Robotics Group, Keio University",
        licence="CC BY-NC-SA 4.0 (not for commercial use; what is made from it, too)",
    ),
    "earth": KnownSet(
        title="Earth Terrain, Height, and Segmentation Map Images",
        source="kaggle:tpapp157/earth-terrain-height-and-segmentation-map-images",
        credit="Thomas Pappas",
        licence="as its page says; read it before you use or pass on anything",
    ),
}
