"""What is done to images before they are learned from."""
