"""The live node on a port of its own: one more transport is one more port."""

from __future__ import annotations

import time
from collections import Counter, defaultdict

import numpy as np
import pytest

from support.buses import wait_until
from support.rover import STATIC, camera_info_message, image_message
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.types import Reason
from terrain_seg_ros.messages.cdr import message_class
from terrain_seg_ros.messages.diagnostics_message import decode_diagnostics
from terrain_seg_ros.messages.image_message import decode_camera_image
from terrain_seg_ros.messages.topic_spec import Direction
from terrain_seg_ros.messages.topics import topics
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime.health import Drop, Refusal
from terrain_seg_ros.runtime.joined_port import JoinedPort
from terrain_seg_ros.runtime.live import LiveNode, StandaloneNode
from terrain_seg_ros.runtime.session import Session


class Shelf:
    """Keep what was published on one topic."""

    subscriber_count = 1

    def __init__(self):
        self.messages = []
        self.keeps_up = True

    def write(self, message):
        if self.keeps_up:
            self.messages.append(message)
        return self.keeps_up

    def wait_delivered(self, timeout_ns):
        return True


class Feed:
    """Hand messages to a subscriber."""

    publisher_count, lost, incompatible = 1, 0, 0

    def __init__(self, take, on_malformed):
        self.take, self.on_malformed = take, on_malformed
        self.received = 0

    def send(self, message):
        self.received += 1
        self.take(message)


class SystemClock:
    def now_ns(self):
        return time.time_ns()

    def watch_time(self, on_jump):
        self.on_jump = on_jump


class Classes:
    """The message classes of the type store, without some."""

    def __init__(self, lacks):
        self._lacks = lacks

    def __call__(self, name):
        assert self.has(name)
        return message_class(name)

    def has(self, name):
        return name not in self._lacks


class Memory:
    """A port within the process; it lacks the types that are named."""

    def __init__(self, *, lacks=()):
        self.types, self.clock, self.decode = Classes(lacks), SystemClock(), decode_camera_image
        self.out, self.feeds, self.calls = {}, {}, Counter()
        self._lacks = lacks

    def carries(self, message_type):
        return message_type not in self._lacks

    def full_name(self, name):
        return name if name.startswith("/") else f"/memory/{name}"

    def transforms(self, health, *, cache_s):
        return None

    def advertise(self, spec):
        if not self.carries(spec.type):
            return None
        self.out[spec.name] = Shelf()
        return self.out[spec.name]

    def subscribe(self, spec, take, on_malformed):
        if not self.carries(spec.type):
            return None
        self.feeds[spec.name] = Feed(take, on_malformed)
        return self.feeds[spec.name]

    def start(self, resort):
        self.calls["start"] += 1

    def stop(self):
        self.feeds = {}

    def check(self):
        self.calls["check"] += 1

    def other_publishers(self, name):
        return 0

    def close(self):
        self.calls["close"] += 1


@pytest.fixture
def live():
    """Return a function that makes a node on a port in memory."""
    opened = []

    def made(kind=LiveNode, *, lacks=(), port=None, **overrides):
        values = {**STATIC, "model": "synthetic", "backend": "constant", "grid.size_m": 10.0}
        session = Session(load_parameters(overrides={**values, **overrides}))
        opened.append(session.close)
        node = kind(session, Memory(lacks=lacks) if port is None else port())
        opened.append(node.close)
        return node, node.port

    yield made
    for close in reversed(opened):
        close()


def show(node, port, name="image"):
    """Send intrinsics and an image, and wait until it was worked on."""
    before = node.snapshot().images_in
    port.feeds["camera_info"].send(camera_info_message(time.time_ns()))
    port.feeds[name].send(image_message(time.time_ns()))
    wait_until(lambda: node.snapshot().images_in > before, "the image")
    wait_until(lambda: node.snapshot().images_out or node.snapshot().dropped, "its end")


@pytest.mark.requirement("TSR-BUS-002")
def test_class_names_are_published_before_the_first_image(live):
    _, port = live()
    assert len(port.out["label_info"].messages) == 1
    assert port.out["mask"].messages == []


@pytest.mark.requirement("TSR-BUS-003")
def test_images_are_taken_only_while_the_node_is_active(live):
    node, port = live()
    assert port.feeds == {}
    node.activate()
    assert set(port.feeds) == {"image", "camera_info", "/tf", "/tf_static"}
    show(node, port)
    wait_until(lambda: port.out["hazard_grid"].messages, "the grid")
    assert (np.asarray(port.out["hazard_grid"].messages[-1].data) >= 0).any()
    node.deactivate()
    assert port.feeds == {}
    assert (np.asarray(port.out["hazard_grid"].messages[-1].data) == -1).all()
    node.activate()
    assert "image" in port.feeds


def test_a_node_that_was_never_active_withdraws_nothing(live):
    node, port = live()
    node.close()
    assert port.out["hazard_grid"].messages == []
    assert port.calls["close"] == 1


def test_images_that_are_switched_off_are_counted_and_one_may_be_asked_for(live):
    node, port = live()
    node.activate()
    node.worker.takes_images = False
    show(node, port)
    assert node.snapshot().dropped == {Drop.INACTIVE: 1}
    node.diagnose()
    (status,) = decode_diagnostics(port.out["/diagnostics"].messages[-1])
    assert status.message == "disabled by the service enable"
    node.worker.takes_next_image = True
    show(node, port)
    wait_until(lambda: node.snapshot().images_out == 1, "the one image")
    assert not node.worker.takes_next_image


