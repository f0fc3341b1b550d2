"""Images, masks, and the steps between them and the tensors of the network."""
