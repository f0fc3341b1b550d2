"""The node without ROS: Cyclone DDS on the wire."""
