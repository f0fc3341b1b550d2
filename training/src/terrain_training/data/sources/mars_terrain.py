"""Mars Terrain Images: one .npz of 2,615 labelled images of 64 x 128 pixels and a test set.

    training_set (2615, 2, 64, 128): image and mask; test_set (N, 64, 128): images without masks

Values are class ids: 0 background, 1 soil, 2 bedrock, 3 sand, 4 big rock. Some images are
contaminated (an alien pasted in); the published cleaning finds 106 by similarity search.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.files.array_file import read_npz
from terrain_seg_ros.core.files.regular_file import read_regular_file
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_seg_ros.core.types import U8
from terrain_training.data.contract import BadSampleError, Sample
from terrain_training.data.splits import part_of, random_split

TAXONOMY = Taxonomy(
    (
        TerrainClass(0, "background", (0, 0, 0), 0.5),
        TerrainClass(1, "soil", (176, 132, 92), 0.02),
        TerrainClass(2, "bedrock", (110, 142, 168), 0.1),
        TerrainClass(3, "sand", (232, 200, 108), 0.4),
        TerrainClass(4, "big_rock", (204, 52, 44), 1.0),
    )
)
SHARES = {"train": 0.85, "validation": 0.15}
FILE_LIMIT_BYTES = 2 * 2**30
ARRAY = "training_set"


class MarsTerrain:
    """Read the labelled part; samples are called `mars_0000` and on, by their place in the file."""

    def __init__(self, path: Path, *, seed: int = 42) -> None:
        """Read the arrays.

        Args:
            path: of the .npz.
            seed: of the split.

        Raises:
            ConfigError: the file is missing, damaged or laid out otherwise.
        """
        self._pairs = _read(path)
        names = [f"mars_{index:04d}" for index in range(len(self._pairs))]
        self._index = {name: index for index, name in enumerate(names)}
        self._parts = random_split(names, SHARES, seed=seed)

    @property
    def taxonomy(self) -> Taxonomy:
        """Return the five classes."""
        return TAXONOMY

    def splits(self) -> tuple[str, ...]:
        """Return train and validation."""
        return tuple(self._parts)

    def names(self, split: str) -> list[str]:
        """Return the names of a split."""
        return part_of(self._parts, split)

    def load(self, name: str) -> Sample:
        """Return a sample."""
        image, mask = self._pairs[self._index[name]]
        if mask.max() >= len(TAXONOMY):
            raise BadSampleError(
                f"{name}: mask holds the id {int(mask.max())}, expected 0 to {len(TAXONOMY) - 1}"
            )
        return Sample(name, np.ascontiguousarray(image), np.ascontiguousarray(mask))


def _read(path: Path) -> U8:
    if not path.is_file():
        raise ConfigError(f"{path} does not exist; name the .npz of Mars Terrain Images")
    data = read_regular_file(path, FILE_LIMIT_BYTES)
    try:
        values = read_npz(data, [ARRAY], limit_bytes=FILE_LIMIT_BYTES)[ARRAY]
    except ConfigError as error:
        raise ConfigError(f"{path} is not an .npz with the array {ARRAY!r}: it {error}") from error
    if values.ndim != 4 or values.shape[1] != 2 or not values.size:
        raise ConfigError(f"{path}: {ARRAY} has shape {values.shape}, expected (N, 2, 64, 128)")
    if values.dtype != np.uint8:
        rounded = np.rint(values)
        exact = np.isfinite(values).all() and (rounded == values).all()
        if not exact or values.min() < 0 or values.max() > 255:
            raise ConfigError(
                f"{path}: {ARRAY} has {values.dtype} from {values.min()} to {values.max()}, "
                "expected whole numbers from 0 to 255"
            )
        values = rounded.astype(np.uint8)
    return np.asarray(values, dtype=np.uint8)
