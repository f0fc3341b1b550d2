"""Options of commands that set one parameter of the node."""

from __future__ import annotations

import argparse

from terrain_seg_ros.parameters.node_settings import DECLARATION


def add_setting_argument(parser: argparse.ArgumentParser, option: str, name: str) -> None:
    """Add an option with the type, the choices and the text of a parameter; None where not given.

    Raises:
        ConfigError: there is no such parameter.
    """
    setting = DECLARATION.setting(name)
    types = {"int": int, "float": float}
    parser.add_argument(
        option,
        type=types.get(setting.kind, str),
        choices=setting.choices or None,
        metavar=None if setting.choices else "N" if setting.kind in types else "VALUE",
        help=f"parameter `{name}`: {setting.text}".replace("%", "%%"),
    )
