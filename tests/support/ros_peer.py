"""A rover's other nodes in rclpy: cameras, transforms, listeners, service clients."""

from __future__ import annotations

import threading
import time

import numpy as np
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParameters
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool, Trigger

from support.ros_lacking import Wire, types_for
from terrain_seg_ros.core.geometry.camera import camera_from_field_of_view
from terrain_seg_ros.core.geometry.frames import BODY_R_OPTICAL, rotation_from_rpy
from terrain_seg_ros.core.types import Transform
from terrain_seg_ros.messages.camera_info_message import encode_camera_info
from terrain_seg_ros.messages.diagnostics_message import decode_diagnostics
from terrain_seg_ros.messages.header_message import make_header, stamp_ns
from terrain_seg_ros.messages.image_message import encode_image
from terrain_seg_ros.messages.topics import topics
from terrain_seg_ros.messages.transform_message import StampedTransform, encode_transforms
from terrain_seg_ros.ros.message_classes import ROS_TYPES, has_message, message_class
from terrain_seg_ros.ros.quality import quality_of

NODE = "/terrain/terrain_seg"
OPTICAL = "navcam_optical"
WIDTH_PX, HEIGHT_PX = 96, 64
WAIT_S = 30.0
STEP_NS = 20_000_000
SPECS = {spec.name: spec for spec in topics()}
TRANSITIONS = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE,
    "cleanup": Transition.TRANSITION_CLEANUP,
}


