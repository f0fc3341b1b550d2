import numpy as np
import pytest

from support.decoders import decode_cloud, decode_label_info
from support.rover import (
    HEIGHT_PX,
    OPTICAL,
    SECOND_NS,
    START_NS,
    STATIC,
    WIDTH_PX,
    Rover,
    image_message,
)
from support.tiny_model import write_tiny_model
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.types import Reason
from terrain_seg_ros.messages.cdr import serialize
from terrain_seg_ros.messages.diagnostics_message import Level, decode_diagnostics
from terrain_seg_ros.messages.header_message import LATEST_NS, stamp_ns
from terrain_seg_ros.messages.topic_spec import Direction
from terrain_seg_ros.messages.topics import topics
from terrain_seg_ros.runtime.health import Drop
from terrain_seg_ros.runtime.outboxes.outgoing import Bus
from terrain_seg_ros.runtime.outboxes.outputs import outgoing_topics

PERIOD_NS = SECOND_NS // 10


class Clock:
    now_s = 50.0

    def __call__(self):
        return self.now_s


def rover(changes=None, **options):
    made = Rover({**STATIC, **(changes or {})}, **options)
    made.send_info()
    return made


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return str(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny", size=64))


def half_rocky():
    """Return an image whose right half the tiny model calls big_rock (and the left sand)."""
    pixels = np.full((HEIGHT_PX, WIDTH_PX), 160, dtype=np.uint8)
    pixels[:, WIDTH_PX // 2 :] = 240
    return pixels


def test_every_output_has_the_topic_and_type_of_the_table():
    node = rover(
        {
            "points_decimation": 2,
            "filter_masks.max_rate_hz": 1.0,
            "grid.whole_period_s": 9.0,
            "landing.enable": True,
            "downlink.budget_bytes_per_min": 10**9,
        }
    )
    given = node.send(image_message())
    given.update(node.send(image_message(START_NS + PERIOD_NS)))
    given.update(node.node.start())
    for _ in range(2):  # the first one starts the budget
        given.update(node.node.diagnostics())
    table = outgoing_topics(node.parameters)
    assert set(given) == set(table) == {spec.name for spec in topics(Direction.OUT)}
    for name, message in given.items():
        assert message.__msgtype__ == table[name].type
        serialize(message, table[name].type)


@pytest.mark.requirement("TSR-TIME-001")
def test_headers_keep_the_stamp_and_the_optical_frame_or_the_grid_s():
    stamp = START_NS + 123_456_789
    given = rover().send(image_message(stamp))
    for name, message in given.items():
        grid = name in {"hazard_grid", "hazard_reason", "hazard_points", "safe_map", "grid_map"}
        assert message.header.frame_id == ("odom" if grid else OPTICAL)
        assert stamp_ns(message.header) == stamp


def test_mask_and_confidence_have_the_image_s_size():
    given = rover().send(image_message())
    for name in ("mask", "confidence"):
        message = given[name]
        assert (message.width, message.height, message.step) == (WIDTH_PX, HEIGHT_PX, WIDTH_PX)
        assert message.encoding == "mono8"
        assert len(message.data) == WIDTH_PX * HEIGHT_PX


def test_outputs_of_one_image_outlive_the_next(tiny):
    node = rover({"model": tiny, "backend": "onnxruntime"})
    first = node.send(image_message(pixels=np.full((64, 64), 10, dtype=np.uint8)))
    node.send(image_message(START_NS + PERIOD_NS, pixels=np.full((64, 64), 250, dtype=np.uint8)))
    assert (first["mask"].data == 0).all()


def test_label_info_lists_the_model_s_classes():
    (outgoing,) = rover().node.start()
    assert outgoing.topic == "label_info"
    names = decode_label_info(outgoing.message).names
    assert names == {0: "soil", 1: "bedrock", 2: "sand", 3: "big_rock"}


def test_lazy_outputs_are_made_only_for_listeners():
    asked = []
    node = rover(bus=Bus(wanted=asked.append))
    given = node.send(image_message())
    assert set(given) == {"mask", "confidence", "hazard_grid", "hazard_reason", "safe_map"}
    given = node.send(image_message(START_NS + PERIOD_NS))
    assert set(given) == {"mask", "confidence", "hazard_grid"}
    lazy = {"color_mask", "overlay", "points", "hazard_points", "grid_map"}
    assert set(asked) == lazy | {"hazard_reason", "safe_map"}


@pytest.mark.requirement("TSR-NAV-005")
def test_points_have_one_point_per_mask_pixel():
    given = rover().send(image_message())
    cloud = decode_cloud(given["points"])
    assert cloud.labels.shape == (HEIGHT_PX, WIDTH_PX)
    assert np.isnan(cloud.points_m[0]).all()
    assert np.isfinite(cloud.points_m[-1]).all()
    assert (cloud.points_m[-1, :, 2] > 0).all()


@pytest.mark.requirement("TSR-NAV-005")
def test_decimated_points_come_with_their_own_mask():
    node = rover({"points_decimation": 4})
    given = node.send(image_message())
    whole = rover().send(image_message())
    small, large = decode_cloud(given["points"]), decode_cloud(whole["points"])
    np.testing.assert_array_equal(small.points_m, large.points_m[::4, ::4])
    for name in ("points_mask", "points_confidence"):
        assert (given[name].height, given[name].width) == small.labels.shape
    assert given["mask"].width == WIDTH_PX


def test_points_may_be_switched_off():
    assert "points" not in rover({"points_enable": False}).send(image_message())


def test_hazards_show_in_grid_and_points_where_they_are(tiny):
    changes = {"model": tiny, "backend": "onnxruntime", "hazard.sand": 0.0}
    node = rover({**changes, "hazard_points.min_height_m": 0.1, "hazard_points.max_height_m": 0.2})
    given = node.send(image_message(pixels=half_rocky()))
    cloud = decode_cloud(given["hazard_points"])
    assert cloud.labels.size > 0
    assert set(np.unique(cloud.labels)) == {3}
    assert (cloud.points_m[..., 1] < 0.1).all()
    np.testing.assert_allclose(cloud.points_m[..., 2], 0.1)
    grid = given["hazard_grid"]
    cells = grid.data.reshape(grid.info.height, grid.info.width)
    rows = np.flatnonzero((cells == 100).any(axis=1))
    y_m = grid.info.origin.position.y + (rows + 0.5) * grid.info.resolution
    assert rows.size > 0
    assert y_m.max() < 2 * grid.info.resolution
    passable = np.flatnonzero(((cells >= 0) & (cells < 100)).any(axis=1))
    assert passable.max() > rows.max()


def test_a_changed_hazard_shows_in_the_next_grid(tiny):
    node = rover({"model": tiny, "backend": "onnxruntime", "hazard.sand": 0.0})
    pixels = np.full((HEIGHT_PX, WIDTH_PX), 160, dtype=np.uint8)
    before = node.send(image_message(pixels=pixels))
    assert not (before["hazard_grid"].data == 100).any()
    assert node.node.change({"hazard.sand": 1.0}) == []
    after = node.send(image_message(START_NS + PERIOD_NS, pixels=pixels))
    assert (after["hazard_grid"].data == 100).any()
    assert not (after["hazard_grid"].data == 0).any()


def test_changes_are_refused_with_a_reason():
    node = rover()
    with pytest.raises(ConfigError, match="while running"):
        node.node.change({"model": "other"})
    given = node.node.change({"observability.min_confidence": 0.25})
    assert [item.topic for item in given] == ["label_info"]
    assert decode_label_info(given[0].message).threshold == 0.25


def test_several_cameras_share_one_grid():
    node = Rover({"cameras": ["left", "right"], "horizontal_fov_rad": 1.0})
    with pytest.raises(ConfigError, match=r"mounting\.use_tf"):
        Rover({"cameras": ["left", "right"], **STATIC})
    for camera in ("left", "right"):
        given = node.send(image_message(), camera=camera)
        assert f"{camera}/mask" in given
    assert {item.topic for item in node.node.start()} == {"left/label_info", "right/label_info"}
    assert "hazard_grid" in outgoing_topics(node.parameters)


def test_the_rate_is_limited():
    node = rover({"camera_max_rates_hz": [10.0]})
    given = [bool(node.send(image_message(START_NS + i * SECOND_NS // 30))) for i in range(30)]
    assert sum(given) == 10
    assert node.dropped == {Drop.RATE_LIMIT: 20}
    assert node.refused == {}


@pytest.mark.requirement("TSR-SAFE-006")
def test_the_grid_turns_unknown_once_when_images_stop():
    clock = Clock()
    node = rover({"watchdog.stale_after_s": 2.0}, clock_s=clock)
    seen = node.send(image_message())
    assert (seen["hazard_grid"].data >= 0).any()
    clock.now_s += 1.9
    assert node.node.tick() == []
    clock.now_s += 0.2
    given = dict(node.node.tick())
    assert (given["hazard_grid"].data == -1).all()
    assert (given["hazard_reason"].data == Reason.STALE).all()
    assert stamp_ns(given["hazard_grid"].header) > START_NS
    assert decode_diagnostics(node.node.diagnostics()[0].message)[0].level is Level.ERROR
    clock.now_s += 60.0
    assert node.node.tick() == []
    again = node.send(image_message(START_NS + 100 * SECOND_NS))
    assert np.array_equal(again["hazard_grid"].data, seen["hazard_grid"].data)
    assert decode_diagnostics(node.node.diagnostics()[0].message)[0].level is not Level.ERROR
    clock.now_s += 3.0
    assert node.node.tick()


def test_the_grid_turns_unknown_also_at_the_end_of_what_a_stamp_can_tell():
    clock = Clock()
    node = rover({"watchdog.stale_after_s": 2.0}, clock_s=clock)
    assert (node.send(image_message(LATEST_NS))["hazard_grid"].data >= 0).any()
    clock.now_s += 2.1
    given = dict(node.node.tick())
    assert (given["hazard_grid"].data == -1).all()
    assert stamp_ns(given["hazard_grid"].header) == LATEST_NS
    assert node.refused == {}


@pytest.mark.requirement("TSR-SAFE-006")
def test_images_without_a_pose_do_not_keep_the_grid_alive():
    clock = Clock()
    node = Rover({"horizontal_fov_rad": 1.0}, clock_s=clock)
    clock.now_s += 10.0
    assert "mask" in node.send(image_message())
    given = dict(node.node.tick())
    assert (given["hazard_reason"].data == Reason.NO_TRANSFORM).all()


def test_reset_between_scenes():
    node = rover()
    seen = node.send(image_message())
    node.node.reset_grid()
    again = node.send(image_message(START_NS + PERIOD_NS))
    assert np.array_equal(again["hazard_grid"].data, seen["hazard_grid"].data)


def test_diagnostics_tell_what_runs_and_how_fast():
    node = rover()
    node.send(image_message())
    status = decode_diagnostics(node.node.diagnostics()[0].message)[0]
    assert status.values["backend"] == "constant"
    assert status.values["model"] == "synthetic 1.0.0"
    assert status.values["images_in"] == status.values["images_out"] == "1"
    stages = {"decode", "resize", "inference", "upsample", "project", "fuse", "cost", "total"}
    assert {f"latency_{stage}_ms" for stage in stages} <= set(status.values)