def test_types_that_the_port_lacks_are_named_once_and_left_out(live):
    node, port = live(lacks={"vision_msgs/msg/LabelInfo", "grid_map_msgs/msg/GridMap"})
    assert {spec.name for spec in node.missing} == {"label_info", "grid_map"}
    assert "label_info" not in port.out
    assert node.snapshot().refused == {}


def test_what_one_port_lacks_can_go_by_another_with_its_own_classes(live):
    other = Memory()
    made = Counter()

    def classes(name):
        made[name] += 1
        return message_class(name)

    other.types = classes
    lacks = {"vision_msgs/msg/LabelInfo"}
    node, port = live(port=lambda: JoinedPort(Memory(lacks=lacks), lambda: other))
    assert node.missing == ()
    assert list(other.out) == ["/memory/label_info"]
    assert [row.name for row in port.by_other] == ["/memory/label_info"]
    assert len(other.out["/memory/label_info"].messages) == 1
    assert {"vision_msgs/msg/LabelInfo", "std_msgs/msg/Header"} <= set(made)
    assert "label_info" not in port.first.out


def test_inputs_that_one_port_lacks_come_by_the_other(live):
    other = Memory()
    lacks = {"tf2_msgs/msg/TFMessage"}
    node, port = live(port=lambda: JoinedPort(Memory(lacks=lacks), lambda: other))
    node.activate()
    assert {"/tf", "/tf_static"} <= set(other.feeds)
    assert "image" in port.first.feeds
    assert node.missing == ()
    assert other.calls["start"] == 1
    node.deactivate()
    assert not other.feeds
    node.close()
    assert other.calls["close"] == 1


def test_a_second_port_that_cannot_be_had_is_asked_for_once(live):
    asked = []
    lacks = {"vision_msgs/msg/LabelInfo", "tf2_msgs/msg/TFMessage"}
    node, _ = live(port=lambda: JoinedPort(Memory(lacks=lacks), lambda: asked.append(1)))
    assert [spec.name for spec in node.missing] == ["label_info"]
    node.activate()
    assert [spec.name for spec in node.missing] == ["label_info", "/tf", "/tf_static"]
    assert asked == [1]


def test_a_port_that_carries_everything_needs_no_second(live):
    node, port = live(port=lambda: JoinedPort(Memory(), lambda: pytest.fail("it was asked for")))
    node.activate()
    show(node, port.first)
    assert port.by_other == ()


def test_malformed_messages_are_counted_by_their_row(live):
    node, port = live()
    node.activate()
    for name in ("image", "camera_info", "/tf"):
        port.feeds[name].on_malformed("cut off")
    counted = node.snapshot().refused
    assert counted == {
        Refusal.BAD_IMAGE: 1,
        Refusal.BAD_CAMERA_INFO: 1,
        Refusal.BAD_TRANSFORM: 1,
    }
    assert node.snapshot().images_in == 1


def test_a_subscriber_that_does_not_keep_up_is_named(live):
    node, port = live()
    node.activate()
    port.out["mask"].keeps_up = False
    show(node, port)
    wait_until(lambda: Refusal.OUTPUT in node.snapshot().refused, "the refusal")
    assert "'/memory/mask' has a reliable subscriber" in node.snapshot().last_refusal


def test_the_grid_can_be_forgotten_and_parameters_changed_at_work(live):
    node, port = live()
    node.activate()
    show(node, port)
    node.reset_map()
    reasons = np.asarray(port.out["hazard_reason"].messages[-1].data)
    assert set(reasons.tolist()) == {int(Reason.OUTSIDE_VIEW)}
    node.change({"observability.min_confidence": 0.7})
    assert len(port.out["label_info"].messages) == 2


def test_a_standalone_node_reports_once_a_second_and_ends_in_order(live):
    node, port = live(StandaloneNode)
    with node:
        wait_until(lambda: port.out["/diagnostics"].messages, "diagnostics")
        node.check()
    assert port.calls == {"start": 1, "check": 1, "close": 1}
    node.stop()
    assert port.calls["close"] == 1
    assert not node.is_active


def test_every_output_of_the_table_goes_through_the_port(live):
    overrides = {
        "points_decimation": 2,
        "filter_masks.max_rate_hz": 50.0,
        "grid.whole_period_s": 9.0,
        "landing.enable": True,
        "downlink.budget_bytes_per_min": 10**9,
    }
    node, port = live(**overrides)
    node.activate()
    sent = defaultdict(int)

    def all_sent():
        show(node, port)
        node.diagnose()
        for name, shelf in port.out.items():
            sent[name] = len(shelf.messages)
        return all(sent[spec.name] for spec in topics(Direction.OUT))

    wait_until(all_sent, "every output", every=0.1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image_topic": "mask"}, "the output 'mask' of this node"),
        ({"image_topic": "a", "camera_info_topic": "a"}, "the input 'image'"),
    ],
)
def test_an_input_with_the_name_of_an_output_or_another_input_is_refused(live, changes, words):
    with pytest.raises(ConfigError, match=words):
        live(**changes)
