"""The clouds of one image: only for those who listen."""

from __future__ import annotations

from terrain_seg_ros.core.ground.measurement import GroundMeasurement
from terrain_seg_ros.core.pipeline import FuseStep, Pipeline
from terrain_seg_ros.runtime.frame import Frame, View, hazard_cloud
from terrain_seg_ros.runtime.outboxes.image_outbox import Outbox, Outgoing
from terrain_seg_ros.runtime.vehicle_pose import VehiclePose


def cloud_messages(
    outbox: Outbox,
    pipeline: Pipeline,
    frame: Frame,
    *,
    view: View,
    pose: VehiclePose,
    fused: FuseStep,
    measured: GroundMeasurement | None,
) -> list[Outgoing]:
    """Return `hazard_points` and `points` of an image that reached the grid, where wanted.

    Raises:
        GeometryError: camera, image and transforms contradict each other.
        MessageError: a cloud cannot be encoded.
    """
    result: list[Outgoing] = []
    if outbox.wants_hazard_points(frame.camera):
        cloud = hazard_cloud(view.step, fused, pipeline.hazard_rule)
        result += outbox.hazard_points(
            frame.camera, cloud, stamp_ns=frame.stamp_ns, frame_id=fused.grid.frame_id
        )
    if outbox.wants_points(frame.camera):
        points = pipeline.points_optical(
            view.step,
            view.camera,
            height_px=view.image.height_px,
            width_px=view.image.width_px,
            grid_T_camera=pose.grid_T_camera,
            grid_T_base=pose.grid_T_base,
            measured=measured,
        )
        result += outbox.points(frame.camera, points, view.step, header=frame.message.header)
    return result
