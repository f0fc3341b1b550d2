"""Engines: cache, keys, building in advance, and switching to them during operation."""
