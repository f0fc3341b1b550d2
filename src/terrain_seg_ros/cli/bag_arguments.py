"""Arguments about bags; light, as the doctor starts where little is installed."""

from __future__ import annotations

import argparse
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError


def bag_path(text: str) -> Path:
    """Return the path of a bag; `Path` alone takes an empty name as the current folder.

    Raises:
        ConfigError: the name is empty.
    """
    if not text.strip():
        raise ConfigError(
            f"the name of the bag is {text!r}, which is empty; name a bag's folder, or a .mcap or "
            ".db3 file, and check the variable that holds it"
        )
    return Path(text)


def add_image_topics_argument(parser: argparse._ActionsContainer) -> None:
    """Add --image-topic, which chooses among the image topics of a bag."""
    parser.add_argument(
        "--image-topic",
        action="append",
        default=[],
        metavar="NAME",
        help="use only this image topic; may be repeated (default: one per camera found)",
    )
