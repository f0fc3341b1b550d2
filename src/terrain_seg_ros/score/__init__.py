"""Closed loops against ground truth, without OpenGL."""
