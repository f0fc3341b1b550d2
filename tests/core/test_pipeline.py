"""Test the stages in their order, with a backend that tells classes by brightness."""

from dataclasses import replace

import numpy as np
import pytest

from support.landing_grids import SLOPE, landing_settings
from support.novelty import reference_of
from terrain_seg_ros.core.backend import NetworkOutput
from terrain_seg_ros.core.errors import ConfigError, GeometryError
from terrain_seg_ros.core.geometry.camera import camera_from_field_of_view
from terrain_seg_ros.core.geometry.frames import BODY_R_OPTICAL, rotation_from_rpy
from terrain_seg_ros.core.grid.cost_to_safe_map import FootprintSettings, cost_to_safe_map
from terrain_seg_ros.core.grid.grid_settings import GridSettings
from terrain_seg_ros.core.grid.grid_to_cost import CostSettings
from terrain_seg_ros.core.grid.grid_to_speed import SpeedSettings
from terrain_seg_ros.core.ground.mask_to_ground import GroundSettings
from terrain_seg_ros.core.ground.view_shadow import ShadowSettings
from terrain_seg_ros.core.image.observability import ObservabilitySettings
from terrain_seg_ros.core.model_card import ModelCard
from terrain_seg_ros.core.pipeline import Pipeline
from terrain_seg_ros.core.pipeline_settings import PipelineSettings
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_seg_ros.core.types import CameraImage, Reason, Transform

SECOND = 1_000_000_000
SOIL, ROCK, DARK = 100, 200, 2
CAMERA = camera_from_field_of_view(width_px=128, height_px=96, horizontal_fov_rad=1.2)
BASE_T_CAMERA = Transform(
    rotation_from_rpy(0.0, 0.4, 0.0) @ BODY_R_OPTICAL, np.array([0.0, 0.0, 1.5])
)
CARD = ModelCard(
    name="brightness",
    version="1",
    sha256="0" * 64,
    height_px=48,
    width_px=64,
    channels="grey",
    resize="stretch",
    taxonomy=Taxonomy(
        (TerrainClass(0, "soil", (1, 2, 3), 0.0), TerrainClass(1, "rock", (4, 5, 6), 1.0))
    ),
    temperature=1.0,
    opset=17,
    metrics={},
    training={},
    limits=(),
)


class Brightness:
    name = "brightness"
    precision = "fp32"

    def __call__(self, tensor_nhwc_u8):
        rock = (tensor_nhwc_u8[..., 0] > 150).astype(np.uint8)
        return NetworkOutput(
            mask=rock,
            confidence=np.full_like(rock, 255),
            probabilities=np.stack([255 * (1 - rock), 255 * rock], axis=1),
        )

    def close(self):
        pass


def settings(*, cost=None, grid=None, ground=None, hazards=None, speeds=None, outline=()):
    grid_values = {
        "frame_id": "odom",
        "resolution_m": 0.2,
        "size_m": 20.0,
        "decay_s": 0.0,
        "decay_m": 0.0,
        "max_evidence": 10.0,
        "keep_hazards": False,
        "min_hazard_share": 0.3,
        "half_weight_range_m": 20.0,
    }
    ground_values = {
        "source": "plane",
        "plane": "vehicle_plane",
        "base_frame": "base_link",
        "plane_height_m": 0.0,
        "max_range_m": 8.0,
        "max_ground_sample_m": 1.0,
        "range_sigma_m": 0.0,
        "range_sigma_per_m2": 0.0,
        "max_depth_sample_m": 1000.0,
    }
    cost_values = {"hazard_threshold": 0.5, "min_evidence": 0.4, "graded": True}
    return PipelineSettings(
        ground=GroundSettings(**{**ground_values, **(ground or {})}),
        shadow=ShadowSettings(("auto",), 100.0),
        grid=GridSettings(**{**grid_values, **(grid or {})}),
        cost=CostSettings(**{**cost_values, **(cost or {})}),
        observability=ObservabilitySettings(0.3, 5, 250, 1.0),
        slope=SLOPE,
        footprint=FootprintSettings(0.5, 0.1, 2.0, outline),
        landing=landing_settings(),
        speed=SpeedSettings(speeds or {}, 50.0),
        hazards=hazards or {},
    )


