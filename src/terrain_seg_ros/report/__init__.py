"""HTML pages, pictures, tables, and checks of output files."""
