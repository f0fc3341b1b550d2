"""Core values into the messages of the contract table."""
