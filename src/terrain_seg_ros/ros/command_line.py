"""The part of a command line that is ROS's: checked before ROS takes it."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Sequence

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.utilities import remove_ros_args

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.parameters.file import NODE_NAME, parameter_sections

EXPECTED = {
    "-p": "NAME:=VALUE, such as -p grid.size_m:=20.0",
    "-r": "FROM:=TO with names of letters, digits, _ and /, such as -r __ns:=/terrain, or "
    "-r image:=/front/image_raw",
    "--log-level": "debug, info, warn, error or fatal, or NAME:=LEVEL",
    "--params-file": "the path of a parameter file",
    "-e": "an absolute name, such as /terrain/terrain_seg",
}
"""What follows each of ROS's options."""
LONG = {"--param": "-p", "--remap": "-r", "--enclave": "-e"}
_QUOTED = re.compile(r"'(?P<option>-\S+) [^']*'")
_TRAILING = re.compile(r"trailing (?:log level flag: ')?(?P<option>-[\w-]+)")


def without_ros_words(words: Sequence[str]) -> list[str]:
    """Return the words that are not ROS's.

    Raises:
        ConfigError: ROS cannot read its own.
    """
    errors = rclpy_implementation
    try:
        return list(remove_ros_args(["", *words])[1:])
    except errors.UnknownROSArgsError as error:
        raise ConfigError(
            f"ROS does not know {error} after --ros-args; give options of the node before "
            "--ros-args, or after --"
        ) from None
    except errors.RCLInvalidROSArgsError as error:
        raise ConfigError(_why_not_read(str(error))) from None


def _why_not_read(text: str) -> str:
    """Return one line for what rcl says, which quotes the option and its value."""
    found = _QUOTED.search(text)
    what, trailing = (found[0], found) if found else ("", _TRAILING.search(text))
    if trailing is None:
        return " ".join(text.split())
    option = trailing["option"]
    known = EXPECTED.get(LONG.get(option, option))
    if not found:
        return f"{option} is the last word after --ros-args, expected {known or 'a value'}"
    return f"ROS cannot read {what}, expected {known}" if known else f"ROS cannot read {what}"


def check_parameter_files(words: Sequence[str], *, program: str) -> None:
    """Check the parameter files of a command line before ROS reads them.

    ROS silently lets the last of two equal keys win, and ignores sections for other nodes.

    Raises:
        ConfigError: a file is refused.
    """
    for option, path in itertools.pairwise(words):
        if option != "--params-file":
            continue
        names = [item.node for item in parameter_sections(path)]
        if not any(NODE_NAME in name or "*" in name for name in names):
            sys.stderr.write(
                f"{program}: warning: {path} is keyed to {names}: none of it is for {NODE_NAME!r}\n"
            )
