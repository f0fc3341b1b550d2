"""A recipe: everything that defines a training run."""