def wait_until(condition, what, *, seconds=WAIT_S, every=0.02):
    """Return the first true value of the condition, or fail."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(every)
    raise AssertionError(f"waited {seconds} s in vain for {what}")


def stamped(stamp, *, width=WIDTH_PX, height=HEIGHT_PX, encoding="mono8", frame=OPTICAL):
    shape = (height, width) if encoding == "mono8" else (height, width, 3)
    header = make_header(ROS_TYPES, stamp, frame)
    return encode_image(ROS_TYPES, np.full(shape, 120, dtype=np.uint8), encoding, header)


def intrinsics(*, width=WIDTH_PX, height=HEIGHT_PX):
    camera = camera_from_field_of_view(width_px=width, height_px=height, horizontal_fov_rad=1.0)
    return encode_camera_info(ROS_TYPES, camera, make_header(ROS_TYPES, 0, OPTICAL))


def transforms(parent, child, stamp, transform):
    types = types_for("tf2_msgs/msg/TFMessage")
    return encode_transforms(types, [StampedTransform(parent, child, stamp, transform)])


class RosPeer:
    """Hold a node in a context and a thread of its own."""

    def __init__(self, domain, name="peer", namespace=None):
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = rclpy.create_node(name, namespace=namespace, context=self.context)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()
        self._wire = Wire(domain)
        self.got = {}
        self._publishers = {}
        self._clients = {}
        self.x_m = 0.0

    def close(self):
        self._wire.close()
        self._executor.shutdown()
        self._thread.join()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self.context)

    def listen(self, *names):
        """Subscribe to outputs by their names in the table."""
        for name in names:
            self.got[name] = []
            spec = SPECS[name.rpartition("|")[2]]
            full = spec.name if spec.name.startswith("/") else f"/terrain/{name}"
            if not has_message(spec.type):
                self._wire.listen(full, spec, self.got[name].append)
                continue
            self.node.create_subscription(
                message_class(spec.type), full, self.got[name].append, quality_of(spec)
            )

    def publisher(self, name, row, quality=None):
        """Return a publisher for one of the node's inputs, made once."""
        if name not in self._publishers:
            spec = SPECS[row]
            if not has_message(spec.type):
                self._publishers[name] = self._wire.publisher(name, spec)
                return self._publishers[name]
            self._publishers[name] = self.node.create_publisher(
                message_class(spec.type), name, quality or quality_of(spec)
            )
        return self._publishers[name]

    @property
    def image(self):
        return self.publisher("/terrain/image", "image")

    @property
    def camera_info(self):
        return self.publisher("/terrain/camera_info", "camera_info")

    def mount(self):
        """Send the fixed transform from the camera to the vehicle."""
        rotation = rotation_from_rpy(0.0, 0.4, 0.0) @ BODY_R_OPTICAL
        fixed = Transform(rotation, np.array([0.3, 0.0, 1.4]))
        message = transforms("base_link", OPTICAL, 0, fixed)
        self.publisher("/tf_static", "/tf_static").publish(message)

    def place(self, stamp):
        """Send the vehicle's pose around a stamp."""
        for at in (stamp - STEP_NS, stamp, stamp + STEP_NS):
            pose = Transform(np.eye(3), np.array([self.x_m, 0.0, 0.0]))
            self.publisher("/tf", "/tf").publish(transforms("odom", "base_link", at, pose))

    def show(self, *, stamp=None, **changes):
        """Show one image with its camera_info and pose; return its stamp."""
        stamp = time.time_ns() if stamp is None else stamp
        self.place(stamp)
        self.camera_info.publish(intrinsics())
        self.image.publish(stamped(stamp, **changes))
        return stamp

    def answer(self, name, stamp, *, seconds=WAIT_S):
        """Return the message of an output that carries a stamp."""

        def found():
            return [m for m in list(self.got[name]) if stamp_ns(m.header) == stamp]

        return wait_until(found, f"{name} at {stamp}", seconds=seconds)[0]

    def good(self):
        """Show images until mask and grid answer one; return both."""
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            stamp = self.show()
            pause = time.monotonic() + 0.5
            while time.monotonic() < pause:
                both = [self._of(name, stamp) for name in ("mask", "hazard_grid")]
                if all(both):
                    return both
                time.sleep(0.01)
        raise AssertionError("no grid came")

    def status(self, condition):
        """Return the first diagnostics that meet a condition."""
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            for message in list(self.got["/diagnostics"]):
                for status in decode_diagnostics(message):
                    if condition(status):
                        return status
            self.got["/diagnostics"].clear()
            time.sleep(0.05)
        raise AssertionError("the diagnostics never said so")

    def change(self, name):
        """Ask for a transition; return whether it succeeded."""
        request = ChangeState.Request(transition=Transition(id=TRANSITIONS[name]))
        return self.call(ChangeState, "change_state", request).success

    def state(self):
        return self.call(GetState, "get_state", GetState.Request()).current_state.label

    def bring_up(self):
        assert self.change("configure")
        assert self.change("activate")
        wait_until(self.image.get_subscription_count, "the node's subscription")
        self.mount()

    def set(self, **values):
        """Set parameters one by one; return the results."""
        items = [
            Parameter(name.replace("__", "."), value=value).to_parameter_msg()
            for name, value in values.items()
        ]
        request = SetParameters.Request(parameters=items)
        return self.call(SetParameters, "set_parameters", request).results

    def describe(self, *names):
        request = DescribeParameters.Request(names=list(names))
        return self.call(DescribeParameters, "describe_parameters", request).descriptors

    def get(self, *names):
        request = GetParameters.Request(names=list(names))
        return self.call(GetParameters, "get_parameters", request).values

    def trigger(self, name):
        return self.call(Trigger, name, Trigger.Request())

    def enable(self, on):
        return self.call(SetBool, "enable", SetBool.Request(data=on))

    def select_site(self, on):
        return self.call(SetBool, "select_site", SetBool.Request(data=on))

    def call(self, kind, name, request):
        if name not in self._clients:
            self._clients[name] = self.node.create_client(kind, f"{NODE}/{name}")
        client = self._clients[name]
        assert client.wait_for_service(WAIT_S), f"no service {name}"
        future = client.call_async(request)
        wait_until(future.done, f"the answer of {name}", seconds=60.0)
        return future.result()

    def _of(self, name, stamp):
        return next((m for m in list(self.got[name]) if stamp_ns(m.header) == stamp), None)

    def _spin(self):
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return
