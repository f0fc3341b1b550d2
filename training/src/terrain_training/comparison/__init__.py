"""Train, evaluate and export several recipes, and say side by side what came of them."""
