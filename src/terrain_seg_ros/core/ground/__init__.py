"""Where each pixel of a view meets the ground."""
