"""The live node on a real bus: what it gives, what it survives."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from support.buses import Forger, wait_until
from support.decoders import decode_label_info
from support.peer import HEIGHT_PX, OPTICAL, WIDTH_PX, Peer, intrinsics, stamped, transforms
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.ground.measurement import DepthImage
from terrain_seg_ros.core.types import Transform
from terrain_seg_ros.dds.discovery import Discovery
from terrain_seg_ros.dds.endpoints import Writer
from terrain_seg_ros.dds.port import NodeOptions, dds_node
from terrain_seg_ros.inference.backends.constant_backend import ConstantBackend
from terrain_seg_ros.messages import cdr
from terrain_seg_ros.messages.cloud_message import encode_points
from terrain_seg_ros.messages.depth_message import encode_depth
from terrain_seg_ros.messages.diagnostics_message import Level
from terrain_seg_ros.messages.header_message import stamp_ns
from terrain_seg_ros.messages.topic_spec import Group
from terrain_seg_ros.messages.topics import topic
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime.health import Drop, Refusal
from terrain_seg_ros.runtime.input_topics import input_topics
from terrain_seg_ros.runtime.session import Session

BASE = {
    "model": "synthetic",
    "backend": "constant",
    "grid.size_m": 10.0,
    "watchdog.stale_after_s": 0.0,
}
SECOND_NS = 1_000_000_000


@pytest.fixture
def start(domain):
    """Return a function that starts a node and a peer that has met it."""
    opened = []

    def started(overrides=None, *, outputs=("mask", "hazard_grid"), mounted=True):
        session = Session(load_parameters(overrides={**BASE, **(overrides or {})}))
        node = dds_node(session, NodeOptions(domain, Discovery.HOST))
        peer = Peer(domain, outputs)
        opened.extend([peer.close, node.stop, session.close])
        node.start()
        peer.meet()
        if mounted:
            peer.mount()
        return node, peer

    yield started
    for close in opened:
        close()


def good(peer):
    """Show a good image until the node knows the mounting, and return its answers."""
    for _ in range(50):
        stamp = stamp_ns(peer.show().header)
        mask = peer.answer("mask", stamp)
        peer.listen()
        grid = peer.last.get("hazard_grid")
        if grid is not None and stamp_ns(grid.header) == stamp:
            return mask, grid
        time.sleep(0.02)
    raise AssertionError("no grid came")


@pytest.mark.requirement("TSR-TIME-001")
def test_outputs_carry_the_inputs_header(start):
    _, peer = start(outputs=("mask", "confidence", "hazard_grid", "label_info", "overlay"))
    mask, grid = good(peer)
    stamp = stamp_ns(mask.header)
    confidence, overlay = peer.answer("confidence", stamp), peer.answer("overlay", stamp)
    for message, encoding in [(mask, "mono8"), (confidence, "mono8"), (overlay, "rgb8")]:
        assert message.header.frame_id == OPTICAL
        assert (message.width, message.height) == (WIDTH_PX, HEIGHT_PX)
        assert message.encoding == encoding
    assert (mask.data == 0).all()
    assert (confidence.data == 255).all()
    assert grid.header.frame_id == "odom"
    assert (grid.data == 0).any()
    labels = decode_label_info(peer.last["label_info"])
    assert labels.names[0] == "soil"


@pytest.mark.requirement("TSR-BUS-002")
def test_late_joiner_gets_class_names_and_grid(start, domain):
    _, peer = start()
    _, grid = good(peer)
    late = Peer(domain, ("label_info", "hazard_grid", "hazard_reason"))
    try:
        late.answer("hazard_grid", stamp_ns(grid.header))
        for name in ("hazard_reason", "label_info"):
            wait_until(lambda name=name: late.listen() or name in late.last, name)
        # While nobody listens the reasons come once a second: those of an earlier grid may be it.
        assert stamp_ns(late.last["hazard_reason"].header) <= stamp_ns(grid.header)
    finally:
        late.close()


def test_nobody_pays_for_an_overlay_that_nobody_wants(start):
    node, peer = start(outputs=("mask", "hazard_grid"))
    good(peer)
    subscribed = {w.spec.name: w.subscriber_count for w in node.port._writers}
    assert (subscribed["overlay"], subscribed["mask"]) == (0, 1)


BAD_IMAGES = {
    "empty": {"data": np.zeros(0, np.uint8)},
    "truncated": {"data": np.zeros(WIDTH_PX * HEIGHT_PX - 1, np.uint8)},
    "zero width": {"width": 0},
    "zero height": {"height": 0},
    "unknown encoding": {"encoding": "yuv422"},
    "step too small": {"step": WIDTH_PX - 1},
}


def refused(node, reason):
    return node.snapshot().refused.get(reason, 0)


def send_until_refused(node, reason, send):
    before = refused(node, reason)
    send()
    wait_until(lambda: refused(node, reason) > before, f"{reason.value!r}")


def image_writers(node):
    """Return how many writers the node's image reader knows."""
    name = "rt/terrain/image"
    readers = [served.reader for served in node.port._dispatcher._served]
    return next(r.publisher_count for r in readers if r.dds_name == name)


