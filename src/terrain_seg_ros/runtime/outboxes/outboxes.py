"""All outboxes of a node."""

from __future__ import annotations

from terrain_seg_ros.messages.message_types import Types
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.runtime.outboxes.cloud_outbox import CloudOutbox
from terrain_seg_ros.runtime.outboxes.downlink_outbox import DownlinkOutbox
from terrain_seg_ros.runtime.outboxes.grid_outbox import GridOutbox
from terrain_seg_ros.runtime.outboxes.image_outbox import ImageOutbox
from terrain_seg_ros.runtime.outboxes.landing_outbox import LandingOutbox
from terrain_seg_ros.runtime.outboxes.outgoing import Bus
from terrain_seg_ros.runtime.outboxes.outputs import Outputs
from terrain_seg_ros.runtime.vehicle_pose import Transforms


class Outboxes:
    """Encode everything that a node publishes; they share what is due."""

    def __init__(
        self, types: Types, parameters: NodeSettings, bus: Bus, transforms: Transforms
    ) -> None:
        """Start with nothing sent.

        Args:
            types: message classes; topics whose type it has not are left out.
            parameters: the values.
            bus: who subscribes, and names in full.
            transforms: place points that select a landing site.
        """
        self._outputs = Outputs(types, parameters, bus)
        self.downlink = DownlinkOutbox(self._outputs, parameters)
        self.images = ImageOutbox(self._outputs, parameters, self.downlink)
        self.clouds = CloudOutbox(self._outputs, parameters)
        self.grids = GridOutbox(self._outputs, parameters, self.downlink)
        self.landing = LandingOutbox(self._outputs, parameters, transforms, self.downlink)

    def set_parameters(self, parameters: NodeSettings) -> None:
        """Take what may change while running."""
        for box in (self._outputs, self.images, self.clouds, self.grids, self.landing):
            box.set_parameters(parameters)
