"""Landing sites: candidates, footpads, and the choice between grids."""
