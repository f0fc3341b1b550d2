"""The node's downlink over a drive: budget, content, and what a listener makes of it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from support.downlinks import assert_never_safer
from support.rover import (
    HEIGHT_PX,
    OPTICAL,
    SECOND_NS,
    START_NS,
    WIDTH_PX,
    Rover,
    image_message,
    transform_message,
)
from support.tiny_model import write_tiny_model
from terrain_seg_ros.core.downlink.receiver import DownlinkReceiver
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.geometry.frames import BODY_R_OPTICAL, rotation_from_rpy
from terrain_seg_ros.messages.cdr import deserialize, message_class, serialize
from terrain_seg_ros.messages.downlink_message import (
    DOWNLINK_TYPE,
    decode_downlink,
    encode_downlink,
)
from terrain_seg_ros.messages.grid_message import decode_grid
from terrain_seg_ros.messages.message_types import RosTypes
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime.outboxes.outputs import outgoing_topics

BUDGET = "downlink.budget_bytes_per_min"
LEAST = 4800
SECONDS = 130


class Clock:
    now_s = 50.0

    def __call__(self):
        return self.now_s


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return str(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny", size=64))


class Mission:
    """Drive a rover over ground with rocks, a second at a time, and keep its packets."""

    def __init__(self, tiny, budget, **changes):
        self.clock = Clock()
        self.rng = np.random.default_rng(3)
        self.rover = Rover(
            {
                "model": tiny,
                "backend": "onnxruntime",
                "grid.size_m": 20.0,
                "ground.plane": "grid_plane",
                BUDGET: budget,
                **changes,
            },
            clock_s=self.clock,
        )
        rotation = rotation_from_rpy(0.0, 0.5, 0.0) @ BODY_R_OPTICAL
        mounting = transform_message(
            "base_link", OPTICAL, 0, translation_m=(0.0, 0.0, 1.5), rotation=rotation
        )
        self.rover.intake.add(mounting, static=True)
        self.rover.send_info()
        self.second = 0
        self.sizes = []
        self.grid = None

    def go(self):
        """Drive for a second; return the packets of it."""
        stamp = START_NS + self.second * SECOND_NS
        place = (0.4 * self.second, 0.1 * self.second, 0.0)
        self.rover.intake.add(
            transform_message("odom", "base_link", stamp, translation_m=place), static=False
        )
        pixels = np.full((HEIGHT_PX, WIDTH_PX), 40, dtype=np.uint8)
        for row, col in self.rng.integers(6, HEIGHT_PX - 6, (3, 2)):
            pixels[row - 4 : row + 4, col - 4 : col + 4] = 240
        given = self.rover.send(image_message(stamp, pixels=pixels))
        self.grid = decode_grid(given["hazard_grid"])
        self.clock.now_s += 1.0
        self.second += 1
        return self.listen()

    def listen(self):
        messages = [m for name, m in self.rover.node.diagnostics() if name == "downlink"]
        wire = [bytes(serialize(message, DOWNLINK_TYPE)) for message in messages]
        packets = [decode_downlink(deserialize(data, DOWNLINK_TYPE)) for data in wire]
        self.sizes.append(sum(len(message.data) for message in messages))
        return packets


@pytest.mark.requirement("TSR-LINK-001")
@pytest.mark.parametrize("budget", [LEAST, 20_000])
def test_no_minute_of_a_drive_exceeds_the_budget(tiny, budget):
    mission, receiver = Mission(tiny, budget), DownlinkReceiver()
    for _ in range(SECONDS):
        for packet in mission.go():
            receiver.take(packet)
    minutes = [sum(mission.sizes[start : start + 61]) for start in range(SECONDS - 60)]
    assert 0.5 * budget < max(minutes) <= budget
    assert (receiver.lost, receiver.damaged_count) == (0, 0)
    assert int(receiver.health["counters"]["images_in"]) > SECONDS - 70
    assert budget == LEAST or receiver.thumbnail.picture().any()


@pytest.mark.requirement("TSR-LINK-002")
def test_the_listener_has_the_hazards_of_every_grid_where_the_budget_allows(tiny):
    mission, receiver = Mission(tiny, 2_000_000), DownlinkReceiver()
    hazards = 0
    for _ in range(40):
        for packet in mission.go():
            receiver.take(packet)
        if receiver.packets:
            assert_never_safer(receiver.grid().cost, mission.grid.values)
            hazards += int((mission.grid.values == 100).sum())
    assert hazards > 1000


def test_a_grid_that_became_unknown_is_sent_as_unknown(tiny):
    mission, receiver = Mission(tiny, 2_000_000, **{"grid.keep_hazards": False}), DownlinkReceiver()
    for _ in range(8):
        for packet in mission.go():
            receiver.take(packet)
    assert (receiver.grid().cost >= 0).any()
    mission.clock.now_s += 10.0
    mission.rover.node.tick()
    for packet in mission.listen():
        receiver.take(packet)
    assert (receiver.grid().cost == -1).all()
    assert receiver.health["level"] == "error"


def test_landing_sites_of_a_lander_arrive(tiny):
    clock = Clock()
    lander = Rover(
        {
            "mounting.use_tf": False,
            "mounting.pitch_rad": math.pi / 2.0,
            "mounting.z_m": 12.0,
            "landing.enable": True,
            "ground.plane": "grid_plane",
            "ground.max_ground_sample_m": 0.5,
            "grid.resolution_m": 0.2,
            "grid.size_m": 20.0,
            BUDGET: 60_000,
        },
        clock_s=clock,
    )
    lander.send_info()
    given, receiver = {}, DownlinkReceiver()
    for second in range(10):
        given = lander.send(image_message(START_NS + second * SECOND_NS))
        clock.now_s += 1.0
        for name, message in lander.node.diagnostics():
            if name == "downlink":
                receiver.take(decode_downlink(message))
    best = given["best_landing_site"].pose.position
    assert (receiver.sites[0].x_m, receiver.sites[0].y_m) == (best.x, best.y)
    assert len(receiver.sites) == min(8, len(given["landing_sites"].detections))
    for _, message in lander.node.retire():
        assert message is not None
    clock.now_s += 1.0
    for name, message in lander.node.diagnostics(idle="inactive"):
        if name == "downlink":
            receiver.take(decode_downlink(message))
    assert receiver.sites == ()
    assert receiver.health["message"] == "inactive"


def test_it_is_off_unless_a_budget_is_given(tiny):
    assert BUDGET in load_parameters().values
    assert "downlink" not in outgoing_topics(load_parameters())
    assert "downlink" in outgoing_topics(load_parameters(overrides={BUDGET: 4800}))
    mission = Mission(tiny, 0)
    assert [mission.go() for _ in range(15)] == [[]] * 15


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({BUDGET: 1000}, "4800"),
        ({BUDGET: -1}, BUDGET),
        ({BUDGET: 5000, "grid_frame": "x" * 70}, "grid_frame"),
    ],
)
def test_budgets_that_hold_no_packet_and_long_frames_are_refused(changes, fault):
    with pytest.raises(ConfigError, match=fault):
        load_parameters(overrides=changes)


def test_a_message_holds_an_array_where_rclpy_wants_one():
    message = encode_downlink(RosTypes(message_class, lambda _: True), b"\x01\x02")
    assert message.data.typecode == "B"
    assert bytes(message.data) == b"\x01\x02"
