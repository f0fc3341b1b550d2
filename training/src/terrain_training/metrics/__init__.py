"""What is counted over labelled images, and the figures that follow from the counts."""
