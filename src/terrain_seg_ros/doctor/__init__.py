"""What is installed and usable on this machine, and how to install what is missing."""
