"""Bounded readers of files from outside: sizes are checked before memory is taken."""
