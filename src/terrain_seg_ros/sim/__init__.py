"""A simulator of a rover or a lander in one of the worlds, rendered by MuJoCo."""
