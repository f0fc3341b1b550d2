"""The port to a DDS bus: ROS 2 topics on the wire without ROS."""
