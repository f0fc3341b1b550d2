"""Networks to choose from, each from options that the recipe names."""
