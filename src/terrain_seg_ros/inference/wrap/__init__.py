"""Make a contract model from anyone's segmentation network as ONNX (extra `wrap`)."""
