"""Readers for untrusted files; sizes are checked before memory is allocated."""
