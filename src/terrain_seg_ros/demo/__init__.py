"""The program behind `terrain-seg demo`."""
