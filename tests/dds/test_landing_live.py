"""A lander on a real bus: sites come, and a point of another process selects one."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from support.buses import wait_until
from support.peer import HEIGHT_PX, OPTICAL, TYPES, WIDTH_PX, Peer
from support.tiny_model import write_tiny_model
from terrain_seg_ros.dds.discovery import Discovery
from terrain_seg_ros.dds.endpoints import Writer
from terrain_seg_ros.dds.names import dds_topic_name
from terrain_seg_ros.dds.port import NodeOptions, dds_node
from terrain_seg_ros.messages.header_message import make_header, stamp_ns
from terrain_seg_ros.messages.image_message import encode_image
from terrain_seg_ros.messages.topics import topic
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime.session import Session

OUTPUTS = ("landing_sites", "landing_sites_markers", "best_landing_site", "safe_map")
CHANGES = {
    "backend": "onnxruntime",
    "mounting.use_tf": False,
    "mounting.z_m": 8.0,
    "ground.max_ground_sample_m": 0.2,
    "footprint.radius_m": 0.8,
    "footprint.position_sigma_m": 0.0,
    "landing.min_separation_m": 2.0,
    "landing.min_p_safe": 0.5,
    "grid.size_m": 20.0,
    "watchdog.stale_after_s": 0.0,
}


@pytest.fixture
def lander(domain, tmp_path):
    """Return a peer that has met a lander's node, and what sends points that select."""
    model = str(write_tiny_model(tmp_path / "tiny", size=64))
    parameters = load_parameters(overrides={**CHANGES, "model": model}, shipped="lander")
    peer = Peer(domain, OUTPUTS)
    with Session(parameters) as session, dds_node(session, NodeOptions(domain, Discovery.HOST)):
        selecting = Writer(
            peer.member, topic("select_site"), dds_name=dds_topic_name("select_site", "/terrain")
        )
        peer.meet()
        wait_until(lambda: selecting.subscriber_count, "the node's reader of select_site")
        peer.mount()
        yield peer, selecting
        selecting.close()
        peer.close()


def shown(peer):
    """Show soil with one rock until sites come; return all answers to that image."""
    pixels = np.full((HEIGHT_PX, WIDTH_PX), 40, dtype=np.uint8)
    pixels[20:28, 40:48] = 240
    for _ in range(50):
        stamp = time.time_ns()
        peer.drive(stamp)
        header = make_header(TYPES, stamp, OPTICAL)
        peer.image.write(encode_image(TYPES, pixels, "mono8", header))
        end_s = time.monotonic() + 1.0
        while time.monotonic() < end_s:
            peer.listen()
            sites = peer.last.get("landing_sites")
            if sites is not None and stamp_ns(sites.header) == stamp and sites.detections:
                return sites
            time.sleep(0.005)
    raise AssertionError("no landing sites came")


def place(detection):
    return detection.bbox.center.position.x, detection.bbox.center.position.y


def test_landing_sites_come_and_one_can_be_selected(lander):
    peer, selecting = lander
    sites = shown(peer)
    assert sites.header.frame_id == "odom"
    first, last = sites.detections[0], sites.detections[-1]
    assert first.id != last.id
    stamp = stamp_ns(sites.header)
    best = peer.answer("best_landing_site", stamp).pose.position
    assert (best.x, best.y) == place(first)
    wait_until(lambda: peer.listen() or "landing_sites_markers" in peer.last, "markers")
    assert len(peer.last["landing_sites_markers"].markers) % 2 == 1

    def selected():
        shown(peer)
        return peer.last["landing_sites"].detections[0]

    x_m, y_m = place(last)
    point = TYPES("geometry_msgs/msg/Point")(x=x_m, y=y_m, z=0.0)
    message = TYPES("geometry_msgs/msg/PointStamped")
    selecting.write(message(header=make_header(TYPES, stamp, "odom"), point=point))
    wait_until(lambda: place(selected()) == (x_m, y_m), "the selected site")
    status = peer.report(lambda item: item.values.get("landing_site_selected") == "yes")
    assert f"({x_m:.2f}, {y_m:.2f})" in status.values["landing_site"]
    nothing = TYPES("geometry_msgs/msg/Point")(x=math.nan, y=math.nan, z=0.0)
    selecting.write(message(header=make_header(TYPES, stamp, "odom"), point=nothing))
    peer.report(lambda item: item.values.get("landing_site_selected") == "no")
