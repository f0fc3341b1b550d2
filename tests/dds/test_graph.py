"""What ROS tools read: the participant's user data and its node."""

from __future__ import annotations

from support.buses import wait_until
from terrain_seg_ros.dds.cyclone import Policy
from terrain_seg_ros.dds.endpoints import Reader, Writer
from terrain_seg_ros.dds.graph import GRAPH, GRAPH_TOPIC, GRAPH_TYPE_HASH, GraphEntry
from terrain_seg_ros.messages.topics import topic


def test_node_is_shown_with_its_endpoints_and_goes(participant):
    image = Reader(participant, topic("image"), dds_name="rt/image")
    mask = Writer(participant, topic("mask"), dds_name="rt/mask")
    entry = GraphEntry(participant, namespace="/terrain", name="terrain_seg")
    entry.publish([image], [mask])
    late = Reader(participant, GRAPH, dds_name=GRAPH_TOPIC)
    info = wait_until(lambda: list(late.take()), "the node")[0]
    assert info.gid.data.tobytes() == participant.gid
    node = info.node_entities_info_seq[0]
    assert (node.node_namespace, node.node_name) == ("/terrain", "terrain_seg")
    assert [gid.data.tobytes() for gid in node.reader_gid_seq] == [image.gid]
    assert [gid.data.tobytes() for gid in node.writer_gid_seq] == [mask.gid]
    entry.close()
    assert wait_until(lambda: list(late.take()), "the end")[0].node_entities_info_seq == []


def test_user_data_names_the_enclave_and_the_hash(participant):
    assert participant.entity.get_qos()[Policy.Userdata].data == b"enclave=/;"
    late = Writer(participant, GRAPH, dds_name=GRAPH_TOPIC, type_hash=GRAPH_TYPE_HASH)
    assert GRAPH_TYPE_HASH.encode() in late._entity.get_qos()[Policy.Userdata].data
