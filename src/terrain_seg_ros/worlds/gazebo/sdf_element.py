"""XML of SDF in few words."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element, SubElement

SDF_VERSION = "1.9"
"""The newest that Debian's and Ubuntu's own libsdformat read; Gazebo Harmonic reads it too."""


def add(parent: Element, tag: str, text: object = None, **attributes: str) -> Element:
    """Add a child and return it.

    Args:
        parent: of the child.
        tag: of the child.
        text: inside it; numbers in a sequence are parted by spaces.
        attributes: of the child.
    """
    child = SubElement(parent, tag, attributes)
    if text is not None:
        child.text = text if isinstance(text, str) else numbers(text)
    return child


def add_plugin(parent: Element, file: str, system: str, **values: object) -> Element:
    """Add a system of Gazebo by the name of its class, and return its element."""
    plugin = add(
        parent, "plugin", filename=f"gz-sim-{file}-system", name=f"gz::sim::systems::{system}"
    )
    for tag, value in values.items():
        add(plugin, tag, value)
    return plugin


def add_label(visual: Element, label: int) -> None:
    """Give a visual the label that segmentation cameras report."""
    add_plugin(visual, "label", "Label", label=label)


def numbers(value: object) -> str:
    """Return a number, or several, as SDF writes them."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, Iterable):
        return " ".join(numbers(part) for part in value)
    return str(value)
