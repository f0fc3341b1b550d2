"""Bring a data set from where it is published into a folder."""
