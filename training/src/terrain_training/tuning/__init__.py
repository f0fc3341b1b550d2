"""Search the settings of a recipe that train best."""
