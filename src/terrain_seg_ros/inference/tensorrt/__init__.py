"""What the TensorRT backend is made of: bindings, memory, precision, building and running."""
