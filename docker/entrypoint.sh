#!/usr/bin/env bash
# Enter the workspace, then run what was asked for.
set -eo pipefail
source "/opt/ros/${ROS_DISTRO}/setup.bash"
source /ws/.venv-ros/bin/activate
source /ws/install/setup.bash
exec "$@"
