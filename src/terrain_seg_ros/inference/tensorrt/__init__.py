"""Parts of the TensorRT backend: bindings, memory, precision, building and running."""
