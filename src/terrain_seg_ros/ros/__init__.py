"""The lifecycle node and the port to ROS 2: the only package that imports rclpy or tf2."""
