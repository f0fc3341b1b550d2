"""The settings models of a recipe; the lowest layer of training."""
