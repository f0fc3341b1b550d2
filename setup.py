"""Build terrain_seg_ros for pip and for colcon (ament_python) from one tree."""

from setuptools import find_packages, setup

setup(
    name="terrain_seg_ros",
    version="0.1.0",
    package_dir={"": "src"},
    packages=find_packages("src"),
    entry_points={"console_scripts": ["terrain-seg = terrain_seg_ros.cli.main:main"]},
)
