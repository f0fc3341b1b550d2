"""What `terrain-train evaluate` reports, computed from arrays: numpy, OpenCV and matplotlib."""
