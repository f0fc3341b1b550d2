"""The page: everything that needs viser."""
