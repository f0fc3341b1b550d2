"""A simple rover and lander for Gazebo, with a camera and a ground-truth segmentation camera."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree.ElementTree import Element

from terrain_seg_ros.worlds.gazebo.sdf_element import add, add_label, add_plugin

VEHICLE = "vehicle"
"""Name of the model, which is part of the bridge's topics."""
OPTICAL_FRAME = "navcam_optical"
OWN_BODY_LABEL = 255
WHEEL_RADIUS_M = 0.25
WHEEL_X_M = 0.6
WHEEL_Y_M = 0.55
FRICTION_ALONG, FRICTION_ACROSS = 0.8, 0.4
"""Friction of the wheels along and across their direction of travel.

To turn, four wheels must slip sideways, and the ones that drive must not. Gazebo's friction acts
along two axes independently, so that the moment of the first,
`FRICTION_ACROSS * WHEEL_X_M`, must stay below that of the other, `FRICTION_ALONG * WHEEL_Y_M`, or
the rover does not turn at all on level ground.
"""


@dataclass(frozen=True)
class CameraMounting:
    """The pose of a camera in base_link, looking along x pitched down, and its optics."""

    x_m: float
    z_m: float
    pitch_rad: float
    horizontal_fov_rad: float = 1.1
    width_px: int = 640
    height_px: int = 480
    far_m: float = 100.0


MOUNTINGS = {
    "rover": CameraMounting(x_m=0.6, z_m=1.8, pitch_rad=0.35),
    "lander": CameraMounting(x_m=0.0, z_m=-0.3, pitch_rad=1.5707963, far_m=300.0),
}


def add_rover(world: Element, x_m: float, y_m: float, z_m: float) -> None:
    """Add a rover with four driven wheels; base_link is at the height of the wheels' contact."""
    model = _model(world, (x_m, y_m, z_m, 0.0, 0.0, 0.0))
    link = _body(model, mass_kg=150.0, size_m=(1.2, 0.8, 0.3), z_m=0.55)
    _visual(link, "mast", "cylinder", (0.45, 0.0, 1.2, 0.0, 0.0, 0.0), radius=0.04, length=1.0)
    wheels = [
        (f"{end}_{side}", x, y)
        for end, x in (("front", WHEEL_X_M), ("rear", -WHEEL_X_M))
        for side, y in (("left", WHEEL_Y_M), ("right", -WHEEL_Y_M))
    ]
    for name, x, y in wheels:
        _wheel(model, name, x, y)
    _cameras(link, MOUNTINGS["rover"])
    drive = add_plugin(model, "diff-drive", "DiffDrive")
    for name, _, _ in wheels:
        add(drive, "left_joint" if "left" in name else "right_joint", f"{name}_joint")
    add(drive, "wheel_separation", 2.0 * WHEEL_Y_M)
    add(drive, "wheel_radius", WHEEL_RADIUS_M)
    add(drive, "topic", f"/model/{VEHICLE}/cmd_vel")
    # By default it would publish on the topic of the true pose.
    add(drive, "odom_topic", f"/model/{VEHICLE}/wheel_odometry")
    _true_pose(model)


def add_lander(world: Element, x_m: float, y_m: float, z_m: float) -> None:
    """Add a lander, a box without gravity and with a downward camera, that follows commands."""
    model = _model(world, (x_m, y_m, z_m, 0.0, 0.0, 0.0))
    link = _body(model, mass_kg=100.0, size_m=(1.0, 1.0, 0.4), z_m=0.0)
    add(link, "gravity", False)
    _cameras(link, MOUNTINGS["lander"])
    add_plugin(model, "velocity-control", "VelocityControl")
    _true_pose(model)


def _model(world: Element, pose: tuple[float, ...]) -> Element:
    model = add(world, "model", name=VEHICLE)
    add(model, "pose", pose)
    return model


def _body(
    model: Element, *, mass_kg: float, size_m: tuple[float, float, float], z_m: float
) -> Element:
    link = add(model, "link", name="base_link")
    length, width, height = size_m
    pose = (0.0, 0.0, z_m, 0.0, 0.0, 0.0)
    moments = (
        mass_kg * (width**2 + height**2) / 12.0,
        mass_kg * (length**2 + height**2) / 12.0,
        mass_kg * (length**2 + width**2) / 12.0,
    )
    _inertial(link, mass_kg, moments, pose)
    _visual(link, "body", "box", pose, size=size_m)
    collision = add(link, "collision", name="body")
    add(collision, "pose", pose)
    _geometry(collision, "box", size=size_m)
    return link


