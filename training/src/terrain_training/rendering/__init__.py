"""Labelled pictures of generated worlds, to train on."""
