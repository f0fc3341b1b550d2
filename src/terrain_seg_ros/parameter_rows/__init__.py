"""The rows of the declaration of parameters, by theme."""
