"""Depth and range beside the images: matched by stamp, judged against the plane."""

import numpy as np
import pytest

from support.decoders import decode_cloud
from support.rover import (
    HEIGHT_PX,
    OPTICAL,
    SECOND_NS,
    START_NS,
    STATIC,
    WIDTH_PX,
    Rover,
    image_message,
    through_cdr,
    transform_message,
)
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.ground.measurement import DepthImage
from terrain_seg_ros.messages.cdr import message_class
from terrain_seg_ros.messages.cloud_message import encode_points
from terrain_seg_ros.messages.depth_message import encode_depth
from terrain_seg_ros.messages.grid_message import decode_grid
from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime.ground_measurements import KEPT, RESIDUAL, SMALLEST_HAZARD
from terrain_seg_ros.runtime.health import Note, Refusal

PITCH_RAD, HEIGHT_M, FOV_RAD = 0.35, 2.0, 1.0
MILLISECOND_NS = 1_000_000


def rover(source, **changes):
    return Rover(
        {**STATIC, "horizontal_fov_rad": FOV_RAD, "depth.source": source, **changes},
    )


def plane_depth(offset_m=0.0):
    """Return the depth of level ground as the static mounting sees it, raised by an offset."""
    focal = WIDTH_PX / 2.0 / np.tan(FOV_RAD / 2.0)
    down = (np.arange(HEIGHT_PX) - (HEIGHT_PX - 1) / 2.0) / focal
    falls = np.sin(PITCH_RAD) + down * np.cos(PITCH_RAD)
    with np.errstate(divide="ignore"):
        depth = np.where(falls > 0.0, (HEIGHT_M - offset_m) / falls, np.nan)
    return np.repeat(depth[:, None], WIDTH_PX, axis=1).astype(np.float32)


def depth_message(stamp_ns=START_NS, depth=None):
    depth = plane_depth() if depth is None else depth
    header = make_header(message_class, stamp_ns, OPTICAL)
    message = encode_depth(message_class, DepthImage(depth, stamp_ns), header)
    return through_cdr(message, "sensor_msgs/msg/Image")


def range_message(value, stamp_ns=START_NS, frame="altimeter"):
    return message_class("sensor_msgs/msg/Range")(
        header=make_header(message_class, stamp_ns, frame),
        radiation_type=1,
        field_of_view=0.1,
        min_range=0.1,
        max_range=100.0,
        range=value,
        variance=0.0,
    )


def state(node):
    snapshot = node.health.snapshot()
    notes = set(snapshot.recent_notes) & {Note.NO_DEPTH, Note.OFF_PLANE}
    return snapshot.gauges.get(RESIDUAL), notes


@pytest.mark.parametrize(
    ("offset_m", "notes"), [(0.0, set()), (0.2, set()), (0.5, {Note.OFF_PLANE})]
)
def test_depth_tells_how_far_the_plane_is_off(offset_m, notes):
    node = rover("image")
    node.node.take("depth", "navcam", depth_message(depth=plane_depth(offset_m)))
    given = node.send(image_message())
    assert "hazard_grid" in given
    value, found = state(node)
    assert value == pytest.approx(offset_m, abs=0.03)
    assert found == notes


def test_the_grid_is_that_of_the_plane_with_and_without_depth():
    with_depth, without = rover("image"), rover("none")
    with_depth.node.take("depth", "navcam", depth_message(depth=plane_depth(0.5)))
    grids = [
        decode_grid(node.send(image_message())["hazard_grid"]).values
        for node in (with_depth, without)
    ]
    np.testing.assert_array_equal(*grids)


@pytest.mark.parametrize("late_ms", [-99, -10, 0, 99])
def test_the_nearest_depth_within_the_offset_is_taken(late_ms):
    node = rover("image")
    for ms, offset_m in ((late_ms, 0.2), (late_ms - 220, 1.0), (late_ms + 220, 1.0)):
        stamp = START_NS + SECOND_NS + ms * MILLISECOND_NS
        node.node.take("depth", "navcam", depth_message(stamp, plane_depth(offset_m)))
    node.send(image_message(START_NS + SECOND_NS))
    assert state(node) == (pytest.approx(0.2, abs=0.03), set())


def test_an_image_without_depth_is_noted_and_works():
    node = rover("image")
    node.node.take("depth", "navcam", depth_message(START_NS - SECOND_NS))
    assert "hazard_grid" in node.send(image_message())
    assert state(node) == (None, {Note.NO_DEPTH})
    assert node.refused == {}


