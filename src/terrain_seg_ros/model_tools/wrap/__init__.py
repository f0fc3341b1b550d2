"""Turn any ONNX network into a model with a card."""
