import numpy as np
import pytest

from terrain_seg_ros.core.errors import GeometryError, MessageError
from terrain_seg_ros.core.geometry.camera import camera_from_field_of_view
from terrain_seg_ros.core.geometry.frames import BODY_R_OPTICAL, rotation_from_rpy
from terrain_seg_ros.core.ground.mask_to_ground import GroundProjector, GroundSettings
from terrain_seg_ros.core.ground.measurement import DepthImage, GroundPoint
from terrain_seg_ros.core.image.image_to_tensor import TensorGeometry
from terrain_seg_ros.core.types import Transform

CAMERA = camera_from_field_of_view(width_px=160, height_px=120, horizontal_fov_rad=1.2)
STRETCH = TensorGeometry(2.5, 1.875, 0.0, 0.0, 64, 64, 160, 120)
CROP = TensorGeometry(1.0, 1.0, 20.0, 40.0, 80, 80, 160, 120)
LETTERBOX = TensorGeometry(2.5, 2.5, 0.0, -20.0, 64, 64, 160, 120)
HEIGHT_M = 1.5


def pose(roll=0.0, pitch=0.0, yaw=0.0, x=0.0, y=0.0, z=0.0):
    return Transform(rotation_from_rpy(roll, pitch, yaw), np.array([x, y, z], dtype=float))


def mounting():
    rotation = rotation_from_rpy(0.0, 0.4, 0.0) @ BODY_R_OPTICAL
    return Transform(rotation, np.array([0.2, 0.0, HEIGHT_M]))


def projector(plane="vehicle_plane"):
    settings = GroundSettings(
        "plane",
        plane,
        "base_link",
        0.0,
        max_range_m=12.0,
        max_ground_sample_m=5.0,
        range_sigma_m=0.0,
        range_sigma_per_m2=0.0,
        max_depth_sample_m=1000.0,
    )
    return GroundProjector(settings, cell_m=0.1)


def true_depth(grid_T_camera, origin_m, normal):
    """Return the depth of the plane through a point at every pixel, by an independent solution."""
    v, u = np.indices((CAMERA.height_px, CAMERA.width_px))
    rays = np.stack(
        [(u - CAMERA.cx_px) / CAMERA.fx_px, (v - CAMERA.cy_px) / CAMERA.fy_px, np.ones(u.shape)], -1
    )
    falls = rays @ (grid_T_camera.rotation.T @ normal)
    depth = (normal @ (origin_m - grid_T_camera.translation_m)) / falls
    return np.where(depth > 0.0, depth, np.nan).astype(np.float32)


def residual(measured, grid_T_base, geometry=STRETCH, plane="vehicle_plane"):
    return projector(plane).residual(
        CAMERA,
        geometry,
        measured,
        grid_T_camera=grid_T_base @ mounting(),
        grid_T_base=grid_T_base,
    )


@pytest.mark.parametrize("geometry", [STRETCH, CROP, LETTERBOX])
@pytest.mark.parametrize("offset_m", [0.0, 0.25, -0.4])
def test_ground_above_or_below_the_plane_is_measured_as_such(geometry, offset_m):
    base = pose(roll=0.1, pitch=-0.15, yaw=2.0, x=1e5, y=-2e4, z=30.0)
    normal = base.rotation[:, 2]
    depth = true_depth(base @ mounting(), base.translation_m + offset_m * normal, normal)
    found = residual(DepthImage(depth, 0), base, geometry)
    assert found.count > 50
    assert found.median_m == pytest.approx(offset_m, abs=0.02)


def test_holes_do_not_count_and_nothing_measured_gives_nothing():
    base = pose()
    depth = true_depth(base @ mounting(), np.zeros(3), np.array([0.0, 0.0, 1.0]))
    whole = residual(DepthImage(depth, 0), base)
    depth[:, ::2] = np.nan
    depth[::3] = np.nan
    holes = residual(DepthImage(depth, 0), base)
    assert 0 < holes.count < whole.count
    assert holes.median_m == pytest.approx(0.0, abs=0.02)
    assert residual(DepthImage(np.full_like(depth, np.nan), 0), base) is None


@pytest.mark.parametrize("plane", ["vehicle_plane", "gravity_plane"])
def test_an_echo_s_height_is_along_the_plane_s_normal(plane):
    base = pose(pitch=0.2, x=5.0, z=2.0)
    normal = base.rotation[:, 2] if plane == "vehicle_plane" else np.array([0.0, 0.0, 1.0])
    echo = GroundPoint(base.translation_m + 0.3 * normal)
    found = residual(echo, base, plane=plane)
    assert (found.median_m, found.count) == (pytest.approx(0.3), 1)


def test_a_depth_image_of_another_size_is_refused():
    with pytest.raises(GeometryError, match=r"80 x 60.*160 x 120"):
        residual(DepthImage(np.ones((60, 80), dtype=np.float32), 0), pose())


def test_a_depth_image_has_two_dimensions():
    for wrong in (np.ones((2, 2, 2), np.float32), np.ones((2, 2)), np.ones((0, 3), np.float32)):
        with pytest.raises(MessageError, match="depth has shape"):
            DepthImage(wrong, 0)
