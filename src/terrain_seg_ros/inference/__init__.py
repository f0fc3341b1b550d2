"""Backends: small siblings that turn an image tensor into probabilities."""
