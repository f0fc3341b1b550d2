#!/usr/bin/env bash
# Install ROS 2 from its own packages, after its installation guide, on an image that has none.
set -euo pipefail
apt-get update
apt-get install --yes --no-install-recommends ca-certificates curl
version=$(. /etc/os-release && echo "${VERSION_CODENAME}")
curl --fail --silent --show-error --location --output /usr/share/keyrings/ros-archive-keyring.gpg \
  https://raw.githubusercontent.com/ros/rosdistro/master/ros.key
echo "deb [signed-by=/usr/share/keyrings/ros-archive-keyring.gpg] http://packages.ros.org/ros2/ubuntu ${version} main" \
  > /etc/apt/sources.list.d/ros2.list
apt-get update
apt-get install --yes --no-install-recommends build-essential python3-rosdep "ros-${ROS_DISTRO}-ros-base"
rosdep init
rm -rf /var/lib/apt/lists/*