def pipeline(**changes):
    return Pipeline(CARD, Brightness(), settings(**changes))


def picture():
    """Return soil with rocks on the left half and a dark band at the bottom."""
    pixels = np.full((96, 128), SOIL, dtype=np.uint8)
    pixels[:, :64] = ROCK
    pixels[80:] = DARK
    return CameraImage(pixels, 0, "camera")


def fuse(target, image=None, x_m=0.0, stamp_ns=0, camera=CAMERA, rotation=None):
    rotation = np.eye(3) if rotation is None else rotation
    base = Transform(rotation, np.array([x_m, 0.0, 0.0]))
    step = target.segment(image or picture())
    return target.fuse(
        step, camera, grid_T_camera=base @ BASE_T_CAMERA, grid_T_base=base, stamp_ns=stamp_ns
    )


def at(grid, x_m, y_m):
    col = int((x_m - grid.origin_x_m) / grid.resolution_m)
    row = int((y_m - grid.origin_y_m) / grid.resolution_m)
    return int(grid.cost[row, col]), Reason(grid.reason[row, col])


def test_left_of_the_vehicle_is_rock_right_of_it_soil_and_behind_it_nothing():
    found = fuse(pipeline(), stamp_ns=5)
    assert found.grid.stamp_ns == 5
    assert at(found.grid, 3.0, 0.7) == (100, Reason.OBSERVED)
    assert at(found.grid, 3.0, -0.7) == (0, Reason.OBSERVED)
    assert at(found.grid, -3.0, 0.7) == (-1, Reason.OUTSIDE_VIEW)
    rows, cols = np.nonzero(found.grid.reason == Reason.TOO_FAR)
    assert cols.min() * 0.2 - 10.0 > 6.0
    assert (found.grid.cost[rows, cols] == -1).all()
    assert at(found.grid, 1.5, -0.3) == (-1, Reason.SHADOW)


def test_every_stage_is_timed():
    target = pipeline()
    step = target.segment(picture())
    assert list(step.stage_ms) == ["resize", "inference", "upsample"]
    assert step.tensor.shape == (1, 48, 64, 1)
    assert step.segmentation.mask.shape == (96, 128)
    found = fuse(target)
    assert list(found.stage_ms) == ["project", "fuse", "cost"]
    assert min([*step.stage_ms.values(), *found.stage_ms.values()]) >= 0.0


def known_scene():
    """Return a pipeline whose network has learned from the test's picture alone."""
    tensor = pipeline().segment(picture()).tensor[0].copy()
    return Pipeline(replace(CARD, novelty=reference_of([tensor])), Brightness(), settings())


def test_a_view_unlike_the_training_is_not_observed():
    noise = np.random.default_rng(0).integers(0, 256, (96, 128)).astype(np.uint8)
    found = fuse(known_scene(), CameraImage(noise, 0, "camera"))
    assert (found.grid.cost == -1).all()
    assert at(found.grid, 3.0, 0.7) == (-1, Reason.NOVEL)
    assert Reason.OBSERVED not in found.patch.reason


def test_a_novel_view_leaves_what_was_seen_before():
    target = known_scene()
    fuse(target)
    noise = np.random.default_rng(0).integers(0, 256, (96, 128)).astype(np.uint8)
    found = fuse(target, CameraImage(noise, 0, "camera"), stamp_ns=5)
    assert at(found.grid, 3.0, 0.7) == (100, Reason.OBSERVED)


def test_a_view_like_the_training_is_observed_and_its_novelty_is_timed():
    target = known_scene()
    step = target.segment(picture())
    assert step.novelty == pytest.approx(0.0, abs=1e-3)
    assert list(step.stage_ms) == ["resize", "inference", "upsample", "novelty"]
    assert at(fuse(target).grid, 3.0, 0.7) == (100, Reason.OBSERVED)


def test_novelty_can_be_switched_off():
    target = known_scene()
    off = replace(settings().observability, max_novelty=0.0)
    target.apply_settings(replace(settings(), observability=off))
    noise = np.random.default_rng(0).integers(0, 256, (96, 128)).astype(np.uint8)
    found = fuse(target, CameraImage(noise, 0, "camera"))
    assert target.segment(picture()).novelty is None
    assert (found.grid.cost >= 0).any()


