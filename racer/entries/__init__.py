"""Policies: their networks, their ONNX graphs, and the entry package that carries one."""
