"""What goes out of the grid, and when; updates are applied as Nav2 and RViz do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.rover import HEIGHT_PX, SECOND_NS, START_NS, STATIC, WIDTH_PX, Rover, image_message
from support.tiny_model import write_tiny_model
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.types import GridSnapshot
from terrain_seg_ros.messages.cdr import message_class
from terrain_seg_ros.messages.grid_message import decode_grid
from terrain_seg_ros.runtime.outboxes.grid_outbox import GridChanges, keepout_of
from terrain_seg_ros.runtime.outboxes.outgoing import Bus
from terrain_seg_ros.runtime.outboxes.outputs import outgoing_topics

SIDE = 8
STEP_NS = SECOND_NS // 10


def snapshot(cost, stamp_ns=START_NS, x_m=0.0):
    cost = np.asarray(cost, dtype=np.int8)
    hazard = np.zeros(cost.shape, dtype=np.float32)
    return GridSnapshot(cost, hazard, hazard.astype(np.uint8), 0.5, x_m, 0.0, "odom", stamp_ns)


def rover(overrides=None, **options):
    return Rover({**STATIC, "horizontal_fov_rad": 1.0, **(overrides or {})}, **options)


def apply(whole, update):
    """Return a whole grid with an update, as a subscriber makes it."""
    values = decode_grid(whole).values.copy()
    rows = slice(update.y, update.y + update.height)
    part = np.asarray(update.data).reshape(update.height, update.width)
    values[rows, update.x : update.x + update.width] = part
    return values


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.sampled_from([0, 100, -1]))))
@settings(max_examples=80)
def test_the_whole_grid_and_any_one_update_give_the_grid(edits):
    changes = GridChanges(1e6)
    cost = np.zeros((SIDE, SIDE), dtype=np.int8)
    whole = snapshot(cost)
    assert changes.since_whole(whole) is None
    for index, (row, col, value) in enumerate(edits, start=1):
        cost = cost.copy()
        cost[row, col] = value
        now = snapshot(cost, START_NS + index)
        part = changes.since_whole(now)
        if part is None:
            whole = now
            continue
        rebuilt = whole.cost.copy()
        rows, cols = slice(part.row, part.row + part.height), slice(part.col, part.col + part.width)
        rebuilt[rows, cols] = cost[rows, cols]
        np.testing.assert_array_equal(rebuilt, cost)
        assert part.width * part.height <= SIDE * SIDE / 2


@pytest.mark.parametrize(
    "after",
    [
        snapshot(np.zeros((SIDE, SIDE)), START_NS + SECOND_NS),
        snapshot(np.zeros((SIDE, SIDE)), START_NS - 1),
        snapshot(np.zeros((SIDE, SIDE)), x_m=0.5),
        snapshot(np.zeros((SIDE + 1, SIDE))),
        snapshot(np.full((SIDE, SIDE), 100)),
    ],
    ids=["period over", "time jumped back", "grid moved", "other size", "much changed"],
)
def test_the_grid_is_whole_again_when(after):
    changes = GridChanges(1.0)
    assert changes.since_whole(snapshot(np.zeros((SIDE, SIDE)))) is None
    assert changes.since_whole(snapshot(np.zeros((SIDE, SIDE)), START_NS + 1)) is not None
    assert changes.since_whole(after) is None


def test_all_layers_go_out_while_somebody_listens():
    node = rover()
    message = node.send(image_message())["grid_map"]
    assert list(message.basic_layers) == ["hazard"]
    assert set(message.layers) == {
        "hazard",
        "class",
        "confidence",
        "age",
        "ground_sample",
        "reason",
    }
    layers = {name: np.asarray(array.data) for name, array in zip(message.layers, message.data)}
    seen = np.isfinite(layers["hazard"])
    assert seen.any()
    assert not seen.all()
    for name in ("class", "confidence", "age", "ground_sample"):
        assert np.isfinite(layers[name][seen]).all()
    assert (layers["age"][seen] == 0.0).all()
    assert ((layers["reason"] == 0.0) == seen).all()
    quiet = rover(bus=Bus(wanted=lambda name: name != "grid_map"))
    assert "grid_map" not in quiet.send(image_message())


def test_updates_of_a_driving_session_add_up(tmp_path):
    model = str(write_tiny_model(tmp_path / "tiny"))
    node = rover({"model": model, "backend": "onnxruntime", "grid.whole_period_s": 1.0})
    plain = rover({"model": model, "backend": "onnxruntime"})
    rng = np.random.default_rng(1)
    whole, updates = None, 0
    for index in range(25):
        pixels = rng.integers(5, 250, size=(HEIGHT_PX, WIDTH_PX), dtype=np.uint8)
        stamp = START_NS + index * STEP_NS
        given_now = node.send(image_message(stamp, pixels=pixels))
        expected = plain.send(image_message(stamp, pixels=pixels))["hazard_grid"]
        assert ("hazard_grid" in given_now) != ("hazard_grid_updates" in given_now)
        whole = given_now.get("hazard_grid", whole)
        found = decode_grid(whole).values
        if "hazard_grid_updates" in given_now:
            updates += 1
            found = apply(whole, given_now["hazard_grid_updates"])
        np.testing.assert_array_equal(found, decode_grid(expected).values)
    assert updates > 15


def test_without_a_listener_of_updates_every_grid_is_whole():
    node = rover(
        {"grid.whole_period_s": 9.0}, bus=Bus(wanted=lambda name: name != "hazard_grid_updates")
    )
    for index in range(3):
        assert "hazard_grid" in node.send(image_message(START_NS + index * STEP_NS))


def test_a_lost_camera_gives_a_whole_grid_and_keeps_what_is_forbidden():
    now_s = [0.0]
    node = rover(
        {"grid.whole_period_s": 9.0, "filter_masks.max_rate_hz": 100.0, "hazard.soil": 1.0},
        clock_s=lambda: now_s[0],
    )
    first = node.send(image_message())
    assert (decode_grid(first["keepout_mask"]).values == 100).any()
    now_s[0] = 10.0
    lost = dict(node.node.tick())
    assert set(lost) == {"hazard_grid", "hazard_reason", "safe_map", "speed_mask", "grid_map"}
    assert set(np.unique(decode_grid(lost["safe_map"]).values)) == {-1, 100}
    kept = decode_grid(lost["hazard_grid"]).values
    np.testing.assert_array_equal(kept == 100, decode_grid(first["hazard_grid"]).values == 100)
    assert set(np.unique(kept)) == {-1, 100}
    forgotten = dict(node.node.forget_map())
    for name in ("keepout_mask", "hazard_grid", "safe_map"):
        assert (decode_grid(forgotten[name]).values == -1).all()


def test_without_keeping_hazards_a_lost_camera_leaves_nothing():
    now_s = [0.0]
    node = rover({"grid.keep_hazards": False, "hazard.soil": 1.0}, clock_s=lambda: now_s[0])
    assert (decode_grid(node.send(image_message())["hazard_grid"]).values == 100).any()
    now_s[0] = 10.0
    assert (decode_grid(dict(node.node.tick())["hazard_grid"]).values == -1).all()


def test_masks_come_at_their_rate_and_not_at_all_without():
    node = rover({"filter_masks.max_rate_hz": 2.0})
    times = ["speed_mask" in node.send(image_message(START_NS + i * STEP_NS)) for i in range(10)]
    assert [i for i, sent in enumerate(times) if sent] == [0, 5]
    off = rover()
    assert not {"keepout_mask", "speed_mask"} & set(off.send(image_message()))
    optional = set(outgoing_topics(node.parameters)) - set(outgoing_topics(off.parameters))
    assert optional == {"keepout_mask", "keepout_filter_info", "speed_mask", "speed_filter_info"}


def test_speed_follows_the_class_and_may_change_while_running():
    node = rover({"filter_masks.max_rate_hz": 100.0, "speed_percent.soil": 30.0})
    found = decode_grid(node.send(image_message())["speed_mask"]).values
    assert set(np.unique(found)) == {0, 30}
    node.node.change({"speed_percent.soil": 60.0, "filter_masks.unobserved_speed_percent": 10.0})
    found = decode_grid(node.send(image_message(START_NS + SECOND_NS))["speed_mask"]).values
    assert set(np.unique(found)) == {10, 60}
    with pytest.raises(ConfigError, match="lava"):
        node.node.change({"speed_percent.lava": 60.0})


def test_every_speed_limit_can_be_sent_also_the_one_that_would_be_no_cost():
    for percent in (1.0, 98.0, 99.0, 99.5, 100.0):
        node = rover({"filter_masks.max_rate_hz": 1.0, "speed_percent.soil": percent})
        found = decode_grid(node.send(image_message())["speed_mask"]).values
        assert set(np.unique(found)) == {0, int(percent) % 100}
        assert node.refused == {}


def test_filter_infos_name_the_masks_in_full():
    node = rover({"filter_masks.max_rate_hz": 1.0}, bus=Bus(full_name="/terrain/{}".format))
    infos = {item.topic: item.message for item in node.node.start()}
    for kind, number in (("keepout", 0), ("speed", 1)):
        message = infos[f"{kind}_filter_info"]
        assert message.filter_mask_topic == f"/terrain/{kind}_mask"
        assert (message.type, message.base, message.multiplier) == (number, 0.0, 1.0)


def test_types_that_are_not_installed_are_left_out():
    class Lacking:
        def __call__(self, name):
            assert self.has(name)
            return message_class(name)

        @staticmethod
        def has(name):
            return name.split("/")[0] not in {"map_msgs", "nav2_msgs", "vision_msgs"}

    node = Rover({**STATIC, "horizontal_fov_rad": 1.0})
    outbox = type(node.node)(
        Rover(
            {
                **STATIC,
                "horizontal_fov_rad": 1.0,
                "grid.whole_period_s": 9.0,
                "filter_masks.max_rate_hz": 9.0,
            }
        ).session,
        Lacking(),
        node.buffer,
    )
    assert outbox.start() == []
    for index in range(2):
        given_now = dict(outbox.image("navcam", image_message(START_NS + index * STEP_NS)))
        assert "hazard_grid" in given_now
        assert "hazard_grid_updates" not in given_now


def test_a_keepout_mask_only_forbids():
    cost = np.array([[0, 50, 98, 100, -1]], dtype=np.int8)
    assert keepout_of(cost).tolist() == [[-1, -1, -1, 100, -1]]
