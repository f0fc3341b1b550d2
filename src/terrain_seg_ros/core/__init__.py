"""Terrain segmentation and mapping on plain arrays, without ROS and without logging."""
