"""A rover or a lander in one of the worlds, and how well what it concludes fits the truth."""
