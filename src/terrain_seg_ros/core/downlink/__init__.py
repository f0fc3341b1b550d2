"""The downlink: a compact copy of the node's state for links of a few bytes per second."""
