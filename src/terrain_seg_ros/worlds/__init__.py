"""Seeded procedural terrain of the Moon and Mars with complete ground truth."""
