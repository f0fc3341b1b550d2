"""Read, write and replay bags offline."""
