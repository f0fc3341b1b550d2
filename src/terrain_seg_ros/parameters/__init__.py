"""Parameters of the node: their declaration, files and checks."""
