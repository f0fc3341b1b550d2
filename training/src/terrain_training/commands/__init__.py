"""The commands of `terrain-train`, one file each."""
