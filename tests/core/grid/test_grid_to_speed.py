import numpy as np
import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.grid.cell_evidence import CellView
from terrain_seg_ros.core.grid.grid_settings import GridSettings
from terrain_seg_ros.core.grid.grid_to_cost import CostSettings, grid_to_cost
from terrain_seg_ros.core.grid.grid_to_speed import NO_LIMIT, SpeedSettings, grid_to_speed
from terrain_seg_ros.core.grid.rolling_grid import RollingGrid
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass

TAXONOMY = Taxonomy(
    tuple(
        TerrainClass(number, name, (0, 0, 0), hazard)
        for number, (name, hazard) in enumerate([("soil", 0.0), ("sand", 0.2), ("rock", 1.0)])
    )
)
COST = CostSettings(hazard_threshold=0.5, min_evidence=0.5, graded=True)


def limits(evidence, percents, unobserved=50.0):
    """Return the speed limits of one row of cells with the evidence (M, K)."""
    side = len(evidence)
    shape = GridSettings(
        frame_id="odom",
        resolution_m=1.0,
        size_m=float(side),
        decay_s=0.0,
        decay_m=0.0,
        max_evidence=10.0,
        keep_hazards=False,
        min_hazard_share=0.5,
        half_weight_range_m=10.0,
    )
    grid = RollingGrid(shape, len(TAXONOMY))
    cols = np.arange(side)
    evidence_km = np.array(evidence, dtype=np.float32).T.copy()
    grid.add(CellView(np.zeros_like(cols), cols, evidence_km))
    snapshot = grid_to_cost(grid, COST, hazards=TAXONOMY.hazards(), stamp_ns=0)
    per_class = SpeedSettings(percents, unobserved).per_class(TAXONOMY)
    return grid_to_speed(grid, snapshot, per_class, unobserved_percent=unobserved)


def test_sand_is_slow_soil_is_not_and_a_mixture_lies_between():
    found = limits([[1, 0, 0], [0, 2, 0], [1, 1, 0]], {"sand": 40.0})[0]
    assert found.tolist() == [NO_LIMIT, 40, 70]


def test_limits_are_rounded_down_but_never_to_no_limit():
    found = limits([[2, 1, 0], [0, 1, 0], [0, 0, 1]], {"sand": 1.0, "rock": 99.9})[0]
    assert found.tolist() == [67, 1, 99]


@pytest.mark.parametrize(("percent", "expected"), [(50.0, 50), (100.0, NO_LIMIT), (1.0, 1)])
def test_cells_that_are_not_observed_get_their_own_limit(percent, expected):
    found = limits([[0.4, 0, 0], [0, 0, 0]], {"soil": 20.0}, unobserved=percent)
    assert (found == expected).all()


def test_an_unknown_class_is_named():
    with pytest.raises(ConfigError, match=r"lava.*sand"):
        SpeedSettings({"lava": 10.0}, 100.0).per_class(TAXONOMY)


@pytest.mark.parametrize("value", [0.0, 100.5, float("nan")])
def test_a_limit_out_of_range_is_named(value):
    with pytest.raises(ConfigError, match="sand"):
        SpeedSettings({"sand": value}, 100.0)
    with pytest.raises(ConfigError, match="unobserved"):
        SpeedSettings({}, value)
