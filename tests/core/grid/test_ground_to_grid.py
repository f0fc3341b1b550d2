"""Test how one view becomes evidence: means, small rocks, weights, reasons."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.grids import evidence_of
from support.numpy_fusion import numpy_ground_to_grid
from terrain_seg_ros.core.errors import GeometryError
from terrain_seg_ros.core.grid.grid_settings import GridSettings
from terrain_seg_ros.core.grid.ground_to_grid import REASON_PRIORITY, ground_to_grid
from terrain_seg_ros.core.grid.rolling_grid import RollingGrid
from terrain_seg_ros.core.ground.ground_view import GroundView
from terrain_seg_ros.core.types import Reason, Segmentation

HAZARDS = np.array([0.0, 0.25, 1.0], dtype=np.float32)
SOIL, ROCK = (255, 0, 0), (0, 0, 255)


def grid(min_hazard_share=0.2, **changes):
    values = {
        "frame_id": "odom",
        "resolution_m": 1.0,
        "size_m": 8.0,
        "decay_s": 0.0,
        "decay_m": 0.0,
        "max_evidence": 1000.0,
        "keep_hazards": False,
        "min_hazard_share": min_hazard_share,
        "half_weight_range_m": 1e6,
    }
    return RollingGrid(GridSettings(**{**values, **changes}), 3)


def view(x_m, y_m, *, reason=None, range_m=None, anchor=(0.0, 0.0), fill=((), (), ())):
    x_m, y_m = (np.atleast_2d(np.array(v, dtype=np.float32)) for v in (x_m, y_m))
    reason = np.zeros(x_m.shape) if reason is None else np.array(reason)
    range_m = np.ones(x_m.shape) if range_m is None else np.array(range_m)
    return GroundView(
        range_m=range_m.astype(np.float32).reshape(x_m.shape),
        reason=reason.astype(np.uint8).reshape(x_m.shape),
        plane_x_m=x_m,
        plane_y_m=y_m,
        grid_R_plane=np.eye(3),
        anchor_m=np.array([*anchor, 0.0]),
        local_x_m=x_m,
        local_y_m=y_m,
        fill_pixel=np.array(fill[0], dtype=np.intp),
        fill_x_m=np.array(fill[1], dtype=np.float32),
        fill_y_m=np.array(fill[2], dtype=np.float32),
        ground_sample_m=np.full(x_m.shape, 0.01, dtype=np.float32),
    )


def says(pixels, confidence=255):
    """Return a segmentation (K, 1, N) from N tuples of probabilities x 255."""
    probabilities = np.array(pixels, dtype=np.uint8).T[:, np.newaxis, :]
    certain = np.broadcast_to(np.array(confidence, dtype=np.uint8), probabilities.shape[1:]).copy()
    mask = probabilities.argmax(axis=0).astype(np.uint8)
    return Segmentation(probabilities, mask, certain, mask, certain)


def fuse(target, seen, segmentation, threshold=0.5):
    ground_to_grid(
        target, seen, segmentation=segmentation, hazards=HAZARDS, hazard_threshold=threshold
    )
    return evidence_of(target)


def test_many_pixels_of_a_cell_count_as_one_view_of_their_mean():
    seen = view([0.1, 0.5, 0.9, 0.9], [0.1, 0.9, 0.5, 0.1])
    found = fuse(grid(), seen, says([SOIL, SOIL, (0, 255, 0), (0, 255, 0)]))
    np.testing.assert_allclose(found[4, 4], [0.5, 0.5, 0.0], atol=1e-6)
    assert found.sum() == pytest.approx(1.0)


@pytest.mark.requirement("TSR-SAFE-015")
@pytest.mark.parametrize(("rocks", "wins"), [(1, False), (2, True), (10, True)])
def test_a_small_rock_is_not_averaged_away(rocks, wins):
    seen = view(np.full(10, 0.5), np.full(10, 0.5))
    found = fuse(grid(), seen, says([ROCK] * rocks + [SOIL] * (10 - rocks)))[4, 4]
    np.testing.assert_allclose(found, [0, 0, 1] if wins else [0.9, 0.0, 0.1], atol=1e-6)


def test_a_small_safe_patch_does_not_win():
    seen = view(np.full(10, 0.5), np.full(10, 0.5))
    found = fuse(grid(), seen, says([SOIL] * 3 + [ROCK] * 7))[4, 4]
    np.testing.assert_allclose(found, [0.0, 0.0, 1.0], atol=1e-6)


def test_the_weight_is_the_confidence_halved_at_the_given_range():
    seen = view([0.5, 1.5, 2.5], [0.5] * 3, range_m=[1e-3, 10.0, 1e-3])
    found = fuse(
        grid(half_weight_range_m=10.0), seen, says([SOIL] * 3, confidence=[255, 255, 51])
    ).sum(axis=-1)[4, 4:7]
    np.testing.assert_allclose(found, [1.0, 0.5, 0.2], atol=2e-3)


def test_fill_points_show_what_their_pixel_shows():
    fill = ((1, 1, 2, 0), (1.5, 2.5, 3.5, 99.0), (1.5, 1.5, 1.5, 0.0))
    codes = [Reason.OBSERVED, Reason.OBSERVED, Reason.SHADOW]
    target = grid()
    seen = view([-0.5, 0.5, -1.5], [0.5] * 3, reason=codes, fill=fill)
    found = fuse(target, seen, says([SOIL, ROCK, SOIL]))
    np.testing.assert_allclose(found[5, 5:8], [[0, 0, 1], [0, 0, 1], [0, 0, 0]], atol=1e-6)
    assert found.sum() == pytest.approx(4.0)
    assert target.ratings.reason[5, 7] == Reason.SHADOW


def test_pixels_outside_the_grid_or_without_ground_give_nothing():
    seen = view([4.5, -4.01, np.nan, 0.5, 3.99], [0.5, 0.5, 0.5, np.nan, -4.0])
    found = fuse(grid(), seen, says([SOIL] * 5)).sum(axis=-1)
    assert found[0, 7] == pytest.approx(1.0)
    assert found.sum() == pytest.approx(1.0)
    everywhere = fuse(grid(), view([np.nan], [np.nan], reason=[1]), says([SOIL]))
    assert not everywhere.any()


def test_far_from_the_origin_cells_are_as_exact_as_near_it():
    far, anchor = grid(resolution_m=0.1, size_m=0.8), (1e6 + 0.05, -1e6 - 0.05)
    far.move_to(*anchor)
    offsets = np.arange(-3, 4) * 0.1
    found = fuse(far, view(offsets, -offsets, anchor=anchor), says([SOIL] * 7)).sum(axis=-1)
    expected = np.zeros((8, 8))
    for index in range(-3, 4):
        expected[4 - index, 4 + index] = 1.0
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.requirement("TSR-SAFE-002")
def test_unobserved_pixels_give_reasons_and_no_evidence():
    codes = [Reason.SHADOW, Reason.TOO_FAR, Reason.OBSERVED, Reason.LOW_CONFIDENCE]
    target = grid()
    found = fuse(target, view([0.5, 1.5, 2.5, 3.5], [0.5] * 4, reason=codes), says([SOIL] * 4))
    reason = target.ratings.reason
    assert reason[4, 4] == Reason.SHADOW
    assert reason[4, 5] == Reason.TOO_FAR
    assert reason[4, 7] == Reason.LOW_CONFIDENCE
    assert reason[0, 0] == Reason.OUTSIDE_VIEW
    np.testing.assert_allclose(found.sum(axis=-1)[4, 4:], [0, 0, 1, 0])


@given(codes=st.lists(st.sampled_from(REASON_PRIORITY), min_size=1, max_size=12))
def test_where_reasons_differ_the_plainest_wins(codes):
    target = grid()
    count = len(codes)
    seen = view(np.full(count, 0.5), np.full(count, 0.5), reason=codes)
    fuse(target, seen, says([SOIL] * count))
    assert target.ratings.reason[4, 4] == max(codes, key=REASON_PRIORITY.index)


def test_every_reason_a_pixel_can_have_is_ranked():
    silent = {Reason.OBSERVED, Reason.OUTSIDE_VIEW, Reason.STALE, Reason.NO_TRANSFORM}
    assert set(REASON_PRIORITY) == set(Reason) - silent


exact = st.integers(-320, 320).map(lambda value: value / 64)
pixels = st.lists(
    st.tuples(
        exact,
        exact,
        st.tuples(*[st.integers(0, 255)] * 3).filter(any),
        st.integers(0, 255),
        st.booleans(),
    ),
    min_size=1,
    max_size=60,
)


def _is_hazard(chances):
    by_class = chances[HAZARDS >= 0.5].sum() >= 0.5 * chances.sum()
    return by_class or chances @ HAZARDS >= 0.5 * chances.sum() - 1e-3


@given(pixels=pixels, share=st.sampled_from([0.01, 0.3, 1.0]))
@settings(max_examples=100)
def test_the_evidence_is_that_of_a_plain_count(pixels, share):
    x_m, y_m, probabilities, confidence, dark = (list(part) for part in zip(*pixels))
    reasons = [Reason.SHADOW if item else Reason.OBSERVED for item in dark]
    expected = np.zeros((8, 8, 3))
    cells = {}
    for px, py, chances, certain, hidden in pixels:
        row, col = int(np.floor(py)) + 4, int(np.floor(px)) + 4
        if not hidden and 0 <= row < 8 and 0 <= col < 8:
            cells.setdefault((row, col), []).append((np.array(chances, dtype=float), certain))
    for cell, members in cells.items():
        risky = [item for item in members if _is_hazard(item[0])]
        chosen = risky if risky and len(risky) >= share * len(members) else members
        total = sum(item[0] for item in chosen)
        weight = sum(item[1] for item in chosen) / len(chosen) / 255.0
        expected[cell] = weight * total / total.sum()
    seen = view(x_m, y_m, reason=reasons)
    found = fuse(grid(share), seen, says(probabilities, confidence=confidence))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@given(pixels=pixels, other=pixels)
@settings(max_examples=50)
def test_views_add_up(pixels, other):
    both, parts = grid(), np.zeros((8, 8, 3))
    for batch in (pixels, other):
        x_m, y_m, probabilities, confidence, _ = (list(part) for part in zip(*batch))
        segmentation = says(probabilities, confidence=confidence)
        fuse(both, view(x_m, y_m), segmentation)
        parts += fuse(grid(), view(x_m, y_m), segmentation)
    np.testing.assert_allclose(evidence_of(both), parts, rtol=1e-4, atol=1e-6)


@given(seed=st.integers(0, 2**32 - 1), share=st.sampled_from([0.01, 0.3, 1.0]))
@settings(max_examples=60)
def test_the_compiled_loops_equal_their_numpy_reference(seed, share):
    random = np.random.default_rng(seed)
    height, width, fills = random.integers(1, 12, 3)
    shape, scale = (height, width), random.choice([1.0, 3.0, 8.0])
    x_m, y_m, z_m = random.normal(0.0, scale, (3, *shape)).astype(np.float32)
    x_m[random.random(shape) < 0.1] = z_m[random.random(shape) < 0.1] = np.nan
    fill_m = random.normal(0.0, scale, (2, fills)).astype(np.float32)
    codes = random.choice([0, 0, 0, *range(2, 7), *range(9, 13)], shape)
    owner = random.integers(0, x_m.size, fills)
    range_m = random.uniform(0.0, 30.0, shape)
    anchor = random.uniform(-1.0, 1.0, 2)
    seen = view(x_m, y_m, reason=codes, range_m=range_m, anchor=anchor, fill=(owner, *fill_m))
    sample_m, sigma_m = random.uniform(0.0, 1.0, (2, *shape)).astype(np.float32)
    if random.random() < 0.5:
        seen = replace(seen, local_z_m=z_m, height_sigma_m=sigma_m, ground_sample_m=sample_m)
    probabilities = random.integers(0, 256, (3, *shape), dtype=np.uint8)
    mask, sure = random.integers(0, 256, (2, *shape), dtype=np.uint8)
    given = {
        "segmentation": Segmentation(probabilities, mask, sure, mask, sure),
        "hazards": HAZARDS,
        "hazard_threshold": random.choice([0.25, 0.5, 1.0]),
    }
    compiled, reference = (grid(share, half_weight_range_m=10.0, size_m=16.0) for _ in range(2))
    ground_to_grid(compiled, seen, **given)
    numpy_ground_to_grid(reference, seen, **given)
    for found, expected in zip(all_layers(compiled), all_layers(reference)):
        np.testing.assert_array_equal(found, expected)


def all_layers(grid):
    heights = grid.heights
    layers = [evidence_of(grid), grid.ratings.reason, grid.evidence.sample_m]
    return layers + [part for part in (heights.heights_m, heights.sigma_m) if part is not None]


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(GeometryError, match="expected"):
        fuse(grid(), view([0.5, 0.6], [0.5, 0.6]), says([SOIL]))


@pytest.mark.parametrize("count", [514, 515, 2000, 263_172, 263_200])
def test_any_number_of_pixels_in_a_cell_is_summed_up_exactly(count):
    seen = view(np.full(count, 0.5), np.full(count, 0.5))
    safe = np.broadcast_to(np.uint8([[[255]], [[254]], [[0]]]), (3, 1, count)).copy()
    sure = np.full((1, count), 255, np.uint8)
    said = Segmentation(safe, np.zeros_like(sure), sure, np.zeros_like(sure), sure)
    found = fuse(grid(), seen, said)[4, 4]
    np.testing.assert_allclose(found, [255 / 509, 254 / 509, 0.0], rtol=1e-6)


def test_the_sample_of_a_cell_is_what_its_pixels_say():
    target = grid()
    fill = ((1,), (2.5,), (2.5,))
    seen = view([0.5, 1.5, 3.5], [0.5] * 3, fill=fill, reason=[0, 0, Reason.SHADOW])
    samples = np.array([[0.25, 0.5, 0.75]], np.float32)
    fuse(target, replace(seen, ground_sample_m=samples), says([SOIL] * 3))
    assert target.evidence.sample_m[4, 4] == 0.25
    assert target.evidence.sample_m[4, 5] == target.evidence.sample_m[6, 6] == 0.5
    assert np.isnan(target.evidence.sample_m).sum() == 61
