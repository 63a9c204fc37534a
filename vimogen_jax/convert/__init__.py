"""Weights of the published PyTorch implementation to our tree, and back."""
