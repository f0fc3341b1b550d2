"""Every parameter, by group."""