def _inertial(
    link: Element, mass_kg: float, moments: tuple[float, ...], pose: tuple[float, ...]
) -> None:
    inertial = add(link, "inertial")
    add(inertial, "pose", pose)
    add(inertial, "mass", mass_kg)
    inertia = add(inertial, "inertia")
    for tag, moment in zip(("ixx", "iyy", "izz"), moments):
        add(inertia, tag, moment)
    for tag in ("ixy", "ixz", "iyz"):
        add(inertia, tag, 0.0)


def _wheel(model: Element, name: str, x_m: float, y_m: float) -> None:
    link = add(model, "link", name=f"{name}_wheel")
    add(link, "pose", (x_m, y_m, WHEEL_RADIUS_M, 0.0, 0.0, 0.0))
    mass_kg = 8.0
    across = mass_kg * (3.0 * WHEEL_RADIUS_M**2 + 0.2**2) / 12.0
    moments = (across, 0.5 * mass_kg * WHEEL_RADIUS_M**2, across)
    _inertial(link, mass_kg, moments, (0.0,) * 6)
    _visual(link, "tyre", "cylinder", (0, 0, 0, 1.5707963, 0, 0), radius=WHEEL_RADIUS_M, length=0.2)
    # A sphere has more stable contacts with a triangle mesh than the edges of a cylinder.
    collision = add(link, "collision", name="tyre")
    _geometry(collision, "sphere", radius=WHEEL_RADIUS_M)
    friction = add(add(add(collision, "surface"), "friction"), "ode")
    # The first direction is the wheel's axis, which does not turn with it.
    add(friction, "fdir1", (0, 1, 0))
    add(friction, "mu", FRICTION_ACROSS)
    add(friction, "mu2", FRICTION_ALONG)
    joint = add(model, "joint", name=f"{name}_joint", type="revolute")
    add(joint, "parent", "base_link")
    add(joint, "child", f"{name}_wheel")
    axis = add(joint, "axis")
    add(axis, "xyz", (0, 1, 0))
    limit = add(axis, "limit")
    add(limit, "lower", "-inf")
    add(limit, "upper", "inf")


def _visual(
    link: Element, name: str, shape: str, pose: tuple[float, ...], **measures: object
) -> None:
    visual = add(link, "visual", name=name)
    add(visual, "pose", pose)
    _geometry(visual, shape, **measures)
    material = add(visual, "material")
    add(material, "ambient", (0.6, 0.6, 0.6, 1.0))
    add(material, "diffuse", (0.6, 0.6, 0.6, 1.0))
    add_label(visual, OWN_BODY_LABEL)


def _geometry(parent: Element, shape: str, **measures: object) -> None:
    element = add(add(parent, "geometry"), shape)
    for tag, value in measures.items():
        add(element, tag, value)


def _cameras(link: Element, mounting: CameraMounting) -> None:
    for name, kind, topic in (
        ("navcam", "rgbd_camera", "navcam"),
        ("navcam_truth", "segmentation", "navcam/segmentation"),
    ):
        sensor = add(link, "sensor", name=name, type=kind)
        add(sensor, "pose", (mounting.x_m, 0.0, mounting.z_m, 0.0, mounting.pitch_rad, 0.0))
        add(sensor, "topic", topic)
        add(sensor, "update_rate", 5)
        add(sensor, "always_on", True)
        # The frame of all messages of a camera; its pose is published by the launch file.
        add(sensor, "gz_frame_id", OPTICAL_FRAME)
        camera = add(sensor, "camera")
        add(camera, "horizontal_fov", mounting.horizontal_fov_rad)
        image = add(camera, "image")
        add(image, "width", mounting.width_px)
        add(image, "height", mounting.height_px)
        clip = add(camera, "clip")
        add(clip, "near", 0.1)
        add(clip, "far", mounting.far_m)
        if kind == "segmentation":
            add(camera, "segmentation_type", "semantic")


def _true_pose(model: Element) -> None:
    """Publish the true pose of the vehicle, including tilt, as odometry and TF.

    The wheel odometry of DiffDrive accounts for neither slip nor tilt.
    """
    add_plugin(
        model,
        "odometry-publisher",
        "OdometryPublisher",
        odom_frame="odom",
        robot_base_frame="base_link",
        dimensions=3,
        odom_publish_frequency=50,
    )
