"""Helpers of the tests: builders of inputs, peers on the bus, and stand-ins."""
