"""Models of PyTorch that take part in making datasets."""
