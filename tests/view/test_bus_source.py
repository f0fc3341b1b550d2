"""A viewer on a live bus hears the node, and never holds it up."""

from __future__ import annotations

from support.buses import free_domain, wait_until
from support.recorded_run import run
from terrain_seg_ros.dds.discovery import Discovery
from terrain_seg_ros.dds.endpoints import Writer
from terrain_seg_ros.dds.names import dds_topic_name
from terrain_seg_ros.dds.participant import Participant
from terrain_seg_ros.messages.topic_spec import Reliability
from terrain_seg_ros.messages.topics import topic
from terrain_seg_ros.view.bus_source import BusWatcher
from terrain_seg_ros.view.topics import READ, ViewTopics, view_spec


def test_a_node_is_heard_and_one_elsewhere_is_named(monkeypatch):
    monkeypatch.delenv("CYCLONEDDS_URI", raising=False)
    domain = free_domain()
    watcher = BusWatcher(
        ViewTopics(), domain_id=domain, discovery=Discovery.HOST, base_frame="base_link"
    )
    peer = Participant(domain, Discovery.HOST)
    try:
        watcher.start()
        assert not watcher.has_node
        other = Writer(peer, topic("mask"), dds_name=dds_topic_name("mask", "/rover1"))
        wait_until(lambda: watcher.other_nodes() == ["/rover1/mask"], "the other node")
        writers = {
            name: Writer(peer, topic(name), dds_name=dds_topic_name(name, "/terrain"))
            for name in ("mask", "hazard_grid", "label_info")
        }
        wait_until(lambda: all(w.subscriber_count for w in writers.values()), "the viewer")
        assert watcher.has_node
        for item in run(1):
            name = item.topic.removeprefix("/terrain/")
            if name in writers:
                writers[name].write(item.message)
        wait_until(lambda: watcher.keeper.moment().mask is not None, "the mask")
        wait_until(lambda: watcher.keeper.moment().grid is not None, "the grid")
        assert not watcher.error
        other.close()
    finally:
        watcher.close()
        peer.close()


def test_only_what_is_kept_for_late_subscribers_is_read_reliably():
    waited_for = {name for name in READ if view_spec(name).reliability is Reliability.RELIABLE}
    assert "mask" not in waited_for
    assert {"hazard_grid", "label_info", "/tf", "/diagnostics"} <= waited_for
