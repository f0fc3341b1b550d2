"""The terrain-seg command, one file per subcommand."""
