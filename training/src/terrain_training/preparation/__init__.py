"""Somebody's images and labels: what they hold, and the recipe that trains on them."""
