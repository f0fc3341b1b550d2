"""Keep the newest intrinsics of each camera, or make them from a field of view."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from terrain_seg_ros.core.errors import TerrainSegError
from terrain_seg_ros.core.geometry.camera import CameraModel, camera_from_field_of_view
from terrain_seg_ros.core.types import CameraImage
from terrain_seg_ros.messages.camera_info_message import camera_calibration
from terrain_seg_ros.runtime.health import Refusal, RefusedError


class Intrinsics(NamedTuple):
    """A camera and whether it was made from a field of view."""

    camera: CameraModel
    assumed: bool


class CameraInfos:
    """One camera model per camera; all but `intrinsics` may come from another thread."""

    def __init__(self, horizontal_fov_rad: float, *, rectified: Collection[str] = ()) -> None:
        """Start without intrinsics.

        Args:
            horizontal_fov_rad: of cameras without camera_info; 0 demands one.
            rectified: cameras whose images are rectified.
        """
        self._horizontal_fov_rad = horizontal_fov_rad
        self._rectified = frozenset(rectified)
        self._models: dict[str, CameraModel] = {}
        self._refusals: dict[str, str] = {}

    def read(self, camera: str, message: Any) -> str:
        """Keep the newest intrinsics of a camera; return what was assumed to get them.

        Raises:
            TerrainSegError: they cannot be used; the previous ones are dropped.
        """
        try:
            found = camera_calibration(message, rectified=camera in self._rectified)
        except TerrainSegError as error:
            self.refuse(camera, str(error))
            raise
        self._models[camera] = found.camera
        self._refusals.pop(camera, None)
        return "; ".join(found.notes)

    def refuse(self, camera: str, text: str) -> None:
        """Drop the model of a camera, as its newest camera_info cannot be used."""
        self._models.pop(camera, None)
        self._refusals[camera] = text

    def intrinsics(self, camera: str, image: CameraImage) -> Intrinsics:
        """Return the camera that took an image.

        Raises:
            RefusedError: there is none, or its size contradicts the image's.
        """
        model = self._models.get(camera)
        if model is None:
            return Intrinsics(self._assumed(camera, image), assumed=True)
        if (model.width_px, model.height_px) != (image.width_px, image.height_px):
            raise RefusedError(
                Refusal.SIZE_MISMATCH,
                f"image of {camera!r} is {image.width_px} x {image.height_px} px but its "
                f"camera_info describes {model.width_px} x {model.height_px} px; check that both "
                "come from one camera, and its roi and binning",
            )
        return Intrinsics(model, assumed=False)

    def _assumed(self, camera: str, image: CameraImage) -> CameraModel:
        if self._horizontal_fov_rad <= 0.0:
            refusal = self._refusals.get(camera)
            state = f"only an unusable one came ({refusal})" if refusal else "none came yet"
            raise RefusedError(
                Refusal.NO_CAMERA_INFO,
                f"camera {camera!r} has no camera_info, {state}; publish it or set "
                "horizontal_fov_rad",
            )
        return camera_from_field_of_view(
            width_px=image.width_px,
            height_px=image.height_px,
            horizontal_fov_rad=self._horizontal_fov_rad,
        )
