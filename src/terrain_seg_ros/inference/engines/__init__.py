"""Built engines: cache, keys, building ahead, and switching over during operation."""
