"""Well-formed, finite and absurd messages: each is refused, and the next good frame is served."""

from __future__ import annotations

import time

import numpy as np
import pytest

from support.buses import wait_until
from support.peer import OPTICAL, Peer, intrinsics, stamped
from terrain_seg_ros.dds.discovery import Discovery
from terrain_seg_ros.dds.endpoints import Writer
from terrain_seg_ros.dds.names import dds_topic_name
from terrain_seg_ros.dds.port import NodeOptions, dds_node
from terrain_seg_ros.messages import cdr
from terrain_seg_ros.messages.header_message import make_header, stamp_ns
from terrain_seg_ros.messages.topics import topic
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime.health import Refusal
from terrain_seg_ros.runtime.session import Session

TYPES = cdr.message_class
BASE = {
    "model": "synthetic",
    "backend": "constant",
    "grid.size_m": 10.0,
    "watchdog.stale_after_s": 0.0,
    "landing.enable": True,
}
MODES = {"tf": {}, "mounted": {"mounting.use_tf": False, "mounting.pitch_rad": 0.3}}
PACE_S = 0.02
"""Inputs hold one message each; faster ones would replace each other."""
FAR = (1.1e7, -2e7, 1e38, 1e100, 1e308, -1e308)


def transform(parent, child, *, translation=(0.0, 0.0, 0.0), rotation=(0.0, 0.0, 0.0, 1.0)):
    """Return a TFMessage as a publisher without checks would send it."""
    x, y, z = translation
    qx, qy, qz, qw = rotation
    item = TYPES("geometry_msgs/msg/TransformStamped")(
        header=make_header(TYPES, time.time_ns(), parent),
        child_frame_id=child,
        transform=TYPES("geometry_msgs/msg/Transform")(
            translation=TYPES("geometry_msgs/msg/Vector3")(x=x, y=y, z=z),
            rotation=TYPES("geometry_msgs/msg/Quaternion")(x=qx, y=qy, z=qz, w=qw),
        ),
    )
    return TYPES("tf2_msgs/msg/TFMessage")(transforms=[item])


def point(x, y, frame="odom"):
    return TYPES("geometry_msgs/msg/PointStamped")(
        header=make_header(TYPES, time.time_ns(), frame),
        point=TYPES("geometry_msgs/msg/Point")(x=x, y=y, z=0.0),
    )


def far_transforms(row, parent, child):
    for value in FAR:
        for axis in range(3):
            place = [0.0, 0.0, 0.0]
            place[axis] = value
            yield row, transform(parent, child, translation=place)


def odd_quaternions():
    for rotation in ((0, 0, 0, 0), (0, 0, 0, 2), (1, 1, 1, 1), (1e308, 0, 0, 1), (0, 0, 1e-200, 0)):
        yield "/tf", transform("odom", "base_link", rotation=[float(part) for part in rotation])


def odd_frames():
    for parent, child in (("", "a"), ("a", ""), ("a", "a"), ("/", "/"), ("base_link", "odom")):
        yield "/tf", transform(parent, child)
    yield "/tf", TYPES("tf2_msgs/msg/TFMessage")(transforms=[])


def odd_intrinsics():
    for value in (1e100, 1e308, 1e-300, -1.0):
        message = intrinsics()
        message.k = np.array(message.k)
        message.p = np.array(message.p)
        message.k[0] = message.k[4] = message.p[0] = message.p[5] = value
        yield "camera_info", message


def odd_points():
    for value in (*FAR, 1e6, float("inf"), float("nan")):
        yield "select_site", point(value, 0.0)
        yield "select_site", point(0.0, value)
    yield "select_site", point(1.0, 1.0, frame="nowhere")
    yield "select_site", point(1.0, 1.0, frame="")


def odd_images():
    for width, height, step in ((2**32 - 1, 1, 1), (1, 2**32 - 1, 2**32 - 1), (0, 0, 0)):
        message = stamped(time.time_ns())
        message.width, message.height, message.step = width, height, step
        yield "image", message


GROUPS = {
    "vehicle far away": lambda: far_transforms("/tf", "odom", "base_link"),
    "camera far away": lambda: far_transforms("/tf_static", "base_link", OPTICAL),
    "grid far away": lambda: far_transforms("/tf_static", "map", "odom"),
    "quaternions": odd_quaternions,
    "frames": odd_frames,
    "intrinsics": odd_intrinsics,
    "points": odd_points,
    "images": odd_images,
}


@pytest.fixture
def start(domain):
    """Return a function that starts a node and a peer that has met it."""
    opened = []

    def started(changes):
        session = Session(load_parameters(overrides={**BASE, **changes}))
        node = dds_node(session, NodeOptions(domain, Discovery.HOST))
        peer = Peer(domain)
        peer.writers["select_site"] = Writer(
            peer.member, topic("select_site"), dds_name=dds_topic_name("select_site", "/terrain")
        )
        opened.extend([node.stop, session.close, peer.close])
        node.start()
        peer.meet()
        peer.mount()
        return node, peer

    yield started
    for close in opened:
        close()


def serves(peer):
    """Show good images until the grid of one has free cells."""
    peer.mount()
    since_ns = time.time_ns()

    def shown():
        peer.show()
        peer.listen()
        grid = peer.last.get("hazard_grid")
        fresh = grid is not None and stamp_ns(grid.header) > since_ns
        return fresh and bool((grid.data == 0).any())

    wait_until(shown, "a grid with free cells", every=0.05)


@pytest.mark.requirement("TSR-ROB-001")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("group", GROUPS)
def test_the_next_good_frame_is_served(start, mode, group):
    node, peer = start(MODES[mode])
    serves(peer)
    for row, message in GROUPS[group]():
        peer.writers[row].write(message)
        time.sleep(PACE_S)
        peer.show()
        time.sleep(PACE_S)
        node.check()
    serves(peer)
    health = node.snapshot()
    assert sum(health.refused.values()) > 0
    assert Refusal.DEFECT not in health.refused, health.refusal_texts[Refusal.DEFECT]