def test_reasons_of_ground_and_of_pixels_meet_in_the_patch():
    reason = fuse(pipeline()).patch.reason
    assert (reason[0] == Reason.TOO_FAR).all() or (reason[0] == Reason.OUTSIDE_VIEW).all()
    assert (reason[-1] == Reason.SHADOW).all()
    assert (reason == Reason.OBSERVED).any()


def test_a_drive_paints_the_ground_it_saw_and_keeps_it_behind():
    target = pipeline()
    for index in range(20):
        found = fuse(target, x_m=0.5 * index, stamp_ns=index * SECOND // 10)
    assert at(found.grid, 7.0, 0.7) == (100, Reason.OBSERVED)
    assert at(found.grid, 7.0, -0.7) == (0, Reason.OBSERVED)
    assert found.grid.origin_x_m == pytest.approx(9.4 - 10.0)


@pytest.mark.requirement("TSR-SAFE-005")
def test_a_rock_that_vanishes_behind_the_bumper_stays():
    drive = range(13)
    for keeps, expected in ((True, 100), (False, -1)):
        target = pipeline(grid={"decay_s": 1.0, "keep_hazards": keeps})
        for index in drive:
            found = fuse(target, x_m=0.5 * index, stamp_ns=index * SECOND)
        assert at(found.grid, 2.0, 0.7)[0] == expected
        assert at(found.grid, 2.0, -0.7) == (-1, Reason.STALE)


def test_a_lost_camera_leaves_hazards_that_are_kept():
    target = pipeline(grid={"keep_hazards": True})
    fuse(target)
    found = target.mark_unobserved(Reason.STALE, 9)
    assert at(found, 3.0, 0.7)[0] == 100
    assert at(found, 3.0, -0.7) == (-1, Reason.STALE)
    assert (target.mark_unobserved(Reason.OUTSIDE_VIEW, 9).cost == -1).all()


def test_the_footprint_turns_with_the_vehicle():
    long = FootprintSettings(0.0, 0.0, 0.0, ((0.1, 1.0), (-0.1, 1.0), (-0.1, -1.0), (0.1, -1.0)))
    target = pipeline()
    target.apply_settings(replace(settings(), footprint=long))
    found = {}
    for yaw_rad in (0.0, np.pi / 2.0):
        turn = Transform(rotation_from_rpy(0.0, 0.0, yaw_rad), np.zeros(3))
        step = target.segment(picture())
        seen = target.fuse(
            step, CAMERA, grid_T_camera=BASE_T_CAMERA, grid_T_base=turn, stamp_ns=0
        ).grid
        row, col = (int((value + 10.0) / 0.2) for value in (-0.7, 3.0))
        found[yaw_rad] = int(target.products.safe_map(seen)[row, col])
    assert found == {0.0: 100, np.pi / 2.0: 0}


def test_evidence_of_one_look_may_not_be_enough():
    target = pipeline(cost={"min_evidence": 1.5})
    assert at(fuse(target).grid, 3.0, -0.7) == (-1, Reason.LOW_CONFIDENCE)
    assert at(fuse(target).grid, 3.0, -0.7) == (0, Reason.OBSERVED)


def test_hazards_are_tuned_by_name_while_running():
    target = pipeline()
    assert target.taxonomy.hazards().tolist() == [0.0, 1.0]
    fuse(target)
    target.apply_settings(settings(hazards={"soil": 0.8, "rock": 0.25}))
    assert target.taxonomy.hazards().tolist() == pytest.approx([0.8, 0.25])
    empty = CameraImage(np.full((96, 128), DARK, dtype=np.uint8), 0, "camera")
    found = fuse(target, empty).grid
    assert at(found, 3.0, -0.7) == (100, Reason.OBSERVED)
    assert at(found, 3.0, 0.7) == (49, Reason.OBSERVED)


def test_settings_that_cannot_be_change_nothing():
    target = pipeline()
    with pytest.raises(ConfigError, match="lava"):
        target.apply_settings(settings(hazards={"lava": 1.0}, ground={"max_range_m": 1.0}))
    assert target.settings == settings()
    assert at(fuse(target).grid, 3.0, 0.7) == (100, Reason.OBSERVED)


def test_another_shape_starts_a_new_grid_and_other_rules_keep_it():
    target = pipeline()
    fuse(target)
    target.apply_settings(settings(grid={"decay_s": 5.0}, ground={"max_range_m": 4.0}))
    assert at(target.mark_unobserved(Reason.STALE, 1), 3.0, 0.7) == (-1, Reason.STALE)
    fuse(target)
    target.apply_settings(settings(grid={"resolution_m": 0.5}))
    assert fuse(target).grid.resolution_m == 0.5


def test_marking_unobserved_forgets_all_and_says_why():
    target = pipeline()
    fuse(target)
    found = target.mark_unobserved(Reason.NO_TRANSFORM, 9)
    assert found.stamp_ns == 9
    assert (found.cost == -1).all()
    assert (found.reason == Reason.NO_TRANSFORM).all()
    assert at(fuse(target).grid, 3.0, 0.7) == (100, Reason.OBSERVED)


@pytest.mark.parametrize("keep_hazards", [False, True])
def test_a_withdrawal_leaves_no_trace_in_the_next_view(keep_hazards):
    target, other = (pipeline(grid={"keep_hazards": keep_hazards}) for _ in range(2))
    target.mark_unobserved(Reason.STALE, 9)
    np.testing.assert_array_equal(fuse(target).grid.reason, fuse(other).grid.reason)


def test_a_reset_forgets_all_even_the_time():
    target = pipeline(grid={"decay_s": 1.0})
    fuse(target, stamp_ns=100 * SECOND)
    target.reset_grid()
    found = fuse(target, stamp_ns=SECOND)
    assert at(found.grid, 3.0, 0.7) == (100, Reason.OBSERVED)
    faded = fuse(target, CameraImage(np.full((96, 128), DARK, np.uint8), 0, "c"), 0.0, 9 * SECOND)
    assert at(faded.grid, 3.0, 0.7)[0] == -1


def test_a_contradiction_leaves_the_grid_as_it_was():
    target = pipeline()
    before = fuse(target)
    other = camera_from_field_of_view(width_px=64, height_px=96, horizontal_fov_rad=1.2)
    with pytest.raises(GeometryError, match="128 x 96"):
        fuse(target, x_m=5.0, camera=other)
    after = target._snapshot(0)
    np.testing.assert_array_equal(before.grid.cost, after.cost)
    assert before.grid.origin_x_m == after.origin_x_m


LONG = ((0.9, 0.3), (-0.9, 0.3), (-0.9, -0.3), (0.9, -0.3))


def test_an_outline_has_the_heading_of_the_newest_view():
    target = pipeline(outline=LONG)
    footprint = target.settings.footprint
    for heading_rad in (0.4, -2.0):
        grid = fuse(target, rotation=rotation_from_rpy(0.05, -0.1, heading_rad)).grid
        expected = cost_to_safe_map(grid.cost, footprint, resolution_m=0.2, heading_rad=heading_rad)
        np.testing.assert_array_equal(target.products.safe_map(grid), expected)
        assert (expected == 0).any()
        other = cost_to_safe_map(
            grid.cost, footprint, resolution_m=0.2, heading_rad=heading_rad + 1.0
        )
        assert (target.products.safe_map(grid) != other).any()


def test_a_vehicle_that_looks_straight_down_is_judged_at_any_heading():
    target = pipeline(outline=LONG)
    grid = fuse(target).grid
    assert (target.products.safe_map(grid) == 0).any()
    fuse(target, rotation=rotation_from_rpy(0.0, 1.5, 0.7))
    any_heading = cost_to_safe_map(grid.cost, target.settings.footprint, resolution_m=0.2)
    np.testing.assert_array_equal(target.products.safe_map(grid), any_heading)


def test_optical_points_have_image_size_or_less():
    target = pipeline()
    step = target.segment(picture())
    base = Transform(np.eye(3), np.zeros(3))
    for height, width in ((96, 128), (24, 32)):
        points = target.points_optical(
            step,
            CAMERA,
            height_px=height,
            width_px=width,
            grid_T_camera=BASE_T_CAMERA,
            grid_T_base=base,
        )
        assert points.shape == (height, width, 3)
        assert np.isfinite(points[-1]).all()
        assert np.isnan(points[0]).all()


def test_evidence_that_could_never_suffice_is_refused():
    with pytest.raises(ConfigError, match="min_evidence is 11"):
        settings(cost={"min_evidence": 11.0})
