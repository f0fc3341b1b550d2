"""Tools that change the user's models: install, remove, wrap; a vehicle never imports them."""
