"""Albumentations pipelines as augmentations; the library is optional (extra `albumentations`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.types import U8
from terrain_training.extra import install_extra

NAME = "albumentations"
"""In recipes; its option is a pipeline that `albumentations.to_dict` or `.save` wrote."""
PACKAGE = "albumentations>=2.0.8,<3"


class AlbumentationsStep:
    """Apply a pipeline to an image (h, w, C) and its mask, seeded by the run's generator."""

    def __init__(self, pipeline: Any, *, where: str) -> None:
        """Take a pipeline of Albumentations 2.

        Args:
            pipeline: an `albumentations.Compose`.
            where: it stands, for messages.

        Raises:
            ConfigError: it is no pipeline, or gives pixels from outside the image a class.
        """
        if not hasattr(pipeline, "set_random_seed") or not hasattr(pipeline, "transforms"):
            raise ConfigError(
                f"{where} is a {type(pipeline).__name__}, expected an albumentations.Compose"
            )
        for transform in _transforms(pipeline):
            fill = getattr(transform, "fill_mask", None)
            if fill is not None and fill != IGNORE:
                raise ConfigError(
                    f"{where}: {type(transform).__name__} has fill_mask {fill}, which is a class; "
                    f"set fill_mask to {IGNORE} so that pixels from outside the image are ignored"
                )
        self._pipeline, self._where = pipeline, where

    def __call__(self, image: U8, mask: U8, random: np.random.Generator) -> tuple[U8, U8]:
        """Return a random variant.

        Raises:
            ConfigError: the pipeline changes shape or dtype.
        """
        self._pipeline.set_random_seed(int(random.integers(2**31)))
        made = self._pipeline(image=image, mask=mask)
        return checked_pair(made["image"], made["mask"], image, mask, where=self._where)


def checked_pair(
    image: Any, mask: Any, old_image: U8, old_mask: U8, *, where: str
) -> tuple[U8, U8]:
    """Return an image and mask that were changed, of the shapes and dtypes of the old ones.

    Raises:
        ConfigError: they are not; `where` names what changed them.
    """
    for name, new, old in (("image", image, old_image), ("mask", mask, old_mask)):
        if not isinstance(new, np.ndarray) or new.shape != old.shape or new.dtype != old.dtype:
            got = f"{new.shape} of {new.dtype}" if isinstance(new, np.ndarray) else type(new)
            raise ConfigError(
                f"{where} makes an {name} {got} of one {old.shape} of {old.dtype}; it must keep "
                "the size of the network's input"
            )
    return image, mask


def read_pipeline(content: object, *, key: str) -> Any:
    """Return the pipeline that Albumentations serialised as a mapping.

    Only transforms of the library are made; no other code runs.

    Raises:
        ConfigError: the library is missing, or the mapping is no pipeline of its version.
    """
    if not isinstance(content, Mapping) or "transform" not in content:
        raise ConfigError(
            f"recipe key {key} is not a serialised pipeline: give the file that "
            "albumentations.save(pipeline, FILE, data_format='yaml') writes, or its content"
        )
    library = _library(key)
    try:
        return library.from_dict(dict(content))
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"recipe key {key}: Albumentations {library.__version__} cannot make the pipeline "
            f"({error}); save it again with this version"
        ) from error


def _library(key: str) -> Any:
    try:
        import albumentations  # noqa: PLC0415  (optional)
    except ImportError as error:
        raise ConfigError(
            f"recipe key {key} needs the package albumentations, which is missing: "
            f"{install_extra('albumentations', package=PACKAGE)}"
        ) from error
    return albumentations


def _transforms(pipeline: Any) -> Iterator[Any]:
    """Yield the transforms of a pipeline, those in groups too."""
    for transform in pipeline.transforms:
        if hasattr(transform, "transforms"):
            yield from _transforms(transform)
        else:
            yield transform
