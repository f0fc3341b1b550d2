"""Scores of masks and grids against ground truth."""
