"""The ROS 2 rim: the only package that imports rclpy or tf2. It only translates."""
