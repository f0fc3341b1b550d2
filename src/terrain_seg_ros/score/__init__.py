"""Closed-loop scores against ground truth, without OpenGL."""
