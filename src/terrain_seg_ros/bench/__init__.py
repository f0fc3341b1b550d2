"""The program behind `terrain-seg bench`."""
