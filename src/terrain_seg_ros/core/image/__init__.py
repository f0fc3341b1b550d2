"""Images and masks: from camera pixels to the tensor of the network, and from its output to a mask."""
