"""HTML pages and picture sheets."""
