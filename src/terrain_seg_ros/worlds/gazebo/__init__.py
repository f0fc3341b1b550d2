"""Write a world for Gazebo."""
