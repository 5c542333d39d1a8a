"""L2: the learned policy, run by ONNX Runtime."""
