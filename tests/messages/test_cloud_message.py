import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.decoders import decode_cloud
from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.messages import cdr
from terrain_seg_ros.messages.cloud_message import (
    HAZARD_POINT_LIMIT,
    Cloud,
    decode_sensed_points,
    encode_hazard_points,
    encode_points,
)
from terrain_seg_ros.messages.header_message import make_header

CLOUD = "sensor_msgs/msg/PointCloud2"


def _cloud(rows, cols, seed=0):
    random = np.random.default_rng(seed)
    points = random.normal(size=(rows, cols, 3)).astype(np.float32)
    labels = random.integers(0, 256, (rows, cols), dtype=np.uint8)
    return Cloud(points, labels, random.integers(0, 256, (rows, cols), dtype=np.uint8))


def _points(types, cloud):
    header = make_header(types, 3, "camera_optical")
    return encode_points(
        types, cloud.points_m, cloud.labels, confidence=cloud.confidence, header=header
    )


def _hazards(types, cloud, low=0.0, high=0.0):
    header = make_header(types, 3, "odom")
    return encode_hazard_points(types, cloud, header, min_height_m=low, max_height_m=high)


def _assert_equal(first, second):
    for a, b in zip(first, second):
        np.testing.assert_array_equal(a, b)


def test_points_round_trip_with_holes(types, round_trip):
    cloud = _cloud(3, 5)
    cloud.points_m[1, 2] = np.nan
    message = round_trip(_points(types, cloud), CLOUD)
    _assert_equal(decode_cloud(message), cloud)
    assert (message.height, message.width, message.is_dense) == (3, 5, False)
    assert (message.point_step, message.row_step, len(message.data)) == (16, 80, 240)
    assert message.header.frame_id == "camera_optical"


def test_layout_of_a_point(types):
    cloud = Cloud(np.array([[[1.5, -2.0, 3.25]]], np.float32), np.uint8([[7]]), np.uint8([[200]]))
    message = _points(types, cloud)
    assert bytes(message.data) == struct.pack("<fffBBxx", 1.5, -2.0, 3.25, 7, 200)
    fields = [(f.name, f.offset, f.datatype, f.count) for f in message.fields]
    assert fields == [
        ("x", 0, 7, 1),
        ("y", 4, 7, 1),
        ("z", 8, 7, 1),
        ("label", 12, 2, 1),
        ("confidence", 13, 2, 1),
    ]
    assert message.is_bigendian is False


def test_decimated_views_are_written_in_order():
    cloud = _cloud(6, 8)
    small = Cloud(*(layer[::2, ::2] for layer in cloud))
    _assert_equal(decode_cloud(_points(cdr.message_class, small)), small)


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_sizes_that_differ_are_refused(wrong):
    layers = list(_cloud(3, 5))
    layers[wrong] = layers[wrong][:, :-1]
    with pytest.raises(MessageError, match="one point per mask pixel"):
        _points(cdr.message_class, Cloud(*layers))


def test_hazard_points_lie_between_the_heights(types, round_trip):
    cloud = _cloud(4, 5)
    before = cloud.points_m.copy()
    message = round_trip(_hazards(types, cloud, -0.5, 0.25), CLOUD)
    back = decode_cloud(message)
    expected = cloud.points_m.reshape(1, 20, 3).copy()
    expected[..., 2] = np.clip(expected[..., 2], -0.5, 0.25)
    _assert_equal(back, (expected, cloud.labels.reshape(1, 20), cloud.confidence.reshape(1, 20)))
    assert (message.height, message.width, message.is_dense) == (1, 20, True)
    np.testing.assert_array_equal(cloud.points_m, before)


def test_hazard_points_on_the_default_plane_have_z_zero():
    back = decode_cloud(_hazards(cdr.message_class, _cloud(4, 5)))
    assert not back.points_m[..., 2].any()


def test_points_that_are_not_finite_are_left_out():
    cloud = _cloud(1, 4)
    cloud.points_m[0, 1, 0] = np.nan
    cloud.points_m[0, 2, 2] = np.inf
    back = decode_cloud(_hazards(cdr.message_class, cloud))
    np.testing.assert_array_equal(back.labels, cloud.labels[:, [0, 3]])


