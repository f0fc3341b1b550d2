"""Arrays in, arrays out: the science, free of ROS, files and logging."""
