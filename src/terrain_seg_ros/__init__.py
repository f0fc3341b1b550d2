"""Terrain segmentation and hazard mapping for planetary rovers and landers."""

__version__ = "0.1.0"