def test_no_hazard_gives_an_empty_cloud(types, round_trip):
    message = round_trip(_hazards(types, _cloud(0, 3)), CLOUD)
    assert (message.height, message.width, message.row_step, len(message.data)) == (1, 0, 0, 0)
    assert decode_cloud(message).labels.shape == (1, 0)


@settings(max_examples=10)
@given(extra=st.integers(1, 60_000))
def test_many_hazard_points_are_thinned_evenly(extra):
    count = HAZARD_POINT_LIMIT + extra
    points = np.zeros((count, 3), np.float32)
    points[:, 0] = np.arange(count)
    zeros = np.zeros(count, np.uint8)
    x = decode_cloud(_hazards(cdr.message_class, Cloud(points, zeros, zeros))).points_m[0, :, 0]
    gaps = np.diff(x)
    assert x.size == HAZARD_POINT_LIMIT
    assert gaps.min() >= 1
    assert gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize(("low", "high"), [(1.0, 0.0), (float("nan"), 0.0)])
def test_heights_that_are_no_interval_are_refused(low, high):
    with pytest.raises(MessageError, match="obstacle heights"):
        _hazards(cdr.message_class, _cloud(1, 1), low, high)


def _sensed(points, *, order="<", offsets=(0, 4, 8), step=12, frame="lidar", **changes):
    """Return a message of points (rows, cols, 3) as a sensor sends it."""
    rows, cols = points.shape[:2]
    dtype = np.dtype(
        {
            "names": ["x", "y", "z"],
            "formats": [f"{order}f4"] * 3,
            "offsets": list(offsets),
            "itemsize": step,
        }
    )
    stored = np.zeros((rows, cols), dtype=dtype)
    for index, name in enumerate("xyz"):
        stored[name] = points[..., index]
    field = cdr.message_class("sensor_msgs/msg/PointField")
    values = {
        "header": make_header(cdr.message_class, 7, frame),
        "height": rows,
        "width": cols,
        "fields": [
            field(name=name, offset=offset, datatype=7, count=1)
            for name, offset in zip("xyz", offsets)
        ],
        "is_bigendian": order == ">",
        "point_step": step,
        "row_step": cols * step,
        "data": np.frombuffer(stored.tobytes(), dtype=np.uint8),
        "is_dense": False,
    }
    return cdr.message_class(CLOUD)(**{**values, **changes})


@given(
    order=st.sampled_from("<>"),
    gaps=st.tuples(*[st.integers(0, 5)] * 4),
    shape=st.tuples(st.integers(1, 4), st.integers(0, 5)),
    names=st.permutations("xyz"),
)
@settings(max_examples=60)
def test_points_of_any_sensor_are_read(order, gaps, shape, names):
    points = np.random.default_rng(sum(gaps)).normal(size=(*shape, 3)).astype(np.float32)
    if points.size:
        points[0, 0] = np.nan
    places, at = {}, 0
    for name, gap in zip(names, gaps):
        places[name] = at + gap
        at += gap + 4
    message = _sensed(
        points, order=order, offsets=[places[name] for name in "xyz"], step=at + gaps[3]
    )
    wire = cdr.deserialize(bytes(cdr.serialize(message, CLOUD)), CLOUD)
    found = decode_sensed_points(wire)
    np.testing.assert_array_equal(found.points_m, points.reshape(-1, 3))
    assert found.points_m.dtype == np.float32
    assert (found.stamp_ns, found.frame_id) == (7, "lidar")


def test_clouds_that_cannot_be_are_refused():
    points = np.zeros((1, 4, 3), dtype=np.float32)
    field = cdr.message_class("sensor_msgs/msg/PointField")
    double = [field(name=n, offset=8 * i, datatype=8, count=1) for i, n in enumerate("xyz")]
    for message, said in (
        (_sensed(points, frame=""), "frame_id"),
        (_sensed(points, fields=double), "usable field 'x'"),
        (_sensed(points, fields=[]), "usable field 'x'"),
        (_sensed(points, width=5), "row_step"),
        (_sensed(points, data=np.zeros(40, dtype=np.uint8)), "40 bytes"),
        (_sensed(points, point_step=0), "point_step"),
        (_sensed(points, point_step=10), "usable field 'z'"),
        (_sensed(points, height=2**31, width=2**31), "send fewer"),
    ):
        with pytest.raises(MessageError, match=said):
            decode_sensed_points(message)
