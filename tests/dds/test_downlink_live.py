"""The downlink on a DDS bus."""

from __future__ import annotations

from support.buses import wait_until
from support.peer import Peer
from terrain_seg_ros.core.downlink.receiver import DownlinkReceiver
from terrain_seg_ros.dds.discovery import Discovery
from terrain_seg_ros.dds.port import NodeOptions, dds_node
from terrain_seg_ros.messages.downlink_message import decode_downlink
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime.session import Session

PARAMETERS = load_parameters(
    overrides={
        "model": "synthetic",
        "backend": "constant",
        "grid.size_m": 10.0,
        "downlink.budget_bytes_per_min": 200_000,
    }
)


def test_a_peer_decodes_grid_and_health_from_the_bus(domain):
    receiver = DownlinkReceiver()
    with Session(PARAMETERS) as session:
        node = dds_node(session, NodeOptions(domain, Discovery.HOST))
        peer = Peer(domain, ["mask", "downlink"])
        try:
            node.start()
            peer.meet()
            peer.mount()

            def has_grid():
                peer.show(value=80)
                peer.listen()
                message = peer.last.pop("downlink", None)
                if message is not None:
                    receiver.take(decode_downlink(message))
                shown = receiver.grid()
                return shown is not None and (shown.cost >= 0).any()

            wait_until(has_grid, "observed cells", every=0.2)
        finally:
            node.stop()
            peer.close()
    assert receiver.health["counters"]["images_in"] != "0"
