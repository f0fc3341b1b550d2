"""Cameras, the rays of pixels, and transforms between frames."""