def test_without_a_source_nothing_is_kept_or_said():
    node = rover("none")
    node.node.take("depth", "navcam", depth_message())
    node.send(image_message())
    assert state(node) == (None, set())


@pytest.mark.parametrize(
    "message",
    [image_message(), depth_message(depth=np.ones((8, 8), dtype=np.float32))],
    ids=["a picture", "another size"],
)
def test_bad_depth_is_counted_and_the_mask_goes_out(message):
    node = rover("image")
    node.node.take("depth", "navcam", message)
    assert "mask" in node.send(image_message())
    assert sum(node.refused.values()) == 1
    later = START_NS + SECOND_NS
    node.node.take("depth", "navcam", depth_message(later))
    assert "hazard_grid" in node.send(image_message(later))
    assert state(node)[0] == pytest.approx(0.0, abs=0.03)


def test_a_range_is_placed_by_tf():
    node = rover("range")
    identity_down = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    node.intake.add(transform_message("odom", "base_link", START_NS), static=True)
    node.intake.add(
        transform_message(
            "base_link", "altimeter", 0, translation_m=(0.0, 0.0, 1.0), rotation=identity_down
        ),
        static=True,
    )
    node.node.take("depth", "", range_message(0.9))
    node.send(image_message())
    assert state(node) == (pytest.approx(0.1, abs=1e-6), set())


def test_a_range_that_cannot_be_placed_or_saw_nothing_does_no_harm():
    node = rover("range")
    node.node.take("depth", "", range_message(0.9, frame="nowhere"))
    assert "hazard_grid" in node.send(image_message())
    assert node.refused == {Refusal.BAD_DEPTH: 1}
    assert "nowhere" in node.text
    later = START_NS + SECOND_NS
    node.node.take("depth", "", range_message(float("inf"), later))
    assert "hazard_grid" in node.send(image_message(later))
    assert node.refused == {Refusal.BAD_DEPTH: 1}
    assert state(node)[1] == {Note.NO_DEPTH}


def test_limits_change_while_running():
    node = rover("image")
    node.node.change({"depth.max_residual_m": 0.1, "depth.max_offset_s": 2.0})
    node.node.take("depth", "navcam", depth_message(START_NS - SECOND_NS, plane_depth(0.2)))
    node.send(image_message())
    assert state(node) == (pytest.approx(0.2, abs=0.03), {Note.OFF_PLANE})


def test_what_waits_is_bounded():
    node = rover("image")
    first = START_NS - 10 * SECOND_NS
    for index in range(KEPT + 1):
        node.node.take("depth", "navcam", depth_message(first + index * SECOND_NS))
    node.node.change({"depth.max_offset_s": 0.1})
    node.send(image_message(first))
    assert state(node) == (None, {Note.NO_DEPTH})
    node.node.take("depth", "nobody", depth_message())


def cloud_message(stamp_ns=START_NS, *, frame=OPTICAL, points=None):
    """Return a cloud of level ground, one point per pixel, in the optical frame."""
    if points is None:
        depth = plane_depth()
        focal = WIDTH_PX / 2.0 / np.tan(FOV_RAD / 2.0)
        v, u = np.indices(depth.shape)
        x, y = ((axis - (size - 1) / 2.0) / focal for axis, size in ((u, WIDTH_PX), (v, HEIGHT_PX)))
        points = np.stack([x * depth, y * depth, depth], axis=-1)
    empty = np.zeros(points.shape[:2], dtype=np.uint8)
    header = make_header(message_class, stamp_ns, frame)
    message = encode_points(
        message_class, points.astype(np.float32), empty, confidence=empty, header=header
    )
    return through_cdr(message, "sensor_msgs/msg/PointCloud2")


def observed(given):
    return int((decode_grid(given["hazard_grid"]).values >= 0).sum())


def test_a_cloud_tells_how_far_the_plane_is_off():
    node = rover("cloud")
    node.node.take("depth", "navcam", cloud_message())
    assert "hazard_grid" in node.send(image_message())
    value, found = state(node)
    assert value == pytest.approx(0.0, abs=0.06)
    assert found == set()


