"""ROS messages to core values and back, by attribute access only."""
