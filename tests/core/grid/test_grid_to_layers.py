import numpy as np
import pytest

from terrain_seg_ros.core.grid.cell_evidence import CellView
from terrain_seg_ros.core.grid.grid_settings import GridSettings
from terrain_seg_ros.core.grid.grid_to_cost import CostSettings, grid_to_cost
from terrain_seg_ros.core.grid.grid_to_layers import HAZARD_LAYER, grid_to_layers
from terrain_seg_ros.core.grid.rolling_grid import RollingGrid
from terrain_seg_ros.core.types import Reason

HAZARDS = np.array([0.0, 0.2, 1.0], np.float32)
COST = CostSettings(hazard_threshold=0.5, min_evidence=0.5, graded=True)
SIDE = 6
SECOND_NS = 1_000_000_000


def grid_of():
    settings = GridSettings(
        frame_id="odom",
        resolution_m=1.0,
        size_m=float(SIDE),
        decay_s=0.0,
        decay_m=0.0,
        max_evidence=10.0,
        keep_hazards=False,
        min_hazard_share=0.5,
        half_weight_range_m=10.0,
    )
    return RollingGrid(settings, len(HAZARDS))


def see(grid, evidence, stamp_ns=0, **more):
    """Add a view of the first cells of row 0: the evidence (M, K)."""
    evidence_km = np.array(evidence, np.float32).T.copy()
    cols = np.arange(evidence_km.shape[1])
    grid.decay_to(stamp_ns)
    grid.add(CellView(np.zeros_like(cols), cols, evidence_km, **more))


def layers_of(grid, stamp_ns=0):
    snapshot = grid_to_cost(grid, COST, hazards=HAZARDS, stamp_ns=stamp_ns)
    return grid_to_layers(grid, snapshot), snapshot


def test_class_and_confidence_are_the_evidence_s_largest_share():
    grid = grid_of()
    see(grid, [[0, 0.2, 0.6], [0.2, 0.6, 0], [0, 0, 1], [0.2, 0.1, 0.1], [0, 0, 0]])
    see(grid, [[1, 0.2, 0]])
    layers, snapshot = layers_of(grid)
    nan = np.nan
    np.testing.assert_equal(layers["class"][0], [0.0, 1.0, 2.0, nan, nan, nan])
    np.testing.assert_allclose(layers["confidence"][0], [0.5, 0.75, 1.0, nan, nan, nan], rtol=1e-6)
    np.testing.assert_equal(layers[HAZARD_LAYER], snapshot.hazard)
    unknown = snapshot.cost == -1
    assert unknown[0].tolist() == [False, False, False, True, True, True]
    for name in (HAZARD_LAYER, "class", "confidence"):
        np.testing.assert_array_equal(np.isnan(layers[name]), unknown)


def test_every_layer_is_float32_of_the_grid_s_shape_and_outlives_the_next_view():
    grid = grid_of()
    see(grid, [[0.9, 0.1, 0]])
    layers, _ = layers_of(grid)
    before = {name: values.copy() for name, values in layers.items()}
    see(grid, [[0, 0, 5], [0, 0, 5]], SECOND_NS, sample_m=np.array([1.0, 1.0], np.float32))
    after, _ = layers_of(grid, SECOND_NS)
    for name, values in layers.items():
        assert (values.shape, values.dtype) == ((SIDE, SIDE), np.float32)
        np.testing.assert_array_equal(values, before[name])
        assert not np.array_equal(values, after[name], equal_nan=True)


def test_age_and_ground_sample_are_those_of_the_last_look():
    grid = grid_of()
    see(grid, [[1, 0, 0], [1, 0, 0]], sample_m=np.array([0.1, 0.2], np.float32))
    see(grid, [[1, 0, 0]], 3 * SECOND_NS, sample_m=np.array([0.4], np.float32))
    layers, _ = layers_of(grid, 5 * SECOND_NS)
    np.testing.assert_allclose(layers["age"][0, :3], [2.0, 5.0, np.nan])
    np.testing.assert_allclose(layers["ground_sample"][0, :3], [0.4, 0.2, np.nan])


@pytest.mark.requirement("TSR-SAFE-002")
def test_reasons_are_codes_and_zero_where_the_ground_is_observed():
    grid = grid_of()
    see(grid, [[1, 0, 0]])
    grid.set_reason(np.array([0, 1]), np.array([0, 1]), np.uint8(Reason.SHADOW))
    layers, _ = layers_of(grid)
    assert layers["reason"][0, 0] == Reason.OBSERVED
    assert layers["reason"][1, 1] == Reason.SHADOW
    assert layers["reason"][2, 2] == Reason.OUTSIDE_VIEW


def test_there_is_elevation_only_where_heights_were_measured():
    grid = grid_of()
    see(grid, [[1, 0, 0], [1, 0, 0]])
    assert "elevation" not in layers_of(grid)[0]
    grid.heights.level_m = 5.0
    see(grid, [[1, 0, 0]], height_m=np.array([0.5], np.float32))
    np.testing.assert_allclose(layers_of(grid)[0]["elevation"][0, :2], [5.5, np.nan])