def test_a_cloud_is_placed_by_tf_and_refused_without():
    node = rover("cloud")
    node.node.take("depth", "navcam", cloud_message(frame="lidar"))
    assert "hazard_grid" in node.send(image_message())
    assert node.refused == {Refusal.BAD_DEPTH: 1}
    assert "cloud cannot be placed" in node.text
    node.intake.add(transform_message("odom", "base_link", START_NS), static=True)
    down = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    node.intake.add(
        transform_message("base_link", "lidar", 0, translation_m=(2.0, 0.0, 3.0), rotation=down),
        static=True,
    )
    later = START_NS + SECOND_NS
    x, y = np.meshgrid(np.linspace(-2.0, 10.0, 200), np.linspace(-5.0, 5.0, 200))
    # 3.2 m along the sensor's x axis, which points down: 0.2 m below the plane.
    points = np.stack([np.full(x.shape, 3.2), y, x], axis=-1)
    node.node.take("depth", "navcam", cloud_message(later, frame="lidar", points=points))
    node.send(image_message(later))
    assert state(node)[0] == pytest.approx(-0.2, abs=0.06)


@pytest.mark.parametrize("source", ["image", "cloud"])
def test_the_ground_is_what_was_measured(source):
    on_plane = rover("none")
    plane_cells = observed(on_plane.send(image_message()))
    node = rover(source, **{"ground.source": "depth"})
    message = depth_message() if source == "image" else cloud_message()
    node.node.take("depth", "navcam", message)
    # Trust ends where the pixels of this small image are too coarse, before the tensor's are.
    assert observed(node.send(image_message())) > 0.2 * plane_cells
    assert state(node)[0] is None
    later = START_NS + SECOND_NS
    given = node.send(image_message(later))
    assert "hazard_grid" in given
    assert state(node)[1] == {Note.NO_DEPTH}


def test_points_are_the_measured_ones():
    node = rover("image", **{"ground.source": "depth"})
    depth = plane_depth(0.5)
    node.node.take("depth", "navcam", depth_message(depth=depth))
    points = decode_cloud(node.send(image_message())["points"]).points_m
    seen = np.isfinite(points[..., 2])
    assert seen.mean() > 0.2
    np.testing.assert_allclose(points[..., 2][seen], depth[seen], rtol=1e-5)


def test_depth_that_is_nan_everywhere_leaves_the_grid_unobserved():
    node = rover("image", **{"ground.source": "depth"})
    nothing = np.full((HEIGHT_PX, WIDTH_PX), np.nan, dtype=np.float32)
    node.node.take("depth", "navcam", depth_message(depth=nothing))
    given = node.send(image_message())
    assert observed(given) == 0
    assert not node.refused
    assert not np.isfinite(decode_cloud(given["points"]).points_m).any()


def test_the_ground_is_as_low_as_the_echo_says():
    node = rover("range", **{"ground.plane": "range_plane", "ground.plane_height_m": 50.0})
    identity_down = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    node.intake.add(transform_message("odom", "base_link", START_NS), static=True)
    node.intake.add(
        transform_message("base_link", "altimeter", 0, rotation=identity_down), static=True
    )
    assert observed(node.send(image_message())) == 0
    assert state(node)[1] == {Note.NO_DEPTH}
    smallest = []
    for index, low_m in enumerate((0.2, 3.0)):
        stamp = START_NS + (index + 1) * SECOND_NS
        node.node.take("depth", "", range_message(low_m, stamp))
        assert observed(node.send(image_message(stamp))) > 0
        smallest.append(node.health.snapshot().gauges[SMALLEST_HAZARD])
    assert smallest[1] > smallest[0]


def test_a_jump_of_the_vehicle_clears_the_grid_and_is_noted():
    node = rover("none", **{"grid.max_speed_mps": 5.0})
    node.intake.add(transform_message("odom", "base_link", START_NS), static=False)
    first = observed(node.send(image_message()))
    later = START_NS + SECOND_NS
    moved = transform_message("odom", "base_link", later, translation_m=(6.0, 2.0, 0.0))
    node.intake.add(moved, static=False)
    assert observed(node.send(image_message(later))) == first
    assert Note.POSE_JUMP in node.health.snapshot().recent_notes


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ground.source": "depth"}, "depth.source is 'none'"),
        ({"ground.source": "depth", "depth.source": "range"}, "set it to image or cloud"),
        ({"ground.plane": "range_plane", "depth.source": "image"}, "set it to range"),
    ],
)
def test_ground_that_nothing_measures_is_refused(changes, said):
    with pytest.raises(ConfigError, match=said):
        load_parameters(overrides=changes)
