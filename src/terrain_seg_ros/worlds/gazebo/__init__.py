"""Export of worlds to Gazebo."""
