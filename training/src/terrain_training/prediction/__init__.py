"""What a model says of images and videos: masks, overlays and sheets to look at."""
