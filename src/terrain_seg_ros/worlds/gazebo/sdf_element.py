"""Helpers to build the XML of SDF."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element, SubElement

SDF_VERSION = "1.9"
"""The newest version supported by libsdformat of Debian and Ubuntu and by Gazebo Harmonic."""


def add(parent: Element, tag: str, text: object = None, **attributes: str) -> Element:
    """Add a child element and return it.

    Args:
        parent: the parent element.
        tag: the tag of the child.
        text: the text of the child; numbers in a sequence are separated by spaces.
        attributes: the attributes of the child.
    """
    child = SubElement(parent, tag, attributes)
    if text is not None:
        child.text = text if isinstance(text, str) else numbers(text)
    return child


def add_plugin(parent: Element, file: str, system: str, **values: object) -> Element:
    """Add a Gazebo system plugin by its class name, and return its element."""
    plugin = add(
        parent, "plugin", filename=f"gz-sim-{file}-system", name=f"gz::sim::systems::{system}"
    )
    for tag, value in values.items():
        add(plugin, tag, value)
    return plugin


def add_label(visual: Element, label: int) -> None:
    """Set the label of a visual that segmentation cameras report."""
    add_plugin(visual, "label", "Label", label=label)


def numbers(value: object) -> str:
    """Format a number, or a sequence of numbers, for SDF."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, Iterable):
        return " ".join(numbers(part) for part in value)
    return str(value)
