"""Seeded procedural pieces of the Moon and Mars whose every rock and crater is known."""
