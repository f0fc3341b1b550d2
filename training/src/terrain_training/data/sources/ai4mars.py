"""AI4Mars (Swan et al., 2021), Curiosity NavCam, as it is published or at 256 pixels.

    published: msl/images/edr/STEM.JPG   msl/labels/train/STEM.png
               msl/labels/test/masked-gold-min3-100agree/STEM_merged.png
    256:       images/STEM.jpg masks/STEM.png train.txt val.txt

Training and validation are parted by the rover's clock: a session of the rover lies on one side
whole. Published masks hold 0 soil, 1 bedrock, 2 sand, 3 big rock, 255 nothing; the rover itself
(msl/images/mxy) and what is beyond 30 m (msl/images/rng-30m) are left out where those masks are.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_seg_ros.core.types import U8
from terrain_training.data.contract import BadSampleError, Sample
from terrain_training.data.files import find_pictures, read_colours, read_ids, read_picture
from terrain_training.data.rover_clock import ClockSplit, sessions_of, split_by_rover_clock
from terrain_training.data.splits import part_of

TAXONOMY = Taxonomy(
    (
        TerrainClass(0, "soil", (176, 132, 92), 0.02),
        TerrainClass(1, "bedrock", (110, 142, 168), 0.1),
        TerrainClass(2, "sand", (232, 200, 108), 0.4),
        TerrainClass(3, "big_rock", (204, 52, 44), 1.0),
    )
)
GOLD = "masked-gold-min3-100agree"
_MERGED = "_merged"


class Ai4Mars:
    """Read either layout; the split `gold` holds the expert labels, where they are there."""

    def __init__(self, root: Path, *, gold: str = GOLD, seed: int = 42) -> None:
        """Find the files.

        Args:
            root: of the data set.
            gold: which of the published expert folders counts as `gold`.
            seed: of the split.

        Raises:
            ConfigError: the folder is laid out otherwise.
        """
        self._files: dict[str, tuple[Path, Path]] = {}
        self._hidden: tuple[Path, ...] = ()
        self._parts: dict[str, list[str]] = {}
        self._sessions: dict[str, str] = {}
        if (root / "msl").is_dir():
            self._find_published(root / "msl", gold, seed)
        else:
            split = _read_split(root, seed=seed)
            self._parts = {"train": list(split.train), "validation": list(split.validation)}
            for stem in (*split.train, *split.validation):
                self._files[stem] = (
                    root / "images" / f"{stem}.jpg",
                    root / "masks" / f"{stem}.png",
                )

    @property
    def taxonomy(self) -> Taxonomy:
        """Return soil, bedrock, sand and big rock."""
        return TAXONOMY

    def splits(self) -> tuple[str, ...]:
        """Return train and validation, and gold where expert labels are there."""
        return tuple(self._parts)

    def names(self, split: str) -> list[str]:
        """Return the names of a split; NASA's product names."""
        return part_of(self._parts, split)

    def group(self, name: str) -> str:
        """Return the session of the rover that an image belongs to, by its first image."""
        if not self._sessions:
            sessions = sessions_of(self._parts["train"])
            self._sessions = {stem: session[0] for session in sessions for stem in session}
        return self._sessions.get(name, name)

    def load(self, name: str) -> Sample:
        """Return a grey image and its mask."""
        image_path, mask_path = self._files[name]
        image = read_picture(image_path)
        if image.ndim == 3:
            image = np.ascontiguousarray(image[..., 0])
        mask = read_ids(mask_path)
        for folder in self._hidden:
            mask = _without(mask, folder / f"{name.removeprefix('gold/')}.png")
        return Sample(name, image, mask)

    def _find_published(self, root: Path, gold: str, seed: int) -> None:
        images = find_pictures(root / "images" / "edr")
        labels = find_pictures(root / "labels" / "train")
        for stem, path in labels.items():
            self._files[stem] = (images.get(stem, root / "images" / "edr" / f"{stem}.JPG"), path)
        split = split_by_rover_clock(sorted(labels), [], seed=seed)
        self._parts = {"train": list(split.train), "validation": list(split.validation)}
        folder = root / "labels" / "test" / gold
        if folder.is_dir():
            stems = []
            for stem, path in find_pictures(folder).items():
                plain = stem.removesuffix(_MERGED)
                self._files[f"gold/{plain}"] = (
                    images.get(plain, root / "images" / "edr" / f"{plain}.JPG"),
                    path,
                )
                stems.append(f"gold/{plain}")
            self._parts["gold"] = stems
        self._hidden = tuple(
            root / "images" / part
            for part in ("mxy", "rng-30m")
            if (root / "images" / part).is_dir()
        )


def _without(mask: U8, path: Path) -> U8:
    """Return the mask without what another mask marks (not zero), where there is one."""
    if not path.is_file():
        return mask
    marked = read_colours(path).max(axis=2) > 0
    if marked.shape != mask.shape:
        raise BadSampleError(
            f"{path}: is {marked.shape}, but the labels are {mask.shape}; make both of one size"
        )
    return np.where(marked, np.uint8(IGNORE), mask)


def _read_split(root: Path, *, seed: int) -> ClockSplit:
    """Return the rover-clock split of the folder's train.txt and val.txt."""
    return split_by_rover_clock(
        _read_list(root / "train.txt"), _read_list(root / "val.txt"), seed=seed
    )


def _read_list(path: Path) -> list[str]:
    if not path.is_file():
        raise ConfigError(f"{path} is missing; point --data at the AI4Mars 256-pixel folder")
    return path.read_text(encoding="utf-8").split()
