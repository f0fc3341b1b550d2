"""What `terrain-train evaluate` gives: a model run over labelled images, and its report."""
