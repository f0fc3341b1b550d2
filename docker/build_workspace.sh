#!/usr/bin/env bash
# Build the workspace around src/terrain_seg_ros as the README says, in an environment with ROS's own packages.
# Arguments are further packages for pip.
set -eo pipefail
python3 -m venv --system-site-packages .venv-ros
source .venv-ros/bin/activate
pip install --no-cache-dir 'numpy>=1.26,<2' 'setuptools<80' 'pydantic>=2.9,<3' pooch tqdm joblib 'numba>=0.58,<0.70' colcon-common-extensions onnxruntime openvino rosbags
if [[ $# -gt 0 ]]; then pip install --no-cache-dir "$@"; fi
source "/opt/ros/${ROS_DISTRO}/setup.bash"
python -m colcon build
