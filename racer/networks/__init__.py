"""A policy's network: its config, its torch modules, and its export to ONNX."""
