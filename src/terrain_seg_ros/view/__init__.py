"""The live picture in a browser: what the node sees and decides, from a bus or a bag."""
