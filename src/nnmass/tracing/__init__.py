"""Any PyTorch module: obtained, run once on meta tensors, and read as a layer graph."""