@pytest.mark.requirement("TSR-ROB-001")
def test_bad_input_is_reported_and_the_next_good_image_works(start):
    node, peer = start()
    good(peer)

    def bad_image(**changes):
        peer.image.write(replace(stamped(time.time_ns()), **changes))

    for changes in BAD_IMAGES.values():
        send_until_refused(node, Refusal.BAD_IMAGE, lambda c=changes: bad_image(**c))
        good(peer)
    payload = bytes(cdr.serialize(stamped(time.time_ns()), "sensor_msgs/msg/Image"))
    forger = Forger(node.port.options.domain_id, "rt/terrain/image")
    try:
        # A datagram of a writer that the node has not met yet is dropped.
        wait_until(lambda: image_writers(node) == 2, "the forger's writer")
        seen = node.snapshot().images_in
        forger.send(payload)
        wait_until(lambda: node.snapshot().images_in > seen, "the first forged one")
        forger.send(payload[: len(payload) // 2])
        good(peer)
    finally:
        forger.close()
    future = stamped(time.time_ns() + 3600 * SECOND_NS)
    send_until_refused(node, Refusal.FUTURE, lambda: peer.image.write(future))
    good(peer)
    small = stamped(time.time_ns(), width=WIDTH_PX // 2)
    send_until_refused(node, Refusal.SIZE_MISMATCH, lambda: peer.image.write(small))
    mask, _ = good(peer)
    early = stamped(stamp_ns(mask.header) - SECOND_NS // 1000)
    send_until_refused(node, Refusal.OUT_OF_ORDER, lambda: peer.image.write(early))
    good(peer)
    lost = stamped(time.time_ns())
    lost.header.frame_id = "nowhere"
    send_until_refused(node, Refusal.NO_TRANSFORM, lambda: peer.image.write(lost))
    good(peer)
    node.check()
    wanted = {Refusal.BAD_IMAGE, Refusal.FUTURE, Refusal.SIZE_MISMATCH, Refusal.NO_TRANSFORM}
    status = peer.report(lambda s: all(f"refused: {reason.value}" in s.values for reason in wanted))
    assert status.values[f"refused: {Refusal.BAD_IMAGE.value}"].startswith("6, ")
    assert "ahead of the clock" in status.values[f"refused: {Refusal.FUTURE.value}"]


def test_bad_camera_info_and_transforms_are_reported_and_good_ones_heal(start):
    node, peer = start(mounted=False)
    peer.image.write(stamped(time.time_ns()))
    wait_until(lambda: refused(node, Refusal.NO_CAMERA_INFO), "the missing camera_info")
    info = intrinsics()
    info.k[0] = np.nan
    send_until_refused(
        node, Refusal.BAD_CAMERA_INFO, lambda: peer.writers["camera_info"].write(info)
    )
    crooked = transforms("odom", "base_link", 5, Transform(np.eye(3), np.zeros(3)))
    crooked.transforms[0].transform.rotation.w = 0.0
    send_until_refused(node, Refusal.BAD_TRANSFORM, lambda: peer.writers["/tf"].write(crooked))
    status = peer.report(lambda s: f"refused: {Refusal.BAD_TRANSFORM.value}" in s.values)
    assert status.level is Level.WARN
    peer.writers["camera_info"].write(intrinsics())
    wait_until(lambda: _sees(peer, node, Refusal.NO_TRANSFORM), "the missing transform")
    peer.mount()
    good(peer)


def _sees(peer, node, reason):
    peer.image.write(stamped(time.time_ns()))
    return refused(node, reason)


def test_stamp_going_backwards_clears_the_grid_and_goes_on(start):
    node, peer = start({"time.max_age_s": 0.0})
    good(peer)
    back = time.time_ns() - 3600 * SECOND_NS

    def jumped():
        nonlocal back
        back += SECOND_NS // 20
        peer.image.write(stamped(back))
        peer.listen()
        return "mask" in peer.last and stamp_ns(peer.last["mask"].header) < back + SECOND_NS

    wait_until(jumped, "a mask after the jump", every=0.1)
    status = peer.report(lambda s: any("jumped backwards" in key for key in s.values))
    assert status is not None
    good(peer)
    node.check()


def test_without_images_the_grid_turns_unknown(start):
    _, peer = start({"watchdog.stale_after_s": 0.5})
    _, grid = good(peer)
    assert (grid.data >= 0).any()

    def stale():
        peer.listen()
        return (peer.last["hazard_grid"].data == -1).all()

    wait_until(stale, "the unknown grid")
    assert peer.report(lambda s: s.level is Level.ERROR).level is Level.ERROR
    good(peer)


def test_slow_model_keeps_at_most_one_image_waiting(start, monkeypatch):
    quick = ConstantBackend.__call__

    def slow(self, tensor):
        time.sleep(0.15)
        return quick(self, tensor)

    monkeypatch.setattr(ConstantBackend, "__call__", slow)
    node, peer = start()
    waiting = []
    for _ in range(60):
        peer.image.write(stamped(time.time_ns()))
        waiting.append(node.waiting)
        time.sleep(1 / 30)
    wait_until(lambda: node.waiting == 0, "the last image")
    wait_until(lambda: node.snapshot().images_in == _accounted(node), "the last image's end")
    assert max(waiting) == 1
    assert node.snapshot().dropped[Drop.REPLACED] > 20
    peer.listen()
    newest = stamp_ns(peer.last["mask"].header)
    assert newest > time.time_ns() - 20 * SECOND_NS


def _accounted(node):
    counts = node.snapshot()
    return counts.images_out + sum(counts.dropped.values())


def test_reliable_input_and_several_cameras():
    parameters = load_parameters(
        overrides={**BASE, "cameras": ["left", "right"], "input_reliability": "reliable"}
    )
    inputs = input_topics(parameters)
    assert [item.spec.name for item in inputs] == [
        "/tf",
        "/tf_static",
        "left/image",
        "left/camera_info",
        "right/image",
        "right/camera_info",
    ]
    assert inputs[2].spec.reliability.value == "reliable"
    for source, wanted in (
        ("image", ["left/depth", "right/depth"]),
        ("cloud", ["left/depth", "right/depth"]),
        ("range", ["depth"]),
    ):
        inputs = input_topics(parameters.with_values({"depth.source": source}))
        found = [i.spec.name for i in inputs if i.spec.group is Group.GROUND]
        assert found == wanted
    with pytest.raises(ConfigError, match="2 cameras"):
        input_topics(parameters, {"image_topic": "/usb_cam/image_raw"})


def test_full_names_and_compressed_images():
    parameters = load_parameters(overrides={**BASE, "image_transport": "compressed"})
    inputs = input_topics(
        parameters, {"image_topic": "/cam/image_raw", "camera_info_topic": "info"}
    )
    names = {item.row: item.spec.name for item in inputs}
    assert names["image/compressed"] == "/cam/image_raw/compressed"
    assert names["camera_info"] == "info"


def depth_of(header):
    depth = DepthImage(np.full((HEIGHT_PX, WIDTH_PX), 3.0, np.float32), 0)
    return encode_depth(cdr.message_class, depth, header)


def cloud_of(header):
    rows, cols = np.meshgrid(np.linspace(-1.0, 1.0, 60), np.linspace(-1.0, 1.0, 80))
    points = np.stack([rows, cols, np.full(rows.shape, 3.0)], axis=-1).astype(np.float32)
    empty = np.zeros(rows.shape, dtype=np.uint8)
    return encode_points(cdr.message_class, points, empty, confidence=empty, header=header)


@pytest.mark.parametrize(
    ("source", "row", "make"), [("image", "depth", depth_of), ("cloud", "cloud", cloud_of)]
)
def test_what_measures_the_ground_is_read_from_the_bus(start, source, row, make):
    node, peer = start(overrides={"depth.source": source})
    depth = Writer(peer.member, topic(row), dds_name="rt/terrain/depth")
    wait_until(lambda: depth.subscriber_count, "the node's subscription")

    def measured():
        image = peer.show()
        depth.write(make(image.header))
        return "ground_residual_m" in node.snapshot().gauges

    try:
        wait_until(measured, "a residual", every=0.1)
    finally:
        depth.close()


def test_stopped_node_stops_again_and_frees_its_domain(start):
    node, _ = start()
    node.stop()
    node.stop()
