#!/usr/bin/env bash
# Install what package.xml names, with rosdep, and what the compose file adds.
set -euo pipefail
apt-get update
rosdep update
rosdep install --from-paths src --ignore-src -y
apt-get install --yes --no-install-recommends python3-venv \
  "ros-${ROS_DISTRO}-foxglove-bridge" "ros-${ROS_DISTRO}-rmw-cyclonedds-cpp"
rm -rf /var/lib/apt/lists/*
